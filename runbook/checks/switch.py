"""What must hold before a switch.

The phase allows it, copy has caught up, both sides were compared, the bridge is whole, a probe arrives, the other side
answers.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from functions.domain import names
from runbook.aws.http import OK, path
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, heartbeat, triggers
from runbook.checks.check import Check, green
from runbook.errors import FailedError
from runbook.journal.journal import Phase, State
from runbook.stack import Context

SYSTEMS = {"cutover": "dynamo", "rollback": "aurora"}
QUEUE = 1000  # keys that copy may still have to do; it does them in well under a second
LAG = 10.0  # seconds
BEAT = 30.0  # seconds since a lane of copy was last heard of
RECENT = 12 * 3600.0  # seconds since the last verify began; the stream shows what changed for 24 hours
WHOLE = 1.0
LEFT = (
    "What is left: `runbook status`, `runbook history`, and `runbook complete`, which prints the settings for the last "
    "`pulumi up`."
)


def of(  # noqa: PLR0913  # what the command was asked
    context: Context, entity: EntityTarget, state: State, *, verb: str, scope: str, force: bool, patience: float
) -> list[Check]:
    """The checks of one switch with their values; an interrupted operation counts as resumed.

    Args:
        context: the stack.
        entity: what is switched.
        state: its state in the journal.
        verb: cutover or rollback.
        scope: reads, writes or both.
        force: rollback without waiting for the bridge.
        patience: seconds that the heartbeat may take.
    """
    phase, answers = _phase(entity, state), _answers(context, entity, SYSTEMS[verb])
    unneeded = verb == "rollback" and scope == "reads" and state.phase == Phase.LEGACY
    if unneeded or force:
        # No bridge is needed to read the source of truth, and none is waited for with force: it may be broken.
        return [phase, answers]
    whole = bridge.bridge(context.clients, context.target, entity)
    if not bridge.deployed(context.target, entity):  # and so Aurora has none of the tables that are asked next
        return [phase, *whole, answers]
    found = [phase, *whole, answers]
    if verb == "cutover" and state.phase == Phase.LEGACY:
        # why for reads, too: modern would answer them with what copy has not brought there
        found += [*_captured(context, entity), *copied(context, entity)]
    elif verb == "rollback" and scope != "reads" and state.phase == Phase.MODERN:
        found += _captured(context, entity)  # legacy's writers come back to them
    return [*found, _probe(context, entity, patience, sendable=green(whole))]


def _captured(context: Context, entity: EntityTarget) -> list[Check]:
    return triggers.checks(context.aurora, context.target.mapping[entity.name])


def copied(context: Context, entity: EntityTarget) -> list[Check]:
    """Whether copy is running and has caught up, and whether both sides were found equal not long ago."""
    copy = context.journal.find_record(entity.name, names.COPY_RECORD) or {}
    lanes = [context.journal.find_record(entity.name, names.lane_record(n)) or {} for n in range(names.LANES)]
    return [
        _running(copy),
        _backfilled(copy),
        *_queue(context, entity),
        _lanes(lanes),
        _verified(
            context.journal.find_record(entity.name, names.VERIFIED_RECORD) or {},
            triggers.made_at(context.aurora, context.target.mapping[entity.name]),
        ),
    ]


def _running(copy: Mapping[str, Any]) -> Check:
    value = str(copy.get("state", "not started"))
    return Check(name="copy", ok=value == "running", value=value, limit="running", remedy="Run `runbook copy start`.")


def _backfilled(copy: Mapping[str, Any]) -> Check:
    done = bool(copy.get("backfilled"))
    return Check(
        name="backfill",
        ok=done,
        value="complete" if done else f"{copy.get('rows_done', 0):,} rows done",
        limit="complete",
        remedy="Wait for it with `runbook copy watch`.",
    )


def _queue(context: Context, entity: EntityTarget) -> list[Check]:
    queue = context.aurora.queue(context.target.mapping[entity.name])
    found = context.aurora.ask(lambda: queue.waiting(QUEUE + 1))
    waiting, lag = found.rows, found.age
    remedy = "Wait for copy to catch up: `runbook copy watch`."
    more = "more than " if waiting > QUEUE else ""
    return [
        Check(
            name="copy's queue",
            ok=waiting <= QUEUE,
            value=f"{more}{min(waiting, QUEUE):,}",
            limit=f"{QUEUE:,} at most",
            remedy=remedy,
        ),
        Check(
            name="copy's lag",
            ok=lag <= LAG,
            value=f"{lag:.1f} s",
            limit=f"{LAG:.0f} s at most",
            remedy=remedy,
        ),
    ]


def _lanes(lanes: list[Mapping[str, Any]]) -> Check:
    now = dt.datetime.now(dt.UTC)
    ages = [(now - dt.datetime.fromisoformat(lane["beat"])).total_seconds() for lane in lanes if lane.get("beat")]
    missing = len(lanes) - len(ages)
    value = f"{missing} never heard of" if missing else f"heard of {max(ages):.0f} s ago"
    return Check(
        name="copy's lanes",
        ok=not missing and max(ages) <= BEAT,
        value=value,
        limit=f"within {BEAT:.0f} s",
        remedy="Run `runbook copy start` again: it calls every lane. Then see the copy function's log.",
    )


def _verified(verified: Mapping[str, Any], captured: float) -> Check:
    """Whether it saw everything, and nothing could change unseen since; `captured` is when the triggers were made."""
    name, limit = "last verify", f"clean, whole, within {RECENT / 3600:.0f} h"
    remedy = "Run `runbook verify`."
    if not verified:
        return Check(name=name, ok=False, value="never", limit=limit, remedy=remedy)
    began = dt.datetime.fromisoformat(verified["started_at"]).timestamp()
    age = time.time() - began
    clean, whole, seen = bool(verified["clean"]), float(verified["sample"]) == WHOLE, began >= captured
    value = f"{'clean' if clean else 'differences'}{'' if whole else ', a sample'}, {age / 60:.0f} min ago"
    value += "" if seen else ", before copy's triggers were made"
    return Check(name=name, ok=clean and whole and seen and age <= RECENT, value=value, limit=limit, remedy=remedy)


def _phase(entity: EntityTarget, state: State) -> Check:
    """After `complete` nothing can switch.

    `switching` and `returning` are half-done operations, settled before this.
    """
    return Check(
        name="phase",
        ok=state.phase != Phase.COMPLETE,
        value=state.phase.value,
        limit="not complete",
        remedy=f"{entity.name} is complete: the bridge, and with it the way back, is gone. {LEFT}",
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
        return heartbeat.check(context, entity, patience)
    remedy = "Mend what is above first."
    return Check(name="probe", ok=None, value="not sent", limit=f"arrives within {patience:.0f} s", remedy=remedy)
