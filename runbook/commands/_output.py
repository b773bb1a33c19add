"""How results look: tables for people on stdout, or one JSON document; errors and progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runbook.aws.api_gateway import Routes, Side
from runbook.checks.check import Check
from runbook.cutover.command import Plan, SwitchResult
from runbook.errors import RunbookError
from runbook.init import Line
from runbook.journal.journal import Event, Operation, State
from runbook.journal.operation import Step
from runbook.smoke import Result
from runbook.status import Count, Status

MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]-[/]"}


def out() -> Console:
    """Where results go; made when used, so that a test's captured stdout is the one."""
    return Console(file=sys.stdout, highlight=False)


def err() -> Console:
    """Where errors and progress go."""
    return Console(file=sys.stderr, highlight=False)


@contextmanager
def progress(*, quiet: bool) -> Generator[Callable[[str], None]]:
    """A line on stderr that tells what is going on.

    Nothing when stderr is no terminal or a document is asked for.
    """
    console = err()
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status("…") as status:
        yield lambda text: status.update(escape(text))


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


def error(problem: RunbookError, *, as_json: bool) -> None:
    """Say what is wrong and what to do next."""
    if as_json:
        document({"error": {"message": problem.message, "remedy": problem.remedy, "exit": problem.exit_code}})
        return
    err().print(f"[red]error:[/] {escape(problem.message)}")
    if problem.remedy:
        err().print(escape(problem.remedy))


def init(lines: Sequence[Line]) -> None:
    """What init saw to."""
    for line in lines:
        detail = f"  [dim]{escape(line.detail)}[/]" if line.detail else ""
        out().print(f"{line.result:<10} {escape(line.name)}{detail}")


def smoke(entity: str, results: Sequence[Result]) -> None:
    """The steps of a smoke test."""
    table = _table("", "step", "", "seconds")
    for result in results:
        seconds = "" if result.ok is None else f"{result.seconds:.2f}"
        table.add_row(MARKS[result.ok], f"{result.step}. {escape(result.name)}", escape(result.detail), seconds)
    out().print(f"[bold]{escape(entity)}[/]")
    out().print(table)


def status(found: Status) -> None:
    """Where one entity stands."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(found).items():
        table.add_row(f"[dim]{name}[/]", value)
    out().print(f"[bold]{escape(found.entity)}[/]")
    out().print(table)
    for what, why in found.unknown.items():
        _line(f"[yellow]{what} unknown:[/] {escape(why)}")
    if any(not check.ok for check in found.bridge):
        checks(found.bridge)


def _facts(found: Status) -> Mapping[str, str]:
    state = found.state
    split = f", {state.reads}% on modern" if state and found.routes.reads == Side.SPLIT else ""
    reads = f"→ {found.routes.reads}{split}"
    facts = {"phase": _phase(state), "reads": reads, "writes": f"→ {found.routes.writes}"}
    if not found.agree:
        facts["note"] = "[red]the journal says otherwise; run the command for the side you want again[/]"
    if state and state.operation:
        facts["half-done"] = _half_done(state.operation)
    if state and state.lock:
        facts["locked by"] = escape(f"{state.lock.holder}: {state.lock.command}")
    if found.fenced is not None or "fence" in found.unknown:
        facts["fence"] = _fence(found)
    facts["bridge"] = _bridge(found)
    legacy, modern = ("unknown" if side in found.unknown else "" for side in ("legacy", "modern"))
    facts["records"] = f"{legacy or _count(found.legacy)} legacy, {modern or _count(found.modern)} modern"
    if found.bridge:
        facts["lag"] = "unknown" if "lag" in found.unknown else _lag(found.lag)
    return facts


def _fence(found: Status) -> str:
    """Up is right in phases switching, modern and returning; in legacy it stops everybody who should write."""
    if found.fenced is None:
        return "unknown"
    if found.fenced and found.state and found.state.phase == "legacy":
        lower = f"`runbook rollback writes --entity {found.entity} --execute`"
        return f"[red]up, in phase legacy: nobody can write[/]; {escape(lower)} lowers it"
    return "up: legacy's writers are stopped" if found.fenced else "down"


def _lag(seconds: float | None) -> str:
    most = "no record" if seconds is None else f"at most {seconds:.1f} s"
    return f"{most} in the last five minutes"


def _phase(state: State | None) -> str:
    if state is None:
        return "[red]not initialised[/]: run `runbook init`"
    return f"{state.phase}  [dim]since {state.phase_since}[/]"


def _half_done(operation: Operation) -> str:
    return escape(f"{operation.command} at {operation.step} ({operation.direction}); the next --execute settles it")


def _bridge(found: Status) -> str:
    if found.state and found.state.phase == "complete":
        return "taken down; the legacy table is no longer kept true"
    if "bridge" in found.unknown:
        return "unknown"
    if not found.bridge:
        return "not deployed"
    red = [check.name for check in found.bridge if not check.ok]
    return f"[red]not healthy[/]: {', '.join(red)}" if red else "[green]healthy[/]"


def _count(count: Count | None) -> str:
    if count is None:
        return "no"
    return f"{count.records:,}" if count.exact else f"about {count.records:,}"


def checks(found: Sequence[Check]) -> None:
    """Checks with value and limit, and the remedy of each that does not hold."""
    table = _table("", "check", "value", "limit")
    for check in found:
        table.add_row(MARKS[check.ok], escape(check.name), escape(check.value), escape(check.limit))
    out().print(table)
    for check in found:
        if check.ok is False and check.remedy:
            out().print(f"[red]{escape(check.name)}:[/] {escape(check.remedy)}")


def plan(entity: str, found: Plan, act: str) -> None:
    """What a switch would do, and the command that does it."""
    where = _where(found.state, found.routes)
    _line(f"[bold]Plan: {found.command} of {escape(entity)}[/]  ({where})")
    if found.pending:
        half_done = f"First: `{found.pending.command}` was left half-done at {found.pending.step}"
        _line(f"{escape(half_done)}; it will be {found.pending_result}.")
    if found.steps:
        checks(found.checks)
        _steps(found.steps)
    _line(_closing(found, act))


def _steps(steps: Sequence[Step]) -> None:
    for number, step in enumerate(steps, start=1):
        undo = f"  [dim]undone by: {escape(step.unsays)}[/]" if step.unsays else ""
        commit = "  [dim](from here on finished, not undone)[/]" if step.commit else ""
        _line(f" {number}. {escape(step.says)}{undo}{commit}")


def _closing(found: Plan, act: str) -> str:
    if not found.steps and not found.pending:
        return "Nothing to do: it is so already."
    return f"Nothing has changed{f'. Act with: {escape(act)}' if found.green else '; a gate is closed.'}"


def _line(text: str) -> None:
    """A line that the terminal may wrap, so that a command in it can be copied whole."""
    out().print(text, soft_wrap=True)


def plan_document(entity: str, found: Plan) -> dict[str, Any]:
    """A plan as one JSON value: steps by what they say."""
    fields: dict[str, Any] = plain(dataclasses.replace(found, steps=[]))
    steps = [{"name": s.name, "does": s.says, "undo": s.unsays, "commit": s.commit} for s in found.steps]
    return {"entity": entity, "executed": False, **fields, "steps": steps, "green": found.green}


def done(entity: str, result: SwitchResult) -> None:
    """What a switch did."""
    if result.resumed:
        out().print(escape(f"`{result.resumed.command}` had been left half-done; it is {result.resumed.result} now."))
    what = "done" if result.changed else "nothing to do, it is so already"
    out().print(f"{result.command} of {escape(entity)}: {what}  ({_where(result.state, result.routes)})")


def _where(state: State, routes: Routes) -> str:
    return f"phase {state.phase}, reads → {routes.reads}, writes → {routes.writes}"


def history(events: Sequence[Event]) -> None:
    """The audit trail, newest first."""
    table = _table("when", "entity", "command", "result", "who")
    for event in events:
        reason = event.details.get("reason")
        keys = event.details.get("keys") if event.result.startswith("dropping") else None
        told = reason or (f"{', '.join(map(str, keys))}" if keys else "")
        result = f"{event.result}: {told}" if told else event.result
        who = event.operator.rpartition(":")[2]  # an ARN without its account
        table.add_row(*(escape(text) for text in (event.at, event.entity, event.command, result, who)))
    out().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
