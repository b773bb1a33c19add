"""`runbook init`: prepare what the road needs, once or again.

Legacy tables, the bridge's side of Aurora, routes, journal.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.aws.api_gateway import ALL, Side
from runbook.aws.lambda_calls import body
from runbook.aws.outputs import EntityTarget
from runbook.journal.journal import Event, Phase
from runbook.journal.lock import held
from runbook.stack import Context


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that init saw to: `result` is done, unchanged or skipped."""

    name: str
    result: str
    detail: str = ""


def run(context: Context) -> list[Line]:
    """Do all that is not done yet; safe to repeat, and right with only the legacy part deployed."""
    lines = [_legacy(context), _bridge(context)]
    for entity in context.target.entities.values():
        lines.append(_routes(context, entity))
        lines.append(_journal(context, entity))
    if context.routing.renew_canary():
        lines.append(Line(name="canary", result="done", detail="serves the present deployment"))
    return lines


def _legacy(context: Context) -> Line:
    context.say("preparing the legacy tables")
    answer = context.invoke(context.target.legacy_init_function, {"httpMethod": "GET", "path": "/aurora"})
    return Line(name="legacy tables", result="done", detail=", ".join(body(answer).get("initialised", [])) or "ready")


def _bridge(context: Context) -> Line:
    if not context.target.bridge_install_function:
        return Line(name="bridge", result="skipped", detail="not deployed yet; run init again when it is")
    context.say("installing the bridge's side of Aurora")
    followed = {name: entity.stream_arn for name, entity in context.target.entities.items() if entity.stream_arn}
    states = {name: context.journal.find(name) for name in context.target.entities}
    complete = [name for name, state in states.items() if state and state.phase == Phase.COMPLETE]
    event = {"action": "install", "streams": followed, "without": complete}
    context.invoke(context.target.bridge_install_function, event)
    return Line(name="bridge", result="done", detail="invisible columns, helper tables, its MySQL user")


def _routes(context: Context, entity: EntityTarget) -> Line:
    """Set variables that are missing or name a function that is gone to what the journal says."""
    routes = context.routing.routes(entity)
    state = context.journal.find(entity.name)
    lost = {Side.UNSET, Side.UNKNOWN}
    wanted: dict[str, str] = {}
    if routes.reads in lost:
        modern = state is not None and state.reads == ALL
        wanted[entity.reads_variable] = entity.read_function if modern else context.target.legacy_read_function
    if routes.writes in lost:
        modern = state is not None and state.phase in {Phase.MODERN, Phase.COMPLETE}
        wanted[entity.writes_variable] = entity.write_function if modern else context.target.legacy_write_function
    changed = context.routing.set(wanted)
    detail = ", ".join(f"{name} → {value}" for name, value in wanted.items())
    return Line(name=f"routes of {entity.name}", result="done" if changed else "unchanged", detail=detail)


def _journal(context: Context, entity: EntityTarget) -> Line:
    name = f"journal of {entity.name}"
    state = context.journal.find(entity.name)
    if state is not None and entity.stream_arn in {"", state.stream_arn}:
        return Line(name=name, result="unchanged", detail=f"phase {state.phase}")
    if state is not None:
        with held(context.journal, entity.name, context.clients.operator, "init") as lease:
            context.journal.write(lease.lock, entity.name, {"stream_arn": entity.stream_arn})
        return Line(name=name, result="done", detail="its stream noted")
    event = Event(entity=entity.name, command="init", result="done", operator=context.clients.operator)
    created = context.journal.create(entity.name, entity.stream_arn, event)
    return Line(name=name, result="done" if created else "unchanged", detail="phase legacy")
