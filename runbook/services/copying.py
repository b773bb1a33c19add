"""`runbook copy start`, `set` and `stop`: Aurora's rows go to DynamoDB, those there are and those that change.

The workers are Lambda's; what they are told stands in the journal's copy record, which they read every few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from functions.domain import names
from runbook import checks, lanes
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.invoking import invoke
from runbook.journal import Event, Phase, now
from runbook.lock import held
from runbook.services import preflight, status, switching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbook.context import Context
    from runbook.journal import State
    from runbook.lock import Lease
    from runbook.steps import Outcome
    from runbook.target import EntityTarget

RUNNING, STOPPED = "running", "stopped"
COUNTERS = ("enqueued", "rows_done", "changes_done", "deleted", "skipped", "parked")
TRIES = 5  # at a record that another command changes
INSTEAD = {
    Phase.MODERN: "DynamoDB is the source of truth; go on with `runbook verify`, `runbook rollback` or "
    "`runbook complete`. Copy goes on by itself after a rollback.",
    Phase.COMPLETE: "The bridge and the triggers are gone; the road has been walked to its end.",
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
        result: `started`, `resumed`, `running` (it was), `begun anew`, `stopped`, `set`.
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
    """Begin to copy, or go on where it was stopped.

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
        _demand_legacy(context.journal.state(entity.name))
        _demand_preflight(context, entity, lease)
        triggers = _capture(context, entity)
        lease.check()
        result = _begin(context, entity, limits, again=again)
        context.journal.record(_event(entity, lease, "copy start", result, limits.given))
    if call:
        lanes.wake(context, entity)
    return Done(
        entity=entity.name, result=result, record=record(context, entity), triggers=triggers, settled=settled
    )


def change(context: Context, entity: EntityTarget, limits: Limits) -> Done:
    """Change limits while it runs; the workers hear of it within seconds.

    Raises:
        UsageError: no limit is given.
        PreconditionError: it was never started.
    """
    if not limits.given:
        raise UsageError("there is nothing to set", "Give --rate, --max-threads or --queue-bound.")
    return _changed(context, entity, "copy set", "set", limits.given)


def stop(context: Context, entity: EntityTarget) -> Done:
    """Let the workers end; the triggers go on, so that nothing is missed until it is started again.

    Raises:
        PreconditionError: it was never started.
    """
    return _changed(context, entity, "copy stop", STOPPED, {"state": STOPPED, "paused": ""})


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


def _demand_legacy(state: State) -> None:
    if state.phase != Phase.LEGACY:
        raise PreconditionError(
            f"{state.entity} is in phase {state.phase}; copy starts in phase legacy only",
            INSTEAD.get(state.phase, "See `runbook status`."),
        )


def _demand_preflight(context: Context, entity: EntityTarget, lease: Lease) -> None:
    if not context.target.copy_function:
        raise PreconditionError(
            "copy is not deployed", "Deploy the part bridge: see `parts` in the stack's settings."
        )
    context.say(f"looking for hazards of {entity.name}")
    try:
        checks.demand(preflight.checks(context, entity))
    except PreconditionError as error:
        details = {"reason": error.message}
        context.journal.record(_event(entity, lease, "copy start", "refused", details))
        raise


def _capture(context: Context, entity: EntityTarget) -> tuple[str, ...]:
    context.say(f"adding the triggers to {entity.name}'s table")
    event = {"action": "capture", "entity": entity.name}
    answer = invoke(context, context.target.bridge_install_function, event, "runbook copy start")
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
        if context.journal.change_record(
            entity.name, names.COPY_RECORD, {**changes, **kept, **limits.given}, expected
        ):
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
    context: Context, entity: EntityTarget, command: str, result: str, changes: Mapping[str, Any]
) -> Done:
    with held(context.journal, entity.name, context.clients.operator, command) as lease:
        settled = switching.settle(context, entity, lease)
        for _ in range(TRIES):
            expected = {"started_at": record(context, entity)["started_at"]}
            if context.journal.change_record(entity.name, names.COPY_RECORD, changes, expected):
                break
        else:
            raise _too_many(entity)
        context.journal.record(_event(entity, lease, command, "done", changes))
    return Done(entity=entity.name, result=result, record=record(context, entity), settled=settled)


def _too_many(entity: EntityTarget) -> FailedError:
    return FailedError(f"copy's record of {entity.name} keeps changing", "Run the command again.")


def _event(
    entity: EntityTarget, lease: Lease, command: str, result: str, details: Mapping[str, Any]
) -> Event:
    return Event(
        entity=entity.name,
        command=command,
        result=result,
        operator=lease.lock.holder,
        details={name: value for name, value in details.items() if value != ""},
    )
