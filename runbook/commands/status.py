"""`runbook status`."""

from collections.abc import Mapping
from typing import Annotated

from rich.markup import escape
from typer import Option

from functions.domain.phase import Phase
from runbook import status as service
from runbook.aws.api_gateway import Side
from runbook.aws.aurora import RecordCount
from runbook.commands import _output
from runbook.commands._options import EntitiesOption
from runbook.commands._session import Session, with_session
from runbook.journal.lock import describe
from runbook.journal.state import Operation, State
from runbook.status import EntityStatus

HeartbeatFlag = Annotated[bool, Option("--probe", help="Send a heartbeat through the bridge and wait for it.")]
ExactOption = Annotated[bool, Option("--exact", help="Count every record, however long it takes.")]


@with_session
def status(
    session: Session, entity: EntitiesOption = None, probe: HeartbeatFlag = False, exact: ExactOption = False
) -> None:
    """Show phase, routes, bridge, record counts and lag.

    Changes nothing. Shows an estimate ("about") of big tables, unless --exact is given.
    """
    context = session.context
    found = [service.run(context, one, send_heartbeat=probe, exact=exact) for one in context.target.chosen(entity)]
    if session.as_json:
        entities = [{**_output.plain(one), "healthy": one.healthy} for one in found]
        _output.document({"stack": context.target.stack, "entities": entities})
        return
    for one in found:
        _print(one)


def _print(found: EntityStatus) -> None:
    _output.facts(found.entity, _facts(found))
    for what, why in found.unknown.items():
        _output.line(f"[yellow]{what} unknown:[/] {escape(why)}")
    if any(not check.ok for check in found.bridge):
        _output.checks(found.bridge)
    if any(not check.ok for check in found.adoption):
        _output.checks(found.adoption)
    if found.schedules and not found.schedules.ok:
        _output.checks([found.schedules])


def _facts(found: EntityStatus) -> Mapping[str, str]:
    state = found.state
    split = f", {state.reads}% on modern" if state and found.routes.reads == Side.SPLIT else ""
    facts = {"phase": _phase(state), "reads": f"→ {found.routes.reads}{split}", "writes": f"→ {found.routes.writes}"}
    if not found.agree:
        facts["note"] = "[red]the journal has another route; run the command for the side you want again[/]"
    if state and state.operation:
        facts["interrupted"] = _interrupted(state.operation)
    if state and state.lock:
        facts["locked by"] = escape(describe(state.lock))
    if found.fenced is not None or "fence" in found.unknown:
        facts["fence"] = _fence(found)
    facts["bridge"] = _bridge(found)
    if found.read_only:
        facts["legacy table"] = f"read-only; lets writers in again: {escape(found.writable_by)}"
    legacy, modern = ("unknown" if side in found.unknown else "" for side in ("legacy", "modern"))
    facts["records"] = f"{legacy or _count(found.legacy)} legacy, {modern or _count(found.modern)} modern"
    if found.bridge:
        facts["lag"] = "unknown" if "lag" in found.unknown else _lag(found.lag)
    return facts


def _phase(state: State | None) -> str:
    if state is None:
        return "[red]not initialised[/]: run `runbook init`"
    return f"{state.phase}  [dim]since {state.phase_since}[/]"


def _interrupted(operation: Operation) -> str:
    return escape(f"{operation.command} at {operation.step} ({operation.direction}); the next --execute resumes it")


def _fence(found: EntityStatus) -> str:
    """It belongs up in phases switching, modern and returning; in legacy it stops every writer."""
    if found.fenced is None:
        return "unknown"
    if found.fenced and found.state and found.state.phase == Phase.LEGACY:
        lower = escape(f"`runbook rollback writes --entity {found.entity} --execute`")
        return f"[red]up, in phase legacy: all writes fail[/]; {lower} lowers it"
    return "up: legacy's writers are stopped" if found.fenced else "down"


def _bridge(found: EntityStatus) -> str:
    if found.state and found.state.phase == Phase.COMPLETE:
        return "removed; the legacy table is no longer updated"
    if "bridge" in found.unknown:
        return "unknown"
    if not found.bridge:
        return "not deployed"
    if found.connected is False:
        connect = escape(f"`runbook copy start --entity {found.entity}` or `runbook init`")
        return f"[yellow]disconnected: applies nothing to Aurora[/]; {connect} connects it"
    red = [check.name for check in found.bridge if not check.ok]
    return f"[red]not healthy[/]: {', '.join(red)}" if red else "[green]healthy[/]"


def _count(count: RecordCount | None) -> str:
    if count is None:
        return "no"
    return f"{count.records:,}" if count.exact else f"about {count.records:,}"


def _lag(seconds: float | None) -> str:
    most = "no record" if seconds is None else f"at most {seconds:.1f} s"
    return f"{most} in the last five minutes"
