"""`runbook copy status` and `watch`: progress, speed, lanes, and what slows copy down."""

import datetime as dt
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.domain import names
from functions.domain.phase import Phase
from runbook.aws import executions
from runbook.aws.outputs import EntityTarget
from runbook.checks import copy as checks
from runbook.copy import control, ranges
from runbook.copy.ranges import RangesProgress
from runbook.errors import FailedError, PreconditionError
from runbook.journal.state import State
from runbook.stack import Context

MOST_COUNTED = 50_000  # rows of the queue
RATE_SECONDS = 10.0  # over which a rate is computed
ALIVE_SECONDS = 30.0  # after which a lane without a beat counts as dead
SILENCE_SECONDS = 90.0  # without any lane's beat until watching ends; schedules call them every minute
SCHEDULES_SECONDS = 15.0  # between two looks at those schedules
LANE_SILENCE_SECONDS = 300.0  # for a single lane
KEEPING_UP_SECONDS = 5.0  # of lag that live traffic leaves
LOOKS = 3  # looks in a row that must find it keeping up, where the queue is never empty
WHOLE = 100.0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One lane: who works on it, seconds since its last beat (None for never), rows in all, lag in seconds."""

    lane: int
    owner: str
    beat: str
    age: float | None
    rows: int
    lag: float

    @property
    def alive(self) -> bool:
        return self.age is not None and self.age <= ALIVE_SECONDS


@dataclass(frozen=True, kw_only=True)
class CopyProgress:
    """How far copy of one entity is.

    Attributes:
        state: `running`, `stopped` or `not started`.
        total: rows when it started; an estimate for big tables.
        enqueued: rows that the backfill has put into the queue.
        rows_done: rows of the backfill that the lanes have done; a killed worker's last second may count twice, or not.
        changes_done: keys done because legacy's writers changed them.
        deleted: items deleted; `skipped` were right already, `quarantined` are those that DynamoDB refused.
        backfill_done: rows of the backfill that are done, each once.
        rate: keys a second now; None when there was no time to see.
        eta: seconds until the backfill is done; None when that is unknown.
        queue: keys that wait; `queue_exact` is False when there are more than were counted.
        lag: seconds that the oldest of them has waited.
        paused: why copy waits; empty when it does not.
        schedules: what is wrong with the schedules that call its lanes; empty when they are enabled while it runs, and
            only then.
        limits: rate (rows/s), threads, bound; 0 for no limit.
        ranges: of a backfill by ranges, until it is done; meanwhile no lane works.
    """

    entity: str
    phase: str
    state: str
    total: int = 0
    enqueued: int = 0
    rows_done: int = 0
    changes_done: int = 0
    quarantined: int = 0
    deleted: int = 0
    skipped: int = 0
    backfilled: bool = False
    backfill_done: int = 0
    percent: float = 0.0
    rate: float | None = None
    eta: float | None = None
    queue: int = 0
    queue_exact: bool = True
    lag: float = 0.0
    paused: str = ""
    schedules: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lanes: Sequence[Lane] = ()
    ranges: RangesProgress | None = None
    started_at: str = ""
    operator: str = ""

    @property
    def drained(self) -> bool:
        """Whether everything is in DynamoDB, at this moment."""
        return self.backfilled and self.queue == 0

    @property
    def keeps_up(self) -> bool:
        """Whether only what was written a moment ago is not there yet."""
        return self.backfilled and self.backfill_done >= self.enqueued and self.lag <= KEEPING_UP_SECONDS


class Watch:
    """Looks at one entity again and again; the rate comes from the last seconds' looks."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self._context = context
        self._entity = entity
        self._seen: deque[tuple[float, int]] = deque()
        self._began = time.monotonic()
        self._calm = 0
        self._schedules = ""
        self._schedules_seen = -math.inf

    def look(self) -> CopyProgress:
        context, name = self._context, self._entity.name
        state = context.journal.state(name)
        record = context.journal.find_record(name, names.COPY_RECORD)
        if record is None:
            return CopyProgress(
                entity=name,
                phase=state.phase,
                state="not started",
                lanes=self._lanes(),
                schedules=self._wrong_schedules(),
            )
        found = self._progress(state, record)
        if found.ranges and found.ranges.ended and self._went_on(record):
            return self.look()  # the record is older than the execution's end
        self._calm = self._calm + 1 if found.keeps_up else 0
        return found

    def _went_on(self, record: Mapping[str, Any]) -> bool:
        now = self._context.journal.find_record(self._entity.name, names.COPY_RECORD) or {}
        return any(now.get(name) != record.get(name) for name in ("run", "state", "stage"))

    def caught_up(self, found: CopyProgress) -> bool:
        """Whether the backfill is done and the queue was empty, or is kept short however much is written."""
        return found.drained or self._calm >= LOOKS

    def demand_running(self, found: CopyProgress) -> None:
        """Stop watching what cannot come to an end.

        Raises:
            PreconditionError: copy does not run in this phase, or was stopped.
            FailedError: no worker is running.
        """
        name = self._entity.name
        if found.phase not in {Phase.LEGACY, Phase.SWITCHING}:
            raise PreconditionError(
                f"{name} is in phase {found.phase}; copy works in phase legacy", "See `runbook status`."
            )
        if found.state != control.RUNNING:
            raise PreconditionError(f"copy of {name} is {found.state}", f"Run `runbook copy start --entity {name}`.")
        if found.ranges:
            _demand_execution(found.ranges, name)
            return
        silent = {lane.lane: self._silence(lane) for lane in found.lanes}
        if min(silent.values()) > SILENCE_SECONDS:
            raise _no_worker(f"no lane of {name} has reported for {SILENCE_SECONDS:.0f} s", name)
        lost = [lane for lane, seconds in silent.items() if seconds > LANE_SILENCE_SECONDS]
        if lost:
            raise _no_worker(f"lane {lost[0]} of {name} has not reported for {LANE_SILENCE_SECONDS:.0f} s", name)

    def _silence(self, lane: Lane) -> float:
        watched = time.monotonic() - self._began
        return watched if lane.age is None else min(watched, lane.age)

    def _progress(self, state: State, record: Mapping[str, Any]) -> CopyProgress:
        queue = self._context.aurora.queue(self._context.target.mapping[self._entity.name])
        waiting = self._context.aurora.ask(lambda: queue.waiting(MOST_COUNTED + 1))
        counts = {name: int(record.get(name, 0)) for name in control.COUNTERS}
        rate = self._rate(counts["rows_done"] + counts["changes_done"])
        enqueued = counts["enqueued"]
        done = max(0, enqueued - waiting.backfill)
        total = max(int(record["total"]), enqueued)
        finished = bool(record["backfilled"])
        left = waiting.backfill if finished else total - done
        return CopyProgress(
            entity=self._entity.name,
            phase=state.phase,
            state=record["state"],
            total=total,
            quarantined=counts.pop("parked"),
            **counts,
            backfilled=finished,
            backfill_done=done,
            percent=WHOLE if left <= 0 else round(min(WHOLE * done / total, 99.9), 1),
            rate=rate,
            eta=0.0 if left <= 0 else round(left / rate, 1) if rate else None,
            queue=min(waiting.rows, MOST_COUNTED),
            queue_exact=waiting.rows <= MOST_COUNTED,
            lag=waiting.age,
            paused=record.get("paused", ""),
            schedules=self._wrong_schedules(),
            limits={name: record[name] for name in control.DEFAULTS.given if name in record},
            lanes=self._lanes(),
            ranges=ranges.progress(self._context, self._entity, record),
            started_at=record["started_at"],
            operator=record["operator"],
        )

    def _rate(self, rows: int) -> float | None:
        """Keys a second over the last looks; begun anew when the count was."""
        if self._seen and rows < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((time.monotonic(), rows))
        while len(self._seen) > 2 and self._seen[-1][0] - self._seen[1][0] > RATE_SECONDS:  # noqa: PLR2004  # both ends
            self._seen.popleft()
        seconds = self._seen[-1][0] - self._seen[0][0]
        return round((rows - self._seen[0][1]) / seconds, 1) if seconds else None

    def _wrong_schedules(self) -> str:
        if time.monotonic() - self._schedules_seen >= SCHEDULES_SECONDS:
            found = checks.schedules(self._context, self._entity)
            self._schedules = "; ".join(f"{each.value}, expected {each.limit}" for each in found if not each.ok)
            self._schedules_seen = time.monotonic()
        return self._schedules

    def _lanes(self) -> list[Lane]:
        return [self._lane(number) for number in range(names.LANES)]

    def _lane(self, number: int) -> Lane:
        found = self._context.journal.find_record(self._entity.name, names.lane_record(number)) or {}
        beat = str(found.get("beat", ""))
        age = self._context.journal.time() - dt.datetime.fromisoformat(beat).timestamp() if beat else None
        return Lane(
            lane=number,
            owner=str(found.get("owner", "")),
            beat=beat,
            age=None if age is None else round(max(0.0, age), 1),
            rows=int(found.get("rows", 0)),
            lag=float(found.get("lag", 0)),
        )


def looks(context: Context, entities: Sequence[EntityTarget], apart: float) -> list[CopyProgress]:
    """Two looks at each entity, so many seconds apart, so that there is a rate; one where nothing runs."""
    watches = [Watch(context, entity) for entity in entities]
    found = [watch.look() for watch in watches]
    if any(one.state == control.RUNNING and not one.drained for one in found):
        time.sleep(apart)
        return [watch.look() for watch in watches]
    return found


def follow(
    context: Context,
    entities: Sequence[EntityTarget],
    every: float,
    *,
    until_caught_up: bool,
    check: Callable[[], None] = lambda: None,
) -> Iterator[list[CopyProgress]]:
    """Look every so many seconds, until all of them have caught up.

    Args:
        every: seconds.
        until_caught_up: False to watch until interrupted.
        check: raises when watching is of no use any more.

    Raises:
        PreconditionError: copy of one of them does not run.
        FailedError: no worker is running for one of them.
    """
    watches = [Watch(context, entity) for entity in entities]
    while True:
        check()
        found = [watch.look() for watch in watches]
        yield found
        done = [watch.caught_up(one) for watch, one in zip(watches, found, strict=True)]
        if until_caught_up and all(done):
            return
        for watch, one, over in zip(watches, found, done, strict=True):
            if not (until_caught_up and over):
                watch.demand_running(one)
        time.sleep(every)


def _demand_execution(found: RangesProgress, entity: str) -> None:
    if found.ended and found.execution != executions.MISSING:
        raise FailedError(
            f"the execution {found.run}, which copies {entity} by ranges, has ended as {found.execution}: "
            f"{found.problem}",
            f"Run `runbook copy start --entity {entity}`: it resumes the ranges that are left.",
        )


def _no_worker(problem: str, entity: str) -> FailedError:
    return FailedError(
        problem,
        f"Run `runbook copy start --entity {entity}` again: it calls every lane. Then see the copy function's log.",
    )
