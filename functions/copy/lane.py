"""One lane of an entity's copy: a round takes keys from the queue, writes their items, and removes them from it.

A lane has the keys of one hash value and, by its lease, one worker, so that no two write one item. A key leaves the
queue only after its item is written, so a worker may be killed at any point.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.aws.data_api import DataApi
from functions.aws.dynamodb import InDoubtError
from functions.bridge.inherit import Inheritance
from functions.copy.lease import LaneLease
from functions.copy.queue import ChangeQueue, Taken
from functions.copy.state import CopyRecord, Records
from functions.copy.throttle import Bucket, Load
from functions.copy.writer import WRITTEN_AT_ONCE, Items, ItemWriter, QuarantineKey, WriteOutcome
from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.legacy.table import LegacyStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LANE = 0
STEP = 500  # keys in one answer; of 255 bytes each, written as JSON, they stay under the Data API's 1 MiB
STEPS = names.LANES  # in a round: the lane that fills the queue does its own share of it meanwhile


class Backfill:
    """The backfill of one entity: first the items of an earlier copy whose rows are gone, then every row.

    Args:
        store: its rows.
        items: its items.
        queue: where the keys go.
        records: where its position is stored.
        lease: of the lane that enqueues.
    """

    def __init__(
        self, store: LegacyStore, items: Items, queue: ChangeQueue, records: Records, lease: LaneLease
    ) -> None:
        self._store = store
        self._items = items
        self._queue = queue
        self._records = records
        self._lease = lease

    def advance(self, copy: CopyRecord) -> int:
        """Enqueue some keys while the queue is short; returns how many.

        The position is stored only after its keys are in the queue: killed in between, they are enqueued twice.

        Raises:
            LeaseLostError: the lane is not ours any more; nothing was enqueued.
        """
        room = 0 if copy.backfilled else copy.bound - self._queue.length(copy.bound)
        if room <= 0:
            return 0
        position, done = copy.position, 0
        epoch = self._queue.epoch()
        self._lease.confirm()  # only now: no switch has come in between, so the epoch is that of this lease
        if copy.leftovers:
            return self._look_at_leftovers(copy, epoch)
        for _ in range(STEPS):
            if room <= done:
                break
            keys, following = self._store.keys(STEP, position)
            # Keys that no item can have are left out, as the triggers do; preflight and verify report them.
            usable = [key for key in keys if mapping.usable_key(key)]
            if not self._queue.enqueue(usable, epoch, backfill=True):
                break
            self._records.checkpoint(copy, following, len(keys), self._lease.held())
            position, done = following, done + len(keys)
            if not following:
                break
        return done

    def _look_at_leftovers(self, copy: CopyRecord, epoch: int) -> int:
        """Enqueue the items of one page that copy wrote and that have no row.

        A row that is added or deleted meanwhile is enqueued by the triggers.
        """
        keys, following = self._items.copied(copy.last_item)
        gone = self._store.missing(keys)
        if not self._queue.enqueue(gone, epoch, backfill=False):
            return 0
        self._records.looked_at(copy, following, self._lease.held())
        return len(gone)


# Rows of the queue taken at once: at most, at first, at least; whole transactions, where no key waits twice.
ROUND, FIRST, FEWEST = 10 * WRITTEN_AT_ONCE, WRITTEN_AT_ONCE, 5
FAST, SLOW = 1.0, 3.0  # seconds; a round takes more rows after a fast one, fewer after a slow one: rows may be large
# Keys that are read at once, while as many are written; of 400 KB each, both stay under the function's memory.
SLICE = WRITTEN_AT_ONCE
REPORT_SECONDS = 1.0  # between two notes of the changes done; the backfill notes each round
PAUSE = 1.0  # seconds between two rounds while Aurora is busy


@dataclass(frozen=True, kw_only=True)
class LaneTargets:
    """Where a lane reads and writes.

    Attributes:
        database: the Data API, on the entity's database, as the bridge's user: it passes the triggers.
        dynamodb: must not repeat calls by itself.
        quarantine: takes the records that cannot be items.
    """

    database: DataApi
    dynamodb: DynamoDBClient
    table: str
    journal: str
    quarantine: QuarantineKey


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round did.

    Attributes:
        running: False when copy is not to run now; nothing was done.
        rows: of the queue that are done.
        enqueued: keys that the backfill added.
        wait: seconds that a limit wants before the next round.
        hurries: whether clients wait for the queue to be empty.
        attends: whether they do, or are about to.
    """

    running: bool = True
    rows: int = 0
    enqueued: int = 0
    wait: float = 0.0
    hurries: bool = False
    attends: bool = False


class CopyLane:
    """One worker on one lane.

    Args:
        lane: 0 to `names.LANES` - 1; the first does the backfill.
        targets: where it reads and writes.
        owner: the worker's name; no two workers share one.
        clock: monotonic seconds.
    """

    def __init__(
        self, entity: Entity, lane: int, targets: LaneTargets, owner: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        store = LegacyStore(entity, targets.database)
        self._lane = lane
        self.records = Records(targets.dynamodb, targets.journal, entity.name)
        self.lease = LaneLease(targets.dynamodb, targets.journal, entity.name, lane, owner, clock)
        self.queue = ChangeQueue(targets.database, entity)
        items = Items(targets.dynamodb, targets.table, entity.modern.key, self.lease)
        self._inheritance = Inheritance(entity, targets.database)
        self._writer = ItemWriter(entity, store, items, targets.quarantine, self.lease)
        self._backfill = Backfill(store, items, self.queue, self.records, self.lease)
        self._bucket = Bucket(clock)
        self._load = Load(targets.database, clock)
        self._clock = clock
        self._most = FIRST
        self._started_at = ""
        self._done: Counter[str] = Counter()
        self._reported = clock()

    def round(self) -> Round:
        """One round; the lease must have been taken.

        Raises:
            LeaseLostError: another worker has the lane; nothing was written since.
            TransientError, TransientDynamoError: try again later; everything can be repeated.
        """
        try:
            return self._round()
        except InDoubtError:
            self.lease.doubt()
            raise

    def _round(self) -> Round:
        copy = self.records.read()
        if copy.started_at != self._started_at:
            self.report()  # of the backfill before
            self._started_at = copy.started_at
        if not copy.runs:
            self.report()
            return Round(running=False)
        self.lease.keep()
        wait = self._held_back(copy)
        if wait:
            return Round(wait=wait)
        began = self._clock()
        taken = self.queue.take(self._lane, self._most if copy.hurries else self._bucket.available(self._most))
        self._bucket.take(len(taken))
        self.lease.note(lag=max((row.age for row in taken if not row.backfill), default=0.0))
        self._finish(taken)
        if not taken or any(row.backfill for row in taken) or self._clock() - self._reported >= REPORT_SECONDS:
            self.report()
        self._adapt(len(taken), self._clock() - began)
        return Round(rows=len(taken), enqueued=self._fill(copy), hurries=copy.hurries, attends=copy.attends)

    def _adapt(self, rows: int, seconds: float) -> None:
        """Keep rounds short enough to renew the lease in time, and to end before the function must."""
        if seconds > SLOW:
            self._most = max(FEWEST, self._most // 2)
        elif seconds < FAST and rows == self._most:
            self._most = min(ROUND, self._most * 2)

    def _held_back(self, copy: CopyRecord) -> float:
        """Seconds to wait before anything is taken; none while clients wait."""
        reason = "" if copy.hurries else self._load.excess(copy.threads)
        if reason != copy.paused and self._lane == LANE:
            self.records.pause(reason, self.lease.held())
        if reason or copy.hurries:
            return PAUSE if reason else 0.0
        self._bucket.limit(copy.rate / names.LANES)
        return self._bucket.wait()

    def _finish(self, rows: Sequence[Taken]) -> None:
        self._inheritance.correct(list(dict.fromkeys(row.key for row in rows if row.arrived)))
        keys = list(dict.fromkeys(row.key for row in rows))
        outcome = self._writer.copy([keys[start : start + SLICE] for start in range(0, len(keys), SLICE)])
        if not outcome.proven:
            self.lease.confirm()  # no write has shown it: the lane's next worker may be at an older state of a row
        self.queue.remove(rows)
        self._report(rows, outcome)

    def _report(self, rows: Sequence[Taken], outcome: WriteOutcome) -> None:
        backfilled = sum(row.backfill for row in rows)
        self._done.update(
            rows_done=backfilled,
            changes_done=len(rows) - backfilled,
            deleted=outcome.deleted,
            skipped=outcome.skipped,
            parked=outcome.quarantined,
        )
        self.lease.note(rows=len(rows))

    def report(self) -> None:
        """Let the journal know what was done since the last time; in the end, too."""
        if self._done:
            self.records.count(self._started_at, **self._done)
        self._done.clear()
        self._reported = self._clock()

    def _fill(self, copy: CopyRecord) -> int:
        if self._lane != LANE or copy.backfilled or copy.hurries:
            return 0
        return self._backfill.advance(copy)
