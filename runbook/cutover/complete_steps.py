"""The end of the road: the bridge stops, and what streamback put into Aurora is taken away.

Reads and writes are modern's already and stay there. The phase `complete` commits: from then on Aurora is no longer
kept true and there is no way back, so everything that the stream has is waited for before. Writes go on meanwhile; what
comes until the mapping is off is applied by hand, and what comes later Aurora need not have.
"""

from __future__ import annotations

import time
from dataclasses import replace

from functions.domain import names
from runbook.aws.lambda_calls import invoke
from runbook.aws.outputs import EntityTarget
from runbook.checks import plans
from runbook.checks.check import demand
from runbook.checks.plans import CheckScope
from runbook.cutover.reverse import Tail
from runbook.cutover.steps import Parts
from runbook.errors import FailedError
from runbook.journal.journal import Phase
from runbook.journal.operation import Step
from runbook.stack import Context

PATIENCE = 180.0  # seconds; Lambda takes up to a minute to switch a mapping
LEFTOVERS = "leftovers"  # of an operation: the phase is right, something is left to be taken away
LOOK = 0.2  # seconds between two looks at it
REMOVES = "from Aurora: triggers, invisible columns and their index; helper tables and the bridge's user when unneeded"


def steps(parts: Parts) -> list[Step]:
    """The sequence."""
    calm = replace(parts, choices=replace(parts.choices, hold=parts.choices.patience))  # nobody is held here
    tail = Tail(calm)
    return [
        Step(
            name="follow",
            says="wait until the bridge has applied all that the stream has",
            do=lambda: _follow(parts, tail),
        ),
        Step(
            name="bridge-off",
            says="stream mapping off: Aurora is no longer kept true",
            do=lambda: _switch(parts, enabled=False),
            unsays="stream mapping on",
            undo=lambda: _switch(parts, enabled=True),
        ),
        Step(
            name="last",
            says="apply by hand what came until then; nothing may be in quarantine",
            do=lambda: _last(calm, tail),
        ),
        parts.phase(Phase.COMPLETE, commit=True),
        *_removal(parts),
    ]


def leftovers(parts: Parts) -> list[Step]:
    """The sequence where the phase is `complete` already, but something of streamback is there still."""
    return [
        parts.phase(Phase.COMPLETE, commit=True),
        Step(name="bridge-off", says="stream mapping off", do=lambda: _switch(parts, enabled=False)),
        *_removal(parts),
    ]


def _removal(parts: Parts) -> list[Step]:
    return [
        Step(name="copy-off", says="copy stopped for good", do=lambda: _stop_copy(parts)),
        Step(name="remove", says=REMOVES, do=lambda: _remove(parts)),
    ]


def _follow(parts: Parts, tail: Tail) -> None:
    """Nothing may be parked either: what is in quarantine counts as applied to a rollback, but not here."""
    tail.follow()
    tail.approach()
    demand(plans.checks(parts.context, parts.entity, CheckScope.BRIDGE, send_heartbeat=False))


def _last(parts: Parts, tail: Tail) -> None:
    """With the mapping off nothing comes by itself any more; draining looks into the quarantine too."""
    parts.held_since = time.monotonic()
    tail.drain()


def _switch(parts: Parts, *, enabled: bool) -> None:
    """Switch the mapping on or off, and wait until it is: a batch under way ends before. One that is gone is off."""
    functions, mapping = parts.context.clients.functions, parts.entity.bridge_mapping_id
    wanted, deadline = "Enabled" if enabled else "Disabled", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        state = mapping_state(parts.context, parts.entity)
        if state == wanted or not (state or enabled):
            return
        if state in {"Enabled", "Disabled"}:
            functions.update_event_source_mapping(UUID=mapping, Enabled=enabled)
        time.sleep(LOOK)
    raise FailedError(
        f"the stream mapping {mapping} is not {wanted} after {PATIENCE:.0f} s",
        "Look at it in Lambda's console.",
    )


def mapping_state(context: Context, entity: EntityTarget) -> str:
    """The stream mapping's state; empty when it is gone."""
    functions = context.clients.functions
    try:
        return functions.get_event_source_mapping(UUID=entity.bridge_mapping_id).get("State", "")
    except functions.exceptions.ResourceNotFoundException:
        return ""


def _stop_copy(parts: Parts) -> None:
    journal, name = parts.context.journal, parts.entity.name
    record = journal.find_record(name, names.COPY_RECORD)
    if record:
        journal.change_record(name, names.COPY_RECORD, {"state": "stopped"}, {"started_at": record["started_at"]})


def _remove(parts: Parts) -> None:
    event = {"action": "remove", "entity": parts.entity.name}
    invoke(parts.context, parts.context.target.bridge_install_function, event, "runbook complete")
