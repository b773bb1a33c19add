"""`runbook copy stop --remove-triggers`: the way out of phase legacy, as if copy had never been started.

The items stay where they are. Every part is done whether or not it was done before, so it may be killed and repeated.
"""

from __future__ import annotations

import time

from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from runbook.aws.lambda_calls import invoke
from runbook.aws.outputs import EntityTarget
from runbook.copy import control
from runbook.copy.control import STOPPED, Done
from runbook.errors import FailedError, PreconditionError
from runbook.journal.journal import Phase
from runbook.journal.lock import Lease, held
from runbook.stack import Context

COMMAND = "copy stop --remove-triggers"
PATIENCE = 120.0  # seconds for the lanes to end: a round of theirs, or a dead one's lease
LOOK = 0.2  # seconds between two looks at them


def release(context: Context, entity: EntityTarget) -> Done:
    """Stop copy, and take away its triggers, its queue and its records.

    Raises:
        PreconditionError: the phase is another, reads go to modern, or an operation is half-done; nothing was changed.
        FailedError: a lane did not end, or Aurora refused; run it again.
        RefusedError: another operator holds the lock.
    """
    with held(context.journal, entity.name, context.clients.operator, COMMAND) as lease:
        _demand(context, entity)
        control.drained(context, entity, lease)  # without triggers, nothing guards legacy's writes from a late record
        _end_lanes(context, entity, lease)
        event = {"action": "release", "entity": entity.name}
        lease.check()
        answer = invoke(
            context,
            context.target.bridge_install_function,
            event,
            f"runbook {COMMAND} --entity {entity.name}",
        )
        _empty_queue(context, entity, lease)
        lease.check()
        lanes = map(names.lane_record, range(names.LANES))
        for record in (names.VERIFIED_RECORD, *lanes, names.COPY_RECORD):
            context.journal.remove_record(entity.name, record)
        gone = tuple(answer.get("released", ()))
        context.journal.record(control.event(entity, lease, COMMAND, "removed", {"triggers": ", ".join(gone)}))
    return Done(entity=entity.name, result="removed", record={}, triggers=gone)


def _demand(context: Context, entity: EntityTarget) -> None:
    state, name = context.journal.state(entity.name), entity.name
    if state.operation is not None:
        raise PreconditionError(
            f"`{state.operation.command}` of {name} is half-done",
            f"Run `runbook rollback --entity {name} --execute` first: it settles it and brings all back.",
        )
    if state.phase != Phase.LEGACY:
        raise PreconditionError(
            f"{name} is in phase {state.phase}; the triggers can go in phase legacy only",
            control.INSTEAD.get(state.phase, "See `runbook status`."),
        )
    if state.reads or context.routing.reads_percent(entity):
        raise PreconditionError(
            f"modern answers reads of {name}, and would go on with what it has",
            f"Run `runbook rollback reads --entity {name} --execute` first.",
        )


def _end_lanes(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Tell the workers to end, and wait until the last has let its lane go: it might write an item still."""
    lease.check()
    record = context.journal.find_record(entity.name, names.COPY_RECORD)
    if record is not None:
        stopped, expected = {"state": STOPPED, "paused": ""}, {"started_at": record["started_at"]}
        context.journal.change_record(entity.name, names.COPY_RECORD, stopped, expected)
        context.say("waiting for copy's lanes to end")
    deadline = time.monotonic() + PATIENCE
    while any(_at_work(context, entity, lane) for lane in range(names.LANES)):
        if time.monotonic() > deadline:
            raise FailedError(
                f"a lane of {entity.name}'s copy has not ended",
                "See the copy function's log, then run it again.",
            )
        time.sleep(LOOK)


def _at_work(context: Context, entity: EntityTarget, lane: int) -> bool:
    record = context.journal.find_record(entity.name, names.lane_record(lane)) or {}
    return float(record.get("expires", 0)) > time.time()


def _empty_queue(context: Context, entity: EntityTarget, lease: Lease) -> None:
    queue = context.aurora.queue(context.target.mapping[entity.name])
    try:
        while queue.remove_some():
            lease.check()
    except DataApiError as error:
        raise FailedError(f"Aurora says: {error}", "Run the command again.") from error
