"""Runs a command for several entities: one that is refused or fails does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import typer

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.commands._session import SERVICE_ERRORS, as_runbook_error
from runbook.errors import RunbookError

Answer = TypeVar("Answer")


@dataclass
class Several(Generic[Answer]):
    """What became of each entity.

    Attributes:
        done: the answers, in order.
        skipped: why, by entity.
        problems: what stopped it, by entity.
    """

    done: list[Answer] = field(default_factory=list[Answer])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    problems: dict[str, RunbookError] = field(default_factory=dict[str, RunbookError])

    def document(self) -> dict[str, Any]:
        """The entities without an answer, as members of a JSON document."""
        problems = [
            {"entity": name, "message": one.message, "remedy": one.remedy, "exit": one.exit_code}
            for name, one in self.problems.items()
        ]
        return ({"skipped": self.skipped} if self.skipped else {}) | ({"problems": problems} if problems else {})

    def end(self, *, as_json: bool, code: int = 0) -> None:
        """Print all problems, and end with the exit code of the first one.

        Raises:
            Exit: there was one, or `code` says so.
        """
        for name, one in self.problems.items():
            if not as_json:
                _output.error(type(one)(f"{name}: {one.message}", one.remedy))
        first = next(iter(self.problems.values()), None)
        if first or code:
            raise typer.Exit(first.exit_code if first else code)


def each(
    entities: Sequence[EntityTarget],
    act: Callable[[EntityTarget], Answer],
    skip: Callable[[EntityTarget], str],
    show: Callable[[Answer], None] | None,
) -> Several[Answer]:
    """Act on each entity, and show its answer at once.

    Args:
        entities: which; with one alone, what stops it is raised.
        act: on one.
        skip: why one is left out; empty if it is not. When all would be, none is.
        show: shows an answer; None to show nothing.
    """
    found = Several[Answer]()
    reasons = {entity.name: reason for entity in entities if len(entities) > 1 and (reason := skip(entity))}
    if len(reasons) < len(entities):
        found.skipped = reasons
    for entity in entities:
        if entity.name in found.skipped:
            if show:
                _output.line(f"{_output.MARKS[None]} {found.skipped[entity.name]}")
            continue
        try:
            answer = act(entity)
        except (RunbookError, *SERVICE_ERRORS) as error:
            if len(entities) == 1:
                raise
            found.problems[entity.name] = as_runbook_error(error)
            continue
        found.done.append(answer)
        if show:
            show(answer)
    return found
