"""The commands that move traffic: prints the plan, or asks for confirmation in production, acts and prints the result."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape

from runbook.aws.api_gateway import Routes
from runbook.commands import _output
from runbook.commands._options import changed
from runbook.commands._session import Session
from runbook.cutover import canary
from runbook.cutover.command import EntityCommand, Plan, SwitchResult
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.operation import StepTime
from runbook.journal.state import State

CHOICES = {"--probe-timeout": "timeout", "--settle": "propagation_wait", "--hold": "hold", "--warm": "warm"}


SHOWN_SECONDS = 0.05  # a step that took less is not named


def choices_given(choices: Choices) -> list[str]:
    """The options of a switch that differ from their defaults."""
    return [
        *changed(choices, Choices, CHOICES),
        *(["--reads-stay"] * choices.reads_stay),
        *(["--block-writers"] * choices.block_writers),
    ]


def acting(session: Session, switch: EntityCommand, options: Sequence[str] = ()) -> str:
    """The command line that acts, with the options as typed."""
    return session.command_line(*switch.command.split(), "--entity", switch.entity.name, "--execute", *options)


def show_plan(session: Session, switch: EntityCommand, options: Sequence[str] = ()) -> None:
    """Print the plan.

    Raises:
        Exit: a check does not hold.
    """
    plan = switch.plan()
    if session.as_json:
        _output.document(_document(switch.entity.name, plan))
    else:
        _print(switch.entity.name, plan, acting(session, switch, options))
    if any(check.name == canary.CHECK and not check.ok for check in plan.checks):
        raise typer.Exit(RefusedError.exit_code)
    if not plan.green:
        raise typer.Exit(PreconditionError.exit_code)


def show_result(session: Session, switch: EntityCommand, result: SwitchResult, **more: Any) -> None:
    """Print what was done, `more` only in the JSON document."""
    if session.as_json:
        _output.document({"entity": switch.entity.name, "executed": True, **_output.plain(result), **more})
        return
    _output.resumed(result.resumed)
    what = "done" if result.changed else "nothing to do"
    where = _where(result.state, result.routes)
    _output.line(f"{result.command} of {escape(switch.entity.name)}: {what}  ({where})")
    for line in _times(result.times):
        _output.line(line)


def _times(times: Sequence[StepTime]) -> list[str]:
    """What the time was spent on, first of the whole command, then while clients waited."""
    held = [each for each in times if each.held]
    waited = sum(each.seconds for each in held)
    whole = [*(each for each in times if not each.held), *([StepTime(step="held", seconds=waited)] if held else [])]
    whole.sort(key=lambda each: -each.seconds)
    lines: list[str] = []
    if whole:
        shown = ", ".join(f"{each.step} {each.seconds:.1f}" for each in whole if each.seconds >= SHOWN_SECONDS)
        lines.append(f"Took {sum(each.seconds for each in whole):.1f} s{shown and ': '}{shown}.")
    if held:
        parts = ", ".join(f"{each.step} {each.seconds * 1000:.0f}" for each in held)
        lines.append(f"Writes were held for {waited * 1000:.0f} ms: {parts}.")
    return lines


def perform(session: Session, switch: EntityCommand, choices: Choices, *, execute: bool, yes: str | None) -> None:
    """Print the plan of a switch, or act and print the result."""
    options = choices_given(choices)
    if not execute:
        show_plan(session, switch, options)
        return
    session.confirm(acting(session, switch, options), yes)
    show_result(session, switch, switch.execute())


def _print(entity: str, plan: Plan, act: str) -> None:
    _output.line(f"[bold]Plan: {plan.command} of {escape(entity)}[/]  ({_where(plan.state, plan.routes)})")
    if plan.pending:
        first = f"First: `{plan.pending.command}` was interrupted at {plan.pending.step}"
        _output.line(f"{escape(first)}; it will be {plan.pending_result}.")
    if plan.steps:
        _output.checks(plan.checks)
    for number, step in enumerate(plan.steps, start=1):
        undo = f"  [dim]undone by: {escape(step.unsays)}[/]" if step.unsays else ""
        commit = "  [dim](from here on finished, not undone)[/]" if step.commit else ""
        _output.line(f" {number}. {escape(step.says)}{undo}{commit}")
    if not plan.steps and not plan.pending:
        _output.line("Nothing to do.")
    elif plan.green:
        _output.line(f"Nothing has changed. Act with: {escape(act)}")
    else:
        _output.line("Nothing has changed. A check does not hold: see above.")


def _document(entity: str, plan: Plan) -> dict[str, Any]:
    fields: dict[str, Any] = _output.plain(dataclasses.replace(plan, steps=[]))
    steps = [{"name": s.name, "does": s.says, "undo": s.unsays, "commit": s.commit} for s in plan.steps]
    return {"entity": entity, "executed": False, **fields, "steps": steps, "green": plan.green}


def _where(state: State, routes: Routes) -> str:
    return f"phase {state.phase}, reads → {routes.reads}, writes → {routes.writes}"
