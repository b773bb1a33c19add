"""Where an entity stands: its phase, its public routes, and whether the system that traffic goes to answers."""

from functions.domain.contract import ApiContract
from functions.domain.phase import Phase
from runbook.aws.api_gateway import ALL, Side
from runbook.aws.foreign_calls import ForeignCalls
from runbook.aws.http import OK, path
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.errors import FailedError
from runbook.journal.state import State
from runbook.stack import Context

LOST = frozenset({Side.UNSET, Side.UNKNOWN})
WHAT_IS_LEFT = (
    "What is left: `runbook status`, `runbook history`, and `runbook complete`, which prints the settings for the last "
    "`pulumi up`."
)


def known(state: State | None) -> Check:
    """For preflight: the journal has the entity, and it is not complete."""
    ok = state is not None and state.phase != Phase.COMPLETE
    value = state.phase.value if state else "not in the journal"
    remedy = "It is complete: the bridge and the way back are gone." if state else "Run `runbook init`."
    return Check(name="phase", ok=ok, value=value, limit="in the journal, not complete", remedy=remedy)


def not_complete(entity: EntityTarget, state: State) -> Check:
    """For a switch. In `switching` and `returning` an interrupted operation was resumed or rolled back before."""
    ok = state.phase != Phase.COMPLETE
    remedy = f"{entity.name} is complete: the bridge, and with it the way back, is gone. {WHAT_IS_LEFT}"
    return Check(name="phase", ok=ok, value=state.phase.value, limit="not complete", remedy=remedy)


def expected_writes(state: State) -> Side:
    """Where public writes should go by the journal."""
    if state.gated and state.phase != Phase.COMPLETE:
        return Side.GATE
    return Side.MODERN if state.phase in {Phase.MODERN, Phase.COMPLETE} else Side.LEGACY


def lost(context: Context, entity: EntityTarget) -> dict[str, str]:
    """The stage variables that name none of the entity's functions, with the one that they should by the journal."""
    state, found = context.journal.find(entity.name), context.routing.routes(entity)
    writers = {Side.GATE: context.target.gate_function, Side.MODERN: entity.write_function}
    wanted: dict[str, str] = {}
    if found.reads in LOST:
        modern = state is not None and state.reads == ALL
        wanted[entity.reads_variable] = entity.read_function if modern else entity.legacy_read_function
    if found.writes in LOST:
        side = expected_writes(state) if state else Side.LEGACY
        wanted[entity.writes_variable] = writers.get(side) or entity.legacy_write_function
    return wanted


def writes(context: Context, entity: EntityTarget, state: State) -> Check:
    """For preflight: nothing else has changed the route of public writes."""
    expected, found = expected_writes(state), context.routing.routes(entity).writes
    command = "cutover" if state.phase == Phase.MODERN else "rollback"
    return Check(
        name="route of writes",
        ok=found == expected or state.operation is not None,
        value=f"→ {found}",
        limit=f"→ {expected}",
        remedy=f"Run `runbook {command} writes --entity {entity.name} --execute`: it corrects the route.",
    )


def modern(entity: EntityTarget, state: State) -> Check:
    remedy = f"Run `runbook cutover writes --entity {entity.name} --execute` first; see `runbook status`."
    return Check(name="phase", ok=state.phase == Phase.MODERN, value=state.phase.value, limit="modern", remedy=remedy)


def all_modern(context: Context, entity: EntityTarget, reads: int) -> list[Check]:
    """Whether all public traffic goes to modern; `reads` is modern's percentage by the journal."""
    routes, percent = context.routing.routes(entity), context.routing.reads_percent(entity)
    by_journal = "" if reads == percent else f", {reads}% by the journal"
    return [
        Check(
            name="reads",
            ok=reads == percent == ALL,
            value=f"{percent}% on modern{by_journal}",
            limit="100% on modern",
            remedy=f"Run `runbook cutover reads --entity {entity.name} --execute`.",
        ),
        Check(
            name="writes",
            ok=routes.writes in {Side.GATE, Side.MODERN},
            value=f"→ {routes.writes}",
            limit="→ gate or modern",
            remedy=f"Run `runbook cutover writes --entity {entity.name} --execute`: it corrects the route.",
        ),
    ]


def reads_beside(context: Context, entity: EntityTarget, state: State, wanted: int, *, stay: bool) -> Check:
    """Whether a switch of writes alone leaves reads on the side that writes go to, so that clients read their own."""
    percent, to_modern = context.routing.reads_percent(entity), wanted == ALL
    # What an interrupted operation leaves is known by the journal alone: it is resumed or rolled back first.
    apart = state.reads != wanted or (percent != wanted and state.operation is None)
    cost = f"a client reads its own write only after the lag of {'the bridge' if to_modern else 'copy'}, seconds"
    value = f"{state.reads}% on modern{f', {percent}% by the route' if percent != state.reads else ''}"
    first = f"cutover reads --entity {entity.name}" if to_modern else f"rollback --entity {entity.name}"
    what = "first" if to_modern else "instead, which takes reads along"
    remedy = f"Run `runbook {first} --execute` {what}, or add --reads-stay: then {cost}."
    limit = f"{wanted}% on modern"
    if stay:
        value, limit = f"{value}: {cost}" if apart else value, f"{limit}, or --reads-stay"
    return Check(name="reads beside writes", ok=stay or not apart, value=value, limit=limit, remedy=remedy)


def answers(context: Context, entity: EntityTarget, *, to_modern: bool) -> Check:
    """One small read from the system that traffic will go to."""
    if contract := context.target.mapping[entity.name].contract:
        return _foreign_answers(context, entity, contract, to_modern=to_modern)
    where = path("dynamo" if to_modern else "aurora", entity.name)
    try:
        answer = context.api.get(where, limit=1)
        value, ok = str(answer.status), answer.status == OK
    except FailedError as error:
        value, ok = error.message, False
    remedy = f"See what GET {where} answers, and its function's log."
    return Check(name=f"GET {where}", ok=ok, value=value, limit=str(OK), remedy=remedy)


def _foreign_answers(context: Context, entity: EntityTarget, contract: ApiContract, *, to_modern: bool) -> Check:
    """The same of an adopted function; without a template nothing is asked, which holds and says so."""
    system = "modern" if to_modern else "legacy"
    calls = ForeignCalls(context.clients.functions_once, entity, contract)
    template = f"[{entity.name}.calls.list]"
    try:
        value, ok = f"not asked: entities.toml has no {template}", True
        if calls.find("list"):
            calls.send(system, "list", {"id": ""})
            value = "answers"
    except FailedError as error:
        value, ok = error.message, False
    remedy = f"See what the function answers to {template}, and its log."
    return Check(name=f"{system} reads", ok=ok, value=value, limit="answers", remedy=remedy)
