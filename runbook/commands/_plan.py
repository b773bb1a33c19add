"""What the commands that move traffic have in common: the plan first, the question, the act, the result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from runbook.commands import _output
from runbook.commands._session import confirm
from runbook.cutover.command import EntityCommand
from runbook.errors import PreconditionError
from runbook.stack import Context


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How the operator called the command."""

    execute: bool
    yes: str | None
    as_json: bool
    stack: str | None
    outputs: Path | None
    options: tuple[str, ...] = ()

    def again(self, command: str, entity: str) -> str:
        """The command that acts, with the target's options as typed."""
        words = ["runbook", *command.split(), "--entity", entity, "--execute", *self.options]
        return " ".join([*words, *_target(self.stack, self.outputs)])


def perform(context: Context, switch: EntityCommand, asked: Asked) -> None:
    """Show the plan, or act."""
    act = asked.again(switch.command, switch.entity.name)
    if not asked.execute:
        _show_plan(switch, act, as_json=asked.as_json)
        return
    confirm(context, act, asked.yes, as_json=asked.as_json)
    result = switch.execute()
    if asked.as_json:
        _output.document({"entity": switch.entity.name, "executed": True, **_output.plain(result)})
    else:
        _output.done(switch.entity.name, result)


def _show_plan(switch: EntityCommand, act: str, *, as_json: bool) -> None:
    plan = switch.plan()
    if as_json:
        _output.document(_output.plan_document(switch.entity.name, plan))
    else:
        _output.plan(switch.entity.name, plan, act)
    if not plan.green:
        raise typer.Exit(PreconditionError.exit_code)


def _target(*given: Any) -> list[str]:
    options = zip(("--stack", "--outputs"), given, strict=True)
    return [f"{name} {shlex.quote(str(value))}" for name, value in options if value]
