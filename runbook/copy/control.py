"""`runbook copy start`, `set` and `stop`: controls the workers that copy Aurora's rows to DynamoDB.

The workers run in Lambda. They read copy's record in the journal every few seconds, and do what stands there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from functions.aws.retry import poll
from functions.domain import names
from functions.domain.phase import Phase
from functions.install.control_row import FIRST_EPOCH
from runbook.aws.api_gateway import Side
from runbook.aws.outputs import EntityTarget
from runbook.checks import check as checks
from runbook.checks import copy as copy_checks
from runbook.checks import plans, routes
from runbook.checks import triggers as capture
from runbook.checks.plans import CheckScope
from runbook.copy import estimate, ranges
from runbook.copy.estimate import Way
from runbook.copy.ranges import WayChoice
from runbook.cutover.command import claim, record_event, resume
from runbook.cutover.drain import StreamDrain
from runbook.cutover.steps import Choices, SwitchRun
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.journal.lock import Lease
from runbook.journal.operation import Outcome
from runbook.journal.state import now
from runbook.stack import Context

RUNNING, STOPPED = "running", "stopped"
COUNTERS = ("enqueued", "rows_done", "changes_done", "deleted", "skipped", "parked")
TRIES = 5  # at a record that another command changes
RELEASE = "copy stop --remove-triggers"
LANES_TIMEOUT_SECONDS = 120.0  # for the lanes to end: a round of theirs, or a dead worker's lease
LOOK_SECONDS = 0.2  # between two looks at them
INSTEAD = {
    Phase.MODERN: "DynamoDB is the source of truth. Run `runbook verify`, `runbook rollback` or `runbook complete`. "
    "Copy runs again by itself after a rollback.",
    Phase.COMPLETE: f"The bridge and the triggers are gone: `runbook complete` removed them. {routes.WHAT_IS_LEFT}",
}


@dataclass(frozen=True, kw_only=True)
class CopyLimits:
    """What slows copy down; None leaves a limit as it is.

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


DEFAULTS = CopyLimits(rate=0, threads=0, bound=20_000)


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What a command did.

    Attributes:
        result: `started`, `resumed`, `running` (it was), `begun anew`, `mended` (its triggers), `enabled` (its
            schedules), `stopped`, `set`, `removed`.
        record: copy's record now.
        triggers: those that were added now.
        gate: where the command has sent public writes: `gate` or `legacy`; empty where it changed nothing.
        resumed: the interrupted operation that was finished or undone first.
    """

    entity: str
    result: str
    record: Mapping[str, Any]
    triggers: tuple[str, ...] = ()
    gate: str = ""
    resumed: Outcome | None = None


def start(  # noqa: PLR0913  # what slows it down, and how it begins
    context: Context,
    entity: EntityTarget,
    limits: CopyLimits,
    *,
    again: bool,
    call: bool = True,
    choice: WayChoice | None = None,
) -> CopyResult:
    """Begin to copy, or continue where it was stopped, and put the gate into the path of public writes.

    In phase modern it only adds triggers that are missing, and enables schedules that are not.

    Args:
        limits: what slows it down.
        again: enqueue every row once more.
        call: call the workers; their schedules, which it enables, do within a minute in any case.
        choice: by lanes or ranges; a backfill under way keeps its own, and one that begins chooses by size.

    Raises:
        PreconditionError: the phase is another, or a check of preflight does not hold; nothing was changed.
        RefusedError: another operator holds the lock.
    """
    with context.held(entity, "copy start") as lease:
        claim(context, entity, lease)
        resumed = resume(context, entity, lease)
        phase = context.journal.state(entity.name).phase
        started = context.journal.find_record(entity.name, names.COPY_RECORD) is not None
        # in phase modern a rollback will need triggers that are missing, and schedules that are disabled
        restored = _to_restore(context, entity) if phase == Phase.MODERN and started else ""
        if not restored:
            _demand_phase(entity, phase, "copy starts in phase legacy only", Phase.LEGACY)
            _demand_preflight(context, entity)
            if again or not started:
                # the rows would be copied over what modern wrote before a rollback and Aurora does not have yet
                _wait_until_drained(context, entity, lease)
        triggers = _capture(context, entity, lease)
        lease.check()
        gate = "" if restored else _put_gate(context, entity, lease)
        # why before the record: killed in between, schedules call lanes that end at once, and none is missing
        _switch_schedules(context, entity, lease, enabled=True)
        result = restored or _begin(context, entity, lease, limits, choice or WayChoice(), again=again)
        lease.record(result, {**({"writes": gate} if gate else {}), **limits.given})
        _call_ranges(context, entity, lease)
    if call and not restored:
        context.wake_lanes(entity)
    return CopyResult(
        entity=entity.name, result=result, record=record(context, entity), triggers=triggers, gate=gate, resumed=resumed
    )


def change(context: Context, entity: EntityTarget, limits: CopyLimits) -> CopyResult:
    """Change limits while it runs; the workers read them within seconds.

    Raises:
        UsageError: no limit is given.
        PreconditionError: it was never started, or the entity is complete.
    """
    if not limits.given:
        raise UsageError("there is nothing to set", "Give --rate, --max-threads or --queue-bound.")
    return _changed(context, entity, "set", limits.given, (Phase.LEGACY, Phase.MODERN))


def stop(context: Context, entity: EntityTarget) -> CopyResult:
    """Let the workers end, and call no other. The triggers stay: no change is missed until it is started again.

    Raises:
        PreconditionError: it was never started; or the phase is not legacy: copy must run by itself after a rollback.
    """
    return _changed(context, entity, STOPPED, {"state": STOPPED, "paused": ""}, (Phase.LEGACY,))


def release(context: Context, entity: EntityTarget) -> CopyResult:
    """Stop copy and remove its triggers, its queue, its records and the gate, as if it had never been started.

    The items stay. Every part is safe to repeat, so the command may be killed and run again.

    Raises:
        PreconditionError: another phase, reads on modern, or an interrupted operation; nothing was changed.
        FailedError: a lane did not end, or Aurora refused; run it again.
        RefusedError: another operator holds the lock.
    """
    with context.held(entity, RELEASE) as lease:
        claim(context, entity, lease)
        _demand_releasable(context, entity)
        _wait_until_drained(context, entity, lease)  # without triggers, a late record would overwrite legacy's writes
        _end_lanes(context, entity, lease)
        _end_ranges(context, entity, lease, context.journal.find_record(entity.name, names.COPY_RECORD) or {})
        lease.check()
        gone = _call_install(context, entity, lease, "release")
        queue = context.aurora.queue(context.target.mapping[entity.name])
        while context.aurora.ask(lambda: queue.remove_some(lease.last_token)):
            lease.check()
        lease.check()
        lanes = map(names.lane_record, range(names.LANES))
        records = (names.VERIFIED_RECORD, *lanes, names.COPY_RECORD)
        context.journal.remove_records(lease.lock, entity.name, *records)
        gate = _take_gate_out(context, entity, lease)
        details = {"triggers": ", ".join(gone), "writes": gate}
        lease.record("removed", {name: text for name, text in details.items() if text})
    return CopyResult(entity=entity.name, result="removed", record={}, triggers=gone, gate=gate)


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


def _to_restore(context: Context, entity: EntityTarget) -> str:
    """The result of a start that restores what copy needs after a rollback; empty where nothing is missing."""
    if capture.wrong(context.aurora, context.target.mapping[entity.name]):
        return "mended"
    return "" if checks.green(copy_checks.schedules(context, entity)) else "enabled"


def _switch_schedules(context: Context, entity: EntityTarget, lease: Lease, *, enabled: bool) -> None:
    lease.check()
    context.switch_schedules(entity, enabled=enabled, check=lease.check)


def _demand_phase(entity: EntityTarget, phase: Phase, rule: str, *legal: Phase) -> None:
    if phase not in legal:
        raise PreconditionError(
            f"{entity.name} is in phase {phase}; {rule}", INSTEAD.get(phase, "See `runbook status`.")
        )


def _demand_preflight(context: Context, entity: EntityTarget) -> None:
    if not context.target.copy_function:
        raise PreconditionError("copy is not deployed", "Deploy the part bridge: see `parts` in the stack's settings.")
    context.say(f"checking {entity.name}")
    try:
        checks.demand(plans.checks(context, entity, CheckScope.COPY))
    except PreconditionError as error:
        record_event(context, entity, "copy start", "refused", reason=error.message)
        raise


def _wait_until_drained(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Wait until the bridge has applied all that the stream has, if modern was ever the source of truth.

    Raises:
        PreconditionError: it has not in time.
    """
    if context.aurora.control(context.target.mapping[entity.name]).last_epoch > FIRST_EPOCH:
        context.say("waiting until the bridge has applied all that the stream has")
        StreamDrain(SwitchRun(context, entity, lease, Choices())).follow()


def _capture(context: Context, entity: EntityTarget, lease: Lease) -> tuple[str, ...]:
    if capture.wrong(context.aurora, context.target.mapping[entity.name]):
        # why: what was written without them was not captured, and only a new full comparison can find it
        context.journal.remove_records(lease.lock, entity.name, names.VERIFIED_RECORD)
    lease.check()
    context.say(f"adding the triggers to {entity.name}'s table")
    return _call_install(context, entity, lease, "capture")


def _call_install(context: Context, entity: EntityTarget, lease: Lease, action: str) -> tuple[str, ...]:
    """Let the install function add or remove the triggers; the names of those that it did."""
    lease.begin(f"{action} triggers")
    event = {"action": action, "entity": entity.name, "token": lease.next_token()}
    again = f"runbook {lease.lock.command} --entity {entity.name}"
    answer = context.invoke(context.target.bridge_install_function, event, again)
    return tuple(answer.get(f"{action}d", ()))


def _put_gate(context: Context, entity: EntityTarget, lease: Lease) -> str:
    """Send public writes through the gate, which passes them on to legacy; no request has to wait for that."""
    lease.check()
    return Side.GATE.value if SwitchRun(context, entity, lease, Choices()).put_gate() else ""


def _take_gate_out(context: Context, entity: EntityTarget, lease: Lease) -> str:
    lease.check()
    run = SwitchRun(context, entity, lease, Choices())
    if not context.journal.state(entity.name).gated:
        return ""
    run.writes_to(Side.LEGACY).do()
    return Side.LEGACY.value


def _begin(  # noqa: PLR0913  # what begins, and how
    context: Context, entity: EntityTarget, lease: Lease, limits: CopyLimits, choice: WayChoice, *, again: bool
) -> str:
    """Write the record: only now, since a row that is written before its triggers are there would be missed."""
    present = context.journal.find_record(entity.name, names.COPY_RECORD)
    anew = present is None or again
    by_ranges = _by_ranges(context, entity, present, choice, again=again)
    if present and again:
        _end_ranges(context, entity, lease, present)

    def changes(present: Mapping[str, Any] | None) -> Mapping[str, Any]:
        kept = {name: present[name] for name in DEFAULTS.given if present and name in present}
        if not anew and present:
            resumed = ranges.resumed(context, entity, present) if present.get("run") else {}
            return {"state": RUNNING, **resumed, **kept, **limits.given}
        way = ranges.attributes(entity, choice) if by_ranges else {"run": None, "stage": None}
        return {**_fresh(context, entity), **DEFAULTS.given, **way, **kept, **limits.given}

    before = _change_record(context, entity, lease, changes)
    if before is None or again:
        return "begun anew" if before else "started"
    return RUNNING if before["state"] == RUNNING else "resumed"


def _by_ranges(
    context: Context, entity: EntityTarget, present: Mapping[str, Any] | None, choice: WayChoice, *, again: bool
) -> bool:
    """Whether the backfill is done by ranges: one under way stays as it was begun.

    Raises:
        PreconditionError: the operator asks for the other way, or the stack has no state machine.
    """
    if present and not again:
        way = Way.RANGES if present.get("run") else Way.LANES
        if choice.way not in {None, way} and not present["backfilled"]:
            raise PreconditionError(
                f"the backfill of {entity.name} is under way by {way}",
                f"Run `runbook copy start --again --by {choice.way}` to begin anew.",
            )
        return way == Way.RANGES
    chosen = choice.way or estimate.plan(context, entity, None, choice.workers).way
    if chosen == Way.RANGES:
        ranges.demand_machine(context)
    return chosen == Way.RANGES


def _end_ranges(context: Context, entity: EntityTarget, lease: Lease, record: Mapping[str, Any]) -> None:
    """End a backfill by ranges for good, before lanes or other ranges write."""
    if record.get("run"):
        stopped, expected = {"state": STOPPED, "paused": ""}, {"started_at": record["started_at"]}
        context.journal.change_record(entity.name, names.COPY_RECORD, stopped, expected, lease.lock)
        ranges.stop(context, record, lease.lock.command)
    lease.check()
    # read anew: the plan may have added ranges until the record said stopped
    ranges.bar(context, entity, context.journal.find_record(entity.name, names.COPY_RECORD) or record)


def _call_ranges(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Start the execution, after the lanes lost their leases: they and the ranges never write at the same time."""
    found = context.journal.find_record(entity.name, names.COPY_RECORD) or {}
    if found.get("run") and found["state"] == RUNNING:
        lease.check()
        context.journal.bar_lanes(lease.lock, entity.name)
        ranges.begin(context, entity, found)


def _change_record(
    context: Context,
    entity: EntityTarget,
    lease: Lease,
    changes: Callable[[Mapping[str, Any] | None], Mapping[str, Any]],
) -> Mapping[str, Any] | None:
    """Change copy's record, by what it was, while the lock is ours; returns that."""
    for _ in range(TRIES):
        present = context.journal.find_record(entity.name, names.COPY_RECORD)
        # run and stage, too: the last step of an execution ends the run without the lock
        expected = {name: (present or {}).get(name) for name in ("started_at", "run", "stage")}
        if context.journal.change_record(entity.name, names.COPY_RECORD, changes(present), expected, lease.lock):
            return present
    raise FailedError(f"copy's record of {entity.name} keeps changing", "Run the command again.")


def _fresh(context: Context, entity: EntityTarget) -> dict[str, Any]:
    """The record of a backfill that has not begun; what the lanes add to begins at nothing."""
    rows = context.aurora.count(context.target.mapping[entity.name], exact=False)
    return {
        "state": RUNNING,
        "position": "",
        "backfilled": False,
        "leftovers": _has_items(context, entity),
        "last_item": "",
        "total": rows.records,
        **dict.fromkeys(COUNTERS, 0),
        "started_at": now(),
        "operator": context.clients.operator,
        "paused": "",
    }


def _has_items(context: Context, entity: EntityTarget) -> bool:
    """Whether there are items already, of an earlier copy for example: rows that have gone since left theirs behind."""
    page = context.clients.dynamodb.scan(TableName=entity.modern_table, ConsistentRead=True, Limit=1)
    return bool(page["Items"])


def _changed(
    context: Context, entity: EntityTarget, result: str, changes: Mapping[str, Any], legal: tuple[Phase, ...]
) -> CopyResult:
    command = "copy set" if result == "set" else "copy stop"
    with context.held(entity, command) as lease:
        resumed = resume(context, entity, lease)
        rule = f"`{command}` is for phase {' or '.join(legal)}"
        _demand_phase(entity, context.journal.state(entity.name).phase, rule, *legal)
        record(context, entity)
        _change_record(context, entity, lease, lambda _: changes)
        if result == STOPPED:
            _switch_schedules(context, entity, lease, enabled=False)  # why after the record: see `start`
            ranges.stop(context, record(context, entity), command)
        lease.record("done", {name: value for name, value in changes.items() if value != ""})
    return CopyResult(entity=entity.name, result=result, record=record(context, entity), resumed=resumed)


def _demand_releasable(context: Context, entity: EntityTarget) -> None:
    state, name = context.journal.state(entity.name), entity.name
    if state.operation is not None:
        raise PreconditionError(
            f"`{state.operation.command}` of {name} was interrupted",
            f"Run `runbook rollback --entity {name} --execute` first: it resumes it and brings all back.",
        )
    _demand_phase(entity, state.phase, "the triggers can be removed in phase legacy only", Phase.LEGACY)
    if state.reads or context.routing.reads_percent(entity):
        raise PreconditionError(
            f"modern answers reads of {name}, and would answer with what it has",
            f"Run `runbook rollback reads --entity {name} --execute` first.",
        )


def _end_lanes(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Stop the workers, wait until the last has released its lane, and refuse what one that sleeps writes later."""
    lease.check()
    record = context.journal.find_record(entity.name, names.COPY_RECORD)
    if record is not None:
        stopped, expected = {"state": STOPPED, "paused": ""}, {"started_at": record["started_at"]}
        context.journal.change_record(entity.name, names.COPY_RECORD, stopped, expected, lease.lock)
    _switch_schedules(context, entity, lease, enabled=False)
    if record is not None:
        context.say("waiting for copy's lanes to end")
    if not poll(lambda: _lanes_ended(context, entity), timeout=LANES_TIMEOUT_SECONDS, longest=LOOK_SECONDS):
        problem = f"a lane of {entity.name}'s copy has not ended"
        raise FailedError(problem, "See the copy function's log, then run the command again.")
    context.journal.bar_lanes(lease.lock, entity.name)


def _lanes_ended(context: Context, entity: EntityTarget) -> bool:
    lanes = [context.journal.find_record(entity.name, names.lane_record(lane)) or {} for lane in range(names.LANES)]
    return all(float(lane.get("expires", 0)) <= context.journal.time() for lane in lanes)
