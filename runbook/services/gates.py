"""What must hold before a switch.

The phase allows it, the bridge is whole, a probe arrives, the other side answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook import health, probe
from runbook.checks import Check, green
from runbook.errors import FailedError
from runbook.http import OK, path
from runbook.journal import Phase

if TYPE_CHECKING:
    from runbook.context import Context
    from runbook.journal import State
    from runbook.services.switching import Switch
    from runbook.target import EntityTarget

SYSTEMS = {"cutover": "dynamo", "rollback": "aurora"}


def of(switch: Switch, state: State) -> list[Check]:
    """The gates of one switch with their values.

    A half-done operation counts as settled: it is, before they are.
    """
    context, entity = switch.context, switch.entity
    phase, answers = _phase(entity, state), _answers(context, entity, SYSTEMS[switch.verb])
    if switch.verb == "rollback" and switch.scope == "reads" and state.phase == Phase.LEGACY:
        return [
            phase,
            answers,
        ]  # the source of truth: no bridge is needed, and this must work when it is broken
    bridge = health.bridge(context.clients, context.target, entity)
    return [phase, *bridge, answers, _probe(context, entity, switch.patience, sendable=green(bridge))]


def _phase(entity: EntityTarget, state: State) -> Check:
    """After `complete` nothing can switch.

    `switching` and `returning` are half-done operations, settled before this.
    """
    return Check(
        name="phase",
        ok=state.phase != Phase.COMPLETE,
        value=state.phase.value,
        limit="not complete",
        remedy=f"{entity.name} is complete: the bridge, and with it the way back, is gone.",
    )


def _answers(context: Context, entity: EntityTarget, system: str) -> Check:
    """One small read from the system that traffic will go to."""
    where = path(system, entity.name)
    try:
        answer = context.api.get(where, limit=1)
        value, ok = str(answer.status), answer.status == OK
    except FailedError as error:
        value, ok = error.message, False
    remedy = f"See what GET {where} answers, and its function's log."
    return Check(name=f"GET {where}", ok=ok, value=value, limit=str(OK), remedy=remedy)


def _probe(context: Context, entity: EntityTarget, patience: float, *, sendable: bool) -> Check:
    if sendable:
        return probe.check(context, entity, patience)
    remedy = "Mend what is above first."
    return Check(
        name="probe", ok=None, value="not sent", limit=f"arrives within {patience:.0f} s", remedy=remedy
    )
