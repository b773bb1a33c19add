"""Whether copy is running, called and has caught up, and whether both sides were found equal not long ago."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.domain import names
from runbook.aws import schedules as scheduler
from runbook.aws.outputs import EntityTarget
from runbook.checks import triggers
from runbook.checks.check import Check
from runbook.journal import verified as comparisons
from runbook.journal.verified import WHOLE
from runbook.stack import Context

RUNNING = "running"
QUEUE_LIMIT = 1000  # keys that copy may still have to do; it does them in well under a second
LAG_SECONDS = 10.0
REPORT_SECONDS = 30.0  # since a lane reported last
VERIFY_SECONDS = 12 * 3600.0  # since the last verify began; the stream shows what changed for 24 hours


def checks(context: Context, entity: EntityTarget) -> list[Check]:
    copy = context.journal.find_record(entity.name, names.COPY_RECORD) or {}
    return [
        _running(copy),
        *schedules(context, entity),
        _backfilled(copy),
        *_queue(context, entity),
        _lanes(context, entity),
        verified(context, entity),
    ]


def _running(copy: Mapping[str, Any]) -> Check:
    value = str(copy.get("state", "not started"))
    return Check(name="copy", ok=value == RUNNING, value=value, limit=RUNNING, remedy="Run `runbook copy start`.")


def runs(context: Context, entity: EntityTarget) -> bool:
    """Whether copy is to run as soon as legacy is the source of truth; so it is in phase modern, too."""
    copy = context.journal.find_record(entity.name, names.COPY_RECORD) or {}
    return copy.get("state") == RUNNING


def schedules(context: Context, entity: EntityTarget) -> list[Check]:
    """Whether the schedules that call copy's lanes are enabled while copy runs, and only then.

    A late call of an operator who was overtaken, or `pulumi up`, may have changed them: AWS has no condition for that.
    Lanes that are at work continue without them, but a lane that dies has no successor. There is no check where the
    stack's outputs name no schedule.
    """
    states = context.schedule_states(entity)
    if not states:
        return []
    name, start = "copy's schedules", f"`runbook copy start --entity {entity.name}`"
    on, total = states.count(scheduler.ENABLED), len(states)
    value = f"{on} of {total} enabled" if 0 < on < total else "enabled" if on else "disabled"
    if runs(context, entity):
        remedy = f"Run {start} again: it enables them."
        return [Check(name=name, ok=on == total, value=value, limit="enabled while copy runs", remedy=remedy)]
    remedy = f"Run {start}, which needs them, or `runbook copy stop` (--remove-triggers if copy was never started)."
    return [Check(name=name, ok=not on, value=value, limit="disabled while copy does not run", remedy=remedy)]


def _backfilled(copy: Mapping[str, Any]) -> Check:
    done = bool(copy.get("backfilled"))
    value = "complete" if done else f"{copy.get('rows_done', 0):,} rows done"
    remedy = "Wait for it with `runbook copy watch`."
    return Check(name="backfill", ok=done, value=value, limit="complete", remedy=remedy)


def _queue(context: Context, entity: EntityTarget) -> list[Check]:
    queue = context.aurora.queue(context.target.mapping[entity.name])
    found = context.aurora.ask(lambda: queue.waiting(QUEUE_LIMIT + 1))
    remedy = "Wait for copy to catch up: `runbook copy watch`."
    more = "more than " if found.rows > QUEUE_LIMIT else ""
    return [
        Check(
            name="copy's queue",
            ok=found.rows <= QUEUE_LIMIT,
            value=f"{more}{min(found.rows, QUEUE_LIMIT):,}",
            limit=f"{QUEUE_LIMIT:,} at most",
            remedy=remedy,
        ),
        Check(
            name="copy's lag",
            ok=found.age <= LAG_SECONDS,
            value=f"{found.age:.1f} s",
            limit=f"{LAG_SECONDS:.0f} s at most",
            remedy=remedy,
        ),
    ]


def queue_empty(context: Context, entity: EntityTarget) -> Check:
    """For complete: in phase modern only the bridge writes to Aurora, and it puts nothing into the queue."""
    queue = context.aurora.queue(context.target.mapping[entity.name])
    empty = context.aurora.ask(lambda: queue.length(1)) == 0
    remedy = (
        "A change in Aurora was not copied. Roll back with `runbook rollback`, wait until copy "
        "has caught up, and cut over again."
    )
    return Check(name="copy's queue", ok=empty, value="empty" if empty else "not empty", limit="empty", remedy=remedy)


def _lanes(context: Context, entity: EntityTarget) -> Check:
    lanes = [context.journal.find_record(entity.name, names.lane_record(n)) or {} for n in range(names.LANES)]
    now = context.journal.time()
    ages = [now - datetime.fromisoformat(lane["beat"]).timestamp() for lane in lanes if lane.get("beat")]
    missing = len(lanes) - len(ages)
    ok = not missing and max(ages) <= REPORT_SECONDS
    value = f"{missing} never reported" if missing else f"reported {max(0.0, *ages):.0f} s ago"
    remedy = "Run `runbook copy start` again: it calls every lane. Then see the copy function's log."
    return Check(name="copy's lanes", ok=ok, value=value, limit=f"within {REPORT_SECONDS:.0f} s", remedy=remedy)


def verified(context: Context, entity: EntityTarget) -> Check:
    """Whether the last verify compared everything, and no change since could be missed."""
    name, limit = "last verify", f"clean, full, within {VERIFY_SECONDS / 3600:.0f} h"
    remedy = "Run `runbook verify`."
    record = context.journal.find_record(entity.name, names.VERIFIED_RECORD)
    if not record:
        return Check(name=name, ok=False, value="never", limit=limit, remedy=remedy)
    began = datetime.fromisoformat(record["started_at"]).timestamp()
    age = time.time() - began
    captured = began >= triggers.made_at(context.aurora, context.target.mapping[entity.name])
    clean, full = bool(record["clean"]), float(record["sample"]) == WHOLE
    differs = "nothing was compared: both sides were empty" if record.get("empty") else "differences"
    value = f"{'clean' if clean else differs}{'' if full else ', a sample'}, {age / 60:.0f} min ago"
    value += "" if captured else ", before copy's triggers were made"
    state = context.journal.find(entity.name)
    followed = comparisons.of_streams(record, state.streams if state else 0)
    value += "" if followed else ", before the table's new stream was adopted"
    ok = clean and full and captured and followed and age <= VERIFY_SECONDS
    return Check(name=name, ok=ok, value=value, limit=limit, remedy=remedy)
