"""`runbook copy start`, `set` and `stop`: Aurora's rows go to DynamoDB, those there are and those that change.

The workers are Lambda's; what they are told stands in the journal's copy record, which they read every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from functions.domain import names
from functions.install.control_row import FIRST_EPOCH
from runbook import status
from runbook.aws import lanes
from runbook.aws.lambda_calls import invoke
from runbook.aws.outputs import EntityTarget
from runbook.checks import check as checks
from runbook.checks import plans, routes
from runbook.checks import triggers as capture
from runbook.checks.plans import CheckScope
from runbook.cutover import command as switching
from runbook.cutover.reverse import Tail
from runbook.cutover.steps import Choices, Parts
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.journal.journal import Event, Phase, now
from runbook.journal.lock import Lease, held
from runbook.journal.operation import Outcome
from runbook.stack import Context

RUNNING, STOPPED, MENDED = "running", "stopped", "mended"
COUNTERS = ("enqueued", "rows_done", "changes_done", "deleted", "skipped", "parked")
TRIES = 5  # at a record that another command changes
INSTEAD = {
    Phase.MODERN: "DynamoDB is the source of truth; go on with `runbook verify`, `runbook rollback` or "
    "`runbook complete`. Copy goes on by itself after a rollback.",
    Phase.COMPLETE: f"The bridge and the triggers are gone; the road has been walked to its end. {routes.WHAT_IS_LEFT}",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds copy back; None leaves a limit as it is.

    Attributes:
        rate: rows a second over all lanes; 0 for no limit.
        threads: copy pauses while Aurora has more threads at work; 0 for no limit.
        bound: keys of the backfill that may wait in the queue.
    """

    rate: float | None = None
    threads: int | None = None
    bound: int | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not None, by the record's names."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


DEFAULTS = Limits(rate=0, threads=0, bound=20_000)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command did.

    Attributes:
        result: `started`, `resumed`, `running` (it was), `begun anew`, `mended`, `stopped`, `set`, `removed`.
        record: copy's record now.
        triggers: those that were added now.
        settled: the half-done operation that was finished or undone first.
    """

    entity: str
    result: str
    record: Mapping[str, Any]
    triggers: tuple[str, ...] = ()
    settled: Outcome | None = None


def start(context: Context, entity: EntityTarget, limits: Limits, *, again: bool, call: bool = True) -> Done:
    """Begin to copy, or go on where it was stopped. In phase modern it only puts back triggers that are not there.

    Args:
        context: the stack.
        entity: whose rows.
        limits: what holds it back.
        again: enqueue every row once more.
        call: call the workers; their schedules do within a minute in any case.

    Raises:
        PreconditionError: the phase is another, or a check of preflight does not hold; nothing was changed.
        RefusedError: another operator holds the lock.
    """
    with held(context.journal, entity.name, context.clients.operator, "copy start") as lease:
        settled = switching.settle(context, entity, lease)
        phase = context.journal.state(entity.name).phase
        mends = phase == Phase.MODERN and _mendable(context, entity)
        if not mends:
            _demand_phase(entity, phase, "copy starts in phase legacy only", Phase.LEGACY)
            _demand_preflight(context, entity, lease)
            _demand_drained(context, entity, lease, again=again)
        triggers = _capture(context, entity, lease)
        lease.check()
        result = MENDED if mends else _begin(context, entity, limits, again=again)
        context.journal.record(event(entity, lease, "copy start", result, limits.given))
    if call and not mends:
        lanes.wake(context, entity)
    return Done(entity=entity.name, result=result, record=record(context, entity), triggers=triggers, settled=settled)


def change(context: Context, entity: EntityTarget, limits: Limits) -> Done:
    """Change limits while it runs; the workers hear of it within seconds.

    Raises:
        UsageError: no limit is given.
        PreconditionError: it was never started, or the entity is complete.
    """
    if not limits.given:
        raise UsageError("there is nothing to set", "Give --rate, --max-threads or --queue-bound.")
    return _changed(context, entity, "set", limits.given, (Phase.LEGACY, Phase.MODERN))


def stop(context: Context, entity: EntityTarget) -> Done:
    """Let the workers end; the triggers go on, so that nothing is missed until it is started again.

    Raises:
        PreconditionError: it was never started; or the phase is not legacy: copy must go on by itself after a rollback.
    """
    return _changed(context, entity, STOPPED, {"state": STOPPED, "paused": ""}, (Phase.LEGACY,))


def record(context: Context, entity: EntityTarget) -> Mapping[str, Any]:
    """Copy's record.

    Raises:
        PreconditionError: copy was never started.
    """
    found = context.journal.find_record(entity.name, names.COPY_RECORD)
    if found is None:
        raise PreconditionError(
            f"copy of {entity.name} was never started", f"Run `runbook copy start --entity {entity.name}`."
        )
    return found


def _demand_phase(entity: EntityTarget, phase: Phase, rule: str, *legal: Phase) -> None:
    if phase not in legal:
        raise PreconditionError(
            f"{entity.name} is in phase {phase}; {rule}", INSTEAD.get(phase, "See `runbook status`.")
        )


def _mendable(context: Context, entity: EntityTarget) -> bool:
    """Whether triggers are missing that a rollback will need."""
    started = context.journal.find_record(entity.name, names.COPY_RECORD) is not None
    return started and bool(capture.wrong(context.aurora, context.target.mapping[entity.name]))


def _demand_preflight(context: Context, entity: EntityTarget, lease: Lease) -> None:
    if not context.target.copy_function:
        raise PreconditionError("copy is not deployed", "Deploy the part bridge: see `parts` in the stack's settings.")
    context.say(f"looking for hazards of {entity.name}")
    try:
        checks.demand(plans.checks(context, entity, CheckScope.COPY))
    except PreconditionError as error:
        details = {"reason": error.message}
        context.journal.record(event(entity, lease, "copy start", "refused", details))
        raise


def _demand_drained(context: Context, entity: EntityTarget, lease: Lease, *, again: bool) -> None:
    """Before a backfill is begun anew, what modern wrote before a rollback must have reached Aurora.

    The rows would be copied over it, and it would be lost.
    """
    present = context.journal.find_record(entity.name, names.COPY_RECORD)
    if present is None or again:
        drained(context, entity, lease)


def drained(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Wait until the bridge has applied all that the stream has, if modern was ever the source of truth.

    Raises:
        PreconditionError: it has not in time.
    """
    if context.aurora.control(context.target.mapping[entity.name]).last_epoch > FIRST_EPOCH:
        context.say("waiting until the bridge has applied all that the stream has")
        Tail(Parts(context, entity, lease, Choices())).follow()


def _capture(context: Context, entity: EntityTarget, lease: Lease) -> tuple[str, ...]:
    if capture.wrong(context.aurora, context.target.mapping[entity.name]):
        # why: what was written without them was not captured, and only a new comparison of everything can tell
        context.journal.remove_record(entity.name, names.VERIFIED_RECORD)
    lease.check()
    context.say(f"adding the triggers to {entity.name}'s table")
    order = {"action": "capture", "entity": entity.name}
    answer = invoke(context, context.target.bridge_install_function, order, "runbook copy start")
    return tuple(answer.get("captured", ()))


def _begin(context: Context, entity: EntityTarget, limits: Limits, *, again: bool) -> str:
    """Write the record: only now, since a row that is written before its triggers are there would be missed."""
    for _ in range(TRIES):
        present = context.journal.find_record(entity.name, names.COPY_RECORD)
        result = _result(present, again=again)
        anew = present is None or again
        changes = {**_fresh(context, entity), **DEFAULTS.given} if anew else {"state": RUNNING}
        kept = {name: present[name] for name in DEFAULTS.given if present and name in present}
        expected = {"started_at": present["started_at"] if present else None}
        if context.journal.change_record(entity.name, names.COPY_RECORD, {**changes, **kept, **limits.given}, expected):
            return result
    raise _too_many(entity)


def _result(present: Mapping[str, Any] | None, *, again: bool) -> str:
    if present is None:
        return "started"
    if again:
        return "begun anew"
    return RUNNING if present["state"] == RUNNING else "resumed"


def _fresh(context: Context, entity: EntityTarget) -> dict[str, Any]:
    """The record of a backfill that has not begun; what the lanes add to begins at nothing."""
    rows = status.legacy_count(context, entity, exact=False)
    return {
        "state": RUNNING,
        "position": "",
        "backfilled": False,
        "total": rows.records,
        **dict.fromkeys(COUNTERS, 0),
        "started_at": now(),
        "operator": context.clients.operator,
        "paused": "",
    }


def _changed(
    context: Context, entity: EntityTarget, result: str, changes: Mapping[str, Any], legal: tuple[Phase, ...]
) -> Done:
    command = "copy set" if result == "set" else "copy stop"
    with held(context.journal, entity.name, context.clients.operator, command) as lease:
        settled = switching.settle(context, entity, lease)
        rule = f"`{command}` is for phase {' or '.join(legal)}"
        _demand_phase(entity, context.journal.state(entity.name).phase, rule, *legal)
        for _ in range(TRIES):
            expected = {"started_at": record(context, entity)["started_at"]}
            if context.journal.change_record(entity.name, names.COPY_RECORD, changes, expected):
                break
        else:
            raise _too_many(entity)
        context.journal.record(event(entity, lease, command, "done", changes))
    return Done(entity=entity.name, result=result, record=record(context, entity), settled=settled)


def _too_many(entity: EntityTarget) -> FailedError:
    return FailedError(f"copy's record of {entity.name} keeps changing", "Run the command again.")


def event(entity: EntityTarget, lease: Lease, command: str, result: str, details: Mapping[str, Any]) -> Event:
    """A line of the history."""
    return Event(
        entity=entity.name,
        command=command,
        result=result,
        operator=lease.lock.holder,
        details={name: value for name, value in details.items() if value != ""},
    )
