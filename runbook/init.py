"""`runbook init`: prepares legacy tables, the bridge's part of Aurora, routes and the journal; safe to repeat."""

from dataclasses import dataclass

from runbook.aws.api_gateway import ALL, Side
from runbook.aws.lambda_calls import body
from runbook.aws.outputs import EntityTarget
from runbook.journal.journal import Event, Phase
from runbook.journal.lock import held
from runbook.stack import Context


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """What init did about one thing: `result` is done, unchanged or skipped."""

    name: str
    result: str
    detail: str = ""


def run(context: Context) -> list[InitResult]:
    """Do all that is not done yet; also with only the legacy part deployed."""
    results = [_legacy(context), _bridge(context)]
    for entity in context.target.entities.values():
        results.append(_routes(context, entity))
        results.append(_journal(context, entity))
    if context.routing.renew_canary():
        results.append(InitResult(name="canary", result="done", detail="serves the present deployment"))
    return results


def _legacy(context: Context) -> InitResult:
    context.say("preparing the legacy tables")
    answer = context.invoke(context.target.legacy_init_function, {"httpMethod": "GET", "path": "/aurora"})
    return InitResult(
        name="legacy tables", result="done", detail=", ".join(body(answer).get("initialised", [])) or "ready"
    )


def _bridge(context: Context) -> InitResult:
    if not context.target.bridge_install_function:
        return InitResult(name="bridge", result="skipped", detail="not deployed yet; run init again when it is")
    context.say("installing the bridge's part of Aurora")
    followed = {name: entity.stream_arn for name, entity in context.target.entities.items() if entity.stream_arn}
    states = {name: context.journal.find(name) for name in context.target.entities}
    complete = [name for name, state in states.items() if state and state.phase == Phase.COMPLETE]
    event = {"action": "install", "streams": followed, "without": complete}
    context.invoke(context.target.bridge_install_function, event)
    return InitResult(name="bridge", result="done", detail="invisible columns, helper tables, its MySQL user")


def _routes(context: Context, entity: EntityTarget) -> InitResult:
    """Set variables that are missing or name a removed function, as the journal says."""
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
    return InitResult(name=f"routes of {entity.name}", result="done" if changed else "unchanged", detail=detail)


def _journal(context: Context, entity: EntityTarget) -> InitResult:
    name = f"journal of {entity.name}"
    state = context.journal.find(entity.name)
    if state is not None and entity.stream_arn in {"", state.stream_arn}:
        return InitResult(name=name, result="unchanged", detail=f"phase {state.phase}")
    if state is not None:
        with held(context.journal, entity.name, context.clients.operator, "init") as lease:
            context.journal.write(lease.lock, entity.name, {"stream_arn": entity.stream_arn})
        return InitResult(name=name, result="done", detail="recorded its stream")
    event = Event(entity=entity.name, command="init", result="done", operator=context.clients.operator)
    created = context.journal.create(entity.name, entity.stream_arn, event)
    return InitResult(name=name, result="done" if created else "unchanged", detail="phase legacy")
