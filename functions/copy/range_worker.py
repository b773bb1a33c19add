"""The steps that Step Functions calls for a backfill by ranges: plan, copy a range, end.

A range's worker reads the rows as they are now and writes their items, page by page, until shortly before its time is
up. The next call resumes where it was. A worker that dies is called again, and takes the range from the dead one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger

from functions.aws.dynamodb import InDoubtError, TransientDynamoError, called
from functions.aws.mysql_errors import TransientError
from functions.aws.retry import back_off, retry
from functions.bridge.inherit import Inheritance
from functions.copy.lane import FAST, FEWEST, FIRST, PAUSE, SLICE, SLOW, LaneTargets
from functions.copy.lease import LeaseLostError
from functions.copy.queue import ChangeQueue
from functions.copy.range_plan import RangePlan
from functions.copy.ranges import COPY, END, PLAN, CopyRange, RangeLease, RangeRecords
from functions.copy.state import CopyRecord, Records
from functions.copy.throttle import Bucket, Load
from functions.copy.writer import PAGE, Items, ItemWriter, WriteOutcome
from functions.domain import mapping, origin
from functions.domain.entities import Entity
from functions.legacy.table import LegacyStore

STOP_BEFORE_SECONDS = 20.0  # before the function's timeout, after which a worker begins no further page
MOST_KEYS = 4 * SLICE  # of a page; half of them are read while others are written
RETRY_SECONDS = 30.0  # for the journal at the beginning of a step

logger = Logger(child=True)
Transient = (TransientError, TransientDynamoError)


class RangesLeftError(Exception):
    """Ranges are not done, so the backfill is not either: `runbook copy start` continues with them."""


def step(
    event: Mapping[str, Any],
    entity: Entity,
    targets: LaneTargets,
    remaining: Callable[[], float],
    wake: Callable[[], object],
) -> dict[str, Any]:
    """Do the step that a state asks for.

    Args:
        event: `step`, the `run` (an execution's name) and, to copy, the `range`'s number.
        remaining: seconds that the function may still run.
        wake: calls the lanes.

    Raises:
        RangesLeftError, LeaseLostError: and any unknown error, after which the state machine tries again.
    """
    run = str(event["run"])
    if event["step"] == PLAN:
        return _plan(entity, targets, run, remaining)
    if event["step"] == COPY:
        return {"more": RangeWork(entity, targets, int(event["range"]), run, remaining).work()}
    ended = _end(entity, targets, run)
    if ended:
        wake()
    return {"ended": ended}


def _read(entity: Entity, targets: LaneTargets) -> CopyRecord:
    records = Records(targets.dynamodb, targets.journal, entity.name)
    return retry(records.read, TransientDynamoError, timeout=RETRY_SECONDS)


def _plan(entity: Entity, targets: LaneTargets, run: str, remaining: Callable[[], float]) -> dict[str, Any]:
    """Plan until all is planned or time is up; then the numbers of the ranges that are not done."""
    ranges = RangeRecords(targets.dynamodb, targets.journal, entity.name)
    plan = RangePlan(entity, targets.database, ranges)
    copy = _read(entity, targets)
    while copy.is_of(run) and copy.stage == PLAN:
        if remaining() <= STOP_BEFORE_SECONDS:
            return {"more": True, "workers": copy.workers, "ranges": []}
        plan.advance(copy)
        copy = _read(entity, targets)
    found = list(ranges.all(copy.ranges if copy.is_of(run) else 0).values())
    # those that are done, too: a call of a worker of the run before may be late
    mine = ranges.adopt(copy, found)
    numbers = sorted(each.number for each in found if not each.done) if mine else []
    return {"more": False, "workers": copy.workers, "ranges": numbers}


def _end(entity: Entity, targets: LaneTargets, run: str) -> bool:
    """Bar the ranges and let the lanes work; False when the run was stopped or is another's.

    The stage `end` is stored first: a step that is repeated then bars the rest, and looks at no range again.
    """
    ranges = RangeRecords(targets.dynamodb, targets.journal, entity.name)
    copy = _read(entity, targets)
    if not copy.is_of(run):
        return False
    if copy.stage != END:
        found = ranges.all(copy.ranges)
        left = [number for number in range(copy.ranges) if number not in found or not found[number].done]
        if left or copy.stage == PLAN:
            raise RangesLeftError(f"{len(left)} of {copy.ranges} ranges are not done, the first is {left[:1]}")
        ranges.end(run, COPY)
    ranges.bar(run, copy.ranges)
    return ranges.end(run, END)


@dataclass
class RangeWork:
    """A worker on one range, until it is done or time is up.

    Args:
        remaining: seconds that it may still run.
    """

    entity: Entity
    targets: LaneTargets
    number: int
    run: str
    remaining: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)
    _most: int = field(default=FIRST, init=False)

    def __post_init__(self) -> None:
        targets, entity = self.targets, self.entity
        place = targets.dynamodb, targets.journal, entity.name
        self.lease = RangeLease(*place, self.number, self.run)
        self._records = Records(*place)
        self._store = LegacyStore(entity, targets.database)
        self._queue = ChangeQueue(targets.database, entity)
        items = Items(targets.dynamodb, targets.table, entity.modern.key, self.lease)
        self._writer = ItemWriter(entity, self._store, items, targets.quarantine, self.lease)
        self._inheritance = Inheritance(entity, targets.database)
        self._bucket = Bucket(self.clock)
        self._load = Load(targets.database, self.clock)

    def work(self) -> bool:
        """Pages until the range is done, copy stops, or time is up; whether the range is to be continued.

        Raises:
            LeaseLostError: another worker has taken the range.
        """
        taken = retry(self.lease.take, TransientDynamoError, timeout=RETRY_SECONDS)
        if taken is None:
            return False
        page = self._items_page if taken.segments else self._rows_page
        position = taken.position or taken.after
        while self.remaining() > STOP_BEFORE_SECONDS:
            try:
                self.lease.keep()
                copy = self._records.read()
                if not copy.is_of(self.run):
                    return False
                if not self._waited(copy, position):
                    position, done = page(copy, taken, position)
                    if done:
                        return False
            except Transient as error:
                self._recover(error)
            else:
                self._failures = 0
        return True

    def _recover(self, error: Exception) -> None:
        if isinstance(error, InDoubtError):
            self.lease.doubt()
        self._failures += 1
        wait = back_off(self._failures)
        logger.warning("a range waits", extra={"range": self.number, "reason": str(error), "seconds": round(wait, 2)})
        self.sleep(wait)

    def _waited(self, copy: CopyRecord, position: str) -> bool:
        """Whether a limit made it wait."""
        reason = self._load.excess(copy.threads)
        self._bucket.limit(copy.rate / copy.workers)
        wait = PAUSE if reason else min(self._bucket.wait(), PAUSE)
        if reason:
            self.lease.note(position, reason=reason)
        if wait:
            self.sleep(wait)
        return bool(wait)

    def _rows_page(self, copy: CopyRecord, taken: CopyRange, position: str) -> tuple[str, bool]:
        """Copy some rows behind the position; the new one, and whether the range is done."""
        began = self.clock()
        keys, following = self._store.keys(self._bucket.available(self._most), position, taken.until)
        self._bucket.take(len(keys))
        outcome = self._copied([key for key in keys if mapping.usable_key(key)])
        self.lease.note(following or taken.until, done=not following)
        self._count(copy, len(keys), outcome)
        self._adapt(len(keys), self.clock() - began)
        return following or taken.until, not following

    def _copied(self, keys: Sequence[str]) -> WriteOutcome:
        self._inheritance.correct(keys)
        return self._writer.copy([keys[start : start + SLICE] for start in range(0, len(keys), SLICE)])

    def _count(self, copy: CopyRecord, rows: int, outcome: WriteOutcome) -> None:
        self._records.count(
            copy.started_at,
            enqueued=rows,
            rows_done=rows,
            deleted=outcome.deleted,
            skipped=outcome.skipped,
            parked=outcome.quarantined,
        )

    def _adapt(self, rows: int, seconds: float) -> None:
        """Keep pages short, because rows may be large."""
        if seconds > SLOW:
            self._most = max(FEWEST, self._most // 2)
        elif seconds < FAST and rows == self._most:
            self._most = min(MOST_KEYS, self._most * 2)

    def _items_page(self, _copy: CopyRecord, taken: CopyRange, position: str) -> tuple[str, bool]:
        """Queue the items of a page that copy wrote and that have no row: a lane deletes them in the end."""
        start: Any = {"ExclusiveStartKey": {self.entity.modern.key: {"S": position}}} if position else {}
        found: Any = called(
            lambda: self.targets.dynamodb.scan(
                TableName=self.targets.table,
                ConsistentRead=True,
                Limit=PAGE,
                Segment=taken.segment,
                TotalSegments=taken.segments,
                **start,
            )
        )
        keys = [(item[self.entity.modern.key]["S"], item) for item in found["Items"]]
        epoch = self._queue.epoch()
        self.lease.note(position)  # only now: no switch has come in between, so the epoch is that of this run
        gone = self._store.missing([key for key, item in keys if origin.is_marked(key, item)])
        if not self._queue.enqueue(gone, epoch, backfill=False):
            raise LeaseLostError
        following = found.get("LastEvaluatedKey", {}).get(self.entity.modern.key, {}).get("S", "")
        self.lease.note(following, done=not following)
        return following, not following
