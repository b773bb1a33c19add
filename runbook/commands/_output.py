"""Prints results: tables on stdout, or one JSON document; errors and progress go to stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runbook.checks.check import Check
from runbook.errors import RunbookError
from runbook.journal.operation import Outcome

if TYPE_CHECKING:
    from rich.status import Status

KEY_WIDTH = 36  # characters of a UUID
MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]-[/]"}


def out() -> Console:
    """Where results go; made when used, so that a test's captured stdout is the one."""
    return Console(file=sys.stdout, highlight=False, color_system=_colours())


def err() -> Console:
    """Where errors and progress go."""
    return Console(file=sys.stderr, highlight=False, color_system=_colours())


def _colours() -> Any:
    """None with NO_COLOR: Rich alone would still print bold and dim."""
    return None if os.environ.get("NO_COLOR") else "auto"


def is_live(console: Console) -> bool:
    """Whether lines may be drawn over."""
    return console.is_terminal and console.color_system is not None


class Progress:
    """A line on stderr with what the command is doing; it begins with the first message."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._status: Status | None = None

    def say(self, text: str) -> None:
        if self._console is None:
            return
        if self._status is None:
            self._status = self._console.status("…")
            self._status.start()
        self._status.update(escape(text))

    def end(self) -> None:
        """Show nothing from here on, for a command that draws its own progress."""
        if self._status:
            self._status.stop()
        self._console = None


@contextmanager
def progress(*, quiet: bool) -> Generator[Progress]:
    """Progress where stderr is a terminal; none when `quiet`."""
    console = err()
    shown = Progress(console if is_live(console) and not quiet else None)
    try:
        yield shown
    finally:
        shown.end()


def document(value: Any) -> None:
    """Print a result as one JSON document."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """Dataclasses, mappings and sequences as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def error(problem: RunbookError, *, as_json: bool = False) -> None:
    """Print what failed, why, and the command to run."""
    if as_json:
        document({"error": {"message": problem.message, "remedy": problem.remedy, "exit": problem.exit_code}})
        return
    err().print(f"[red]error:[/] {escape(problem.message)}", soft_wrap=True)
    if problem.remedy:
        err().print(escape(problem.remedy), soft_wrap=True)


def line(text: str) -> None:
    """Print a line that only the terminal wraps, so that a command in it can be copied whole."""
    out().print(text, soft_wrap=True)


def table(*columns: str) -> Table:
    """An empty table whose cells fold at the terminal's width."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def keep_keys(made: Table, column: str) -> None:
    """Fold the other columns only, so that a key in this one can be copied, unless a key is very long."""
    found = next(each for each in made.columns if each.header == column)
    found.no_wrap = all(len(str(cell)) <= KEY_WIDTH for cell in found.cells)


def facts(title: str, values: Mapping[str, str]) -> None:
    """Print names with their values below a title; the values are markup."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(f"[dim]{name}[/]", value)
    out().print(f"[bold]{escape(title)}[/]")
    out().print(made)


def rows(made: Table, shown: int, total: int) -> None:
    """Print a table with `shown` rows of `total`."""
    out().print(made)
    if shown < total:
        line(f"[dim]… and {total - shown:,} more; --json has all of them[/]")


def value(found: Any, longest: int) -> str:
    """A field's value as JSON, cut after so many characters."""
    text = json.dumps(found, ensure_ascii=False)
    return escape(text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)")


def checks(found: Sequence[Check]) -> None:
    """Print checks with value and limit, and the remedy of each that fails."""
    made = table("", "check", "value", "limit")
    for check in found:
        made.add_row(MARKS[check.ok], escape(check.name), escape(check.value), escape(check.limit))
    out().print(made)
    for check in found:
        if check.ok is False and check.remedy:
            line(f"[red]{escape(check.name)}:[/] {escape(check.remedy)}")


def resumed(outcome: Outcome | None) -> None:
    """Print what became of an interrupted operation that the command resumed first."""
    if outcome:
        line(escape(f"`{outcome.command}` was interrupted; it is {outcome.result} now."))
