"""How many rows a second copy's lanes and verify do, against the obvious programs and against DynamoDB alone.

A lane is copy's own code in a thread of this process. Each variant has a DynamoDB table of its own in each round. It
has no stream, so that nothing else is at work.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from functions.aws.data_api import cell_text
from functions.copy.lane import CopyLane, LaneTargets
from functions.copy.queue import ChangeQueue
from functions.domain import mapping, names, origin
from functions.domain.mapping import Record
from functions.legacy.table import LegacyStore
from runbook.copy.control import COUNTERS
from runbook.verify.checkpoint import VerifyProgress
from runbook.verify.compare import BothSides
from runbook.verify.concurrency import RateLimiter
from runbook.verify.full import FullComparison, silent
from sandbox.bench.calls import Calls
from sandbox.bench.rounds import rate
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import DISHES, System, chunks
from sandbox.errors import SandboxError

GROUP = "copy and verify"
LANES = (1, 2, 4)
PAGE = 500  # rows of one page, for the obvious programs
SIZE = 100  # bytes of a row's text
FILLED = 10_000  # rows that one statement adds
SEGMENTS = 4  # as `runbook verify` has them
GRACE = 5.0  # seconds for a difference to vanish: there is none
OF_THE_LIMIT = Goal(at_least=0.70)
OF_COPY = Goal(at_least=10)
OF_LEAST_CODE, OF_READING = Goal(at_least=0.70), Goal(at_least=0.50)
TRANSACTED = 99  # items of a transaction, beside the check of a lease

Item = dict[str, Any]


@dataclass
class Copying:
    """Rows in a legacy table that are copied and compared again and again."""

    system: System
    records: list[Record] = field(default_factory=list[Record])
    _tables: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        fill(self.system, 4000 if self.system.quick else 8000)
        begin(self.system, backfilled=True)
        self.records = list(self._pages())

    def rows(self) -> Iterator[Row]:
        """Copy by number of lanes, then verify, of the same rounds."""
        found: dict[str, list[float]] = {}
        for number in range(self.system.rounds + 1):
            for name, value in self._round():
                found.setdefault(name, []).extend([value] if number else [])  # the first round warms up
        for lanes in LANES:
            ours, plural = found[f"{lanes}"], "" if lanes == 1 else "s"
            yield compared(GROUP, f"{lanes} lane{plural}, obvious loop", "/s", ours, found["loop"])
            yield compared(
                GROUP, f"{lanes} lane{plural}, BatchWriteItem", "/s", ours, found[f"limit {lanes}"], OF_THE_LIMIT
            )
        yield compared(GROUP, "1 lane, rows and items alone", "/s", found["1"], found["least"], OF_LEAST_CODE)
        yield compared(GROUP, "verify, copy with 4 lanes", "/s", found["verify"], found["4"], OF_COPY)
        yield compared(GROUP, "verify, fetch everything", "/s", found["verify"], found["fetch"])
        yield compared(GROUP, "verify, scan and select alone", "/s", found["verify"], found["read"], OF_READING)

    def _round(self) -> Iterator[tuple[str, float]]:
        """Each variant once, in an order in which verify has what copy has written."""
        yield "loop", self._timed(self.records[: 400 if self.system.quick else 1000], self._loop)
        first = [record for record in self.records if not names.lane_of(record.key)]
        yield "least", self._timed(first, self._least)
        for lanes in LANES:
            some = [record for record in self.records if names.lane_of(record.key) < lanes]
            yield f"limit {lanes}", self._timed(some, lambda table, of, lanes=lanes: self._limit(table, of, lanes))
            with self._table() as table:
                yield f"{lanes}", rate(len(some), lambda: self.copy(table, some, lanes))  # noqa: B023  # called at once
                if lanes == max(LANES):
                    yield "verify", rate(len(some), lambda: self.verify(table))  # likewise
                    yield "fetch", rate(len(some), lambda: self._fetch(table))  # likewise
                    yield "read", rate(len(some), lambda: self._read(table))  # likewise

    def _timed(self, records: Sequence[Record], write: Callable[[str, Sequence[Record]], None]) -> float:
        with self._table() as table:
            return rate(len(records), lambda: write(table, records))

    def copy(self, table: str, records: Sequence[Record], lanes: int) -> None:
        """Enqueue these rows as the backfill does, and have so many lanes copy them."""
        queue = ChangeQueue(self.system.as_bridge(DISHES), self.system.entity(DISHES))
        epoch = queue.epoch()
        for some in chunks(records, PAGE):
            queue.enqueue([record.key for record in some], epoch, backfill=True)
        with ThreadPoolExecutor(lanes) as pool:
            done = sum(pool.map(partial(drain, self.system, table), range(lanes)))
        if done != len(records):
            raise SandboxError(f"Copy did {done} of {len(records)} rows.")

    def verify(self, table: str) -> None:
        """Compare all rows with the table's items, as `runbook verify` does."""
        verify(self.system, table, len(self.records))

    def _fetch(self, table: str) -> None:
        """The obvious comparison: read all of both sides, and compare them as dictionaries."""
        entity = self.system.entity(DISHES)
        pages = self.system.context.clients.dynamodb.get_paginator("scan").paginate(TableName=table)
        read: list[Any] = [item for page in pages for item in page["Items"]]
        items = {record.key: record for record in (mapping.record_from_item(entity, item) for item in read)}
        found = {record.key: record for record in self._pages()}
        if items != found:
            raise SandboxError("The two sides differ.")

    def _loop(self, table: str, records: Sequence[Record]) -> None:
        """The obvious loop: read a page, put one item after the other."""
        wanted = {record.key for record in records}
        for record in self._pages(len(records)):
            if record.key in wanted:
                self.system.context.clients.dynamodb.put_item(TableName=table, Item=self._item(record))

    def _limit(self, table: str, records: Sequence[Record], threads: int) -> None:
        """Items that are ready, by BatchWriteItem alone, with a thread a lane."""
        shares = [[self._item(record) for record in records[number::threads]] for number in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.system.put, [table] * threads, shares))

    def _least(self, table: str, records: Sequence[Record]) -> None:
        """The least that a lane has to do: read the rows by key, and put the items in transactions."""
        store = LegacyStore(self.system.entity(DISHES), self._database)
        client: Any = self.system.context.clients.dynamodb_once
        for some in chunks(records, TRANSACTED):
            found = store.many([record.key for record in some]).values()
            puts = [{"Put": {"TableName": table, "Item": self._item(record)}} for record in found]
            client.transact_write_items(TransactItems=puts)

    def _read(self, table: str) -> None:
        """The least that a comparison has to do: read all of both sides, in as many threads as verify has."""
        with ThreadPoolExecutor(SEGMENTS) as pool:
            rows = pool.submit(self._select)
            list(pool.map(self._scan, [table] * SEGMENTS, range(SEGMENTS)))
            rows.result()

    def _scan(self, table: str, segment: int) -> None:
        pages = self.system.context.clients.dynamodb.get_paginator("scan")
        list(pages.paginate(TableName=table, Segment=segment, TotalSegments=SEGMENTS))

    def _select(self) -> None:
        """Every row's key and values as they are, without the digits that keep them exact."""
        legacy = self.system.entity(DISHES).legacy
        after = 0
        while True:
            sql = f"SELECT {legacy.key}, label, notes FROM `{legacy.table}` WHERE {legacy.key} > {after} "  # noqa: S608
            rows = self._database.query(f"{sql} ORDER BY {legacy.key} LIMIT {PAGE}")
            if not rows:
                return
            after = int(cell_text(rows[-1][0]))

    def _item(self, record: Record) -> Item:
        return {**mapping.item_from_record(self.system.entity(DISHES), record), **origin.mark(record.key, None)}

    def _pages(self, most: int = 10**9) -> Iterator[Record]:
        store = LegacyStore(self.system.entity(DISHES), self._database)
        after, read = "", 0
        while read < most:
            page = store.page(PAGE, after)
            yield from page.records
            read, after = read + len(page.records), page.after
            if not after:
                return

    @property
    def _database(self) -> Any:
        return self.system.context.aurora.database(self.system.entity(DISHES).legacy.database)

    def _table(self) -> _Table:
        return _Table(self.system, f"bench-copy-{next(self._tables)}")

    def calls(self) -> dict[str, Calls]:
        """What copy, the obvious loop, verify and the obvious comparison call for all rows, by name."""
        found: dict[str, Calls] = {}
        with self._table() as table, self.system.counted() as found["loop"]:
            self._loop(table, self.records)
        with self._table() as table:
            with self.system.counted() as found["copy"]:
                self.copy(table, self.records, max(LANES))
            with self.system.counted() as found["verify"]:
                self.verify(table)
            with self.system.counted() as found["fetch"]:
                self._fetch(table)
        return found


@dataclass(frozen=True)
class _Table:
    """A DynamoDB table for the block."""

    system: System
    name: str

    def __enter__(self) -> str:
        return self.system.table(self.name)

    def __exit__(self, *_: object) -> None:
        self.system.context.clients.dynamodb.delete_table(TableName=self.name)


def fill(system: System, count: int) -> None:
    """Have so many rows in the dishes' table, and no others."""
    legacy = system.entity(DISHES).legacy
    with system.connected(DISHES) as connection, connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM `{legacy.table}`")  # noqa: S608  # a checked name
        sql = f"INSERT INTO `{legacy.table}` (label, notes) VALUES (%s, %s)"  # noqa: S608  # likewise
        for some in chunks(range(count), FILLED):
            cursor.executemany(sql, [[f"dish {number}", "n" * SIZE] for number in some])


def begin(system: System, *, backfilled: bool) -> None:
    """Have copy run, without the schedules that would call its function."""
    system.choose(DISHES, modern=False)
    system.capture(DISHES)
    record = {"state": "running", "position": "", "backfilled": backfilled, "started_at": uuid.uuid4().hex}
    counters = dict.fromkeys(COUNTERS, 0)
    system.context.journal.put_record(DISHES, names.COPY_RECORD, {**record, **counters})
    system.execute(DISHES, f"DELETE FROM {names.CHANGES_TABLE}")  # noqa: S608  # a name of ours


def drain(system: System, table: str, number: int) -> int:
    """Have one lane copy until its queue is empty; returns how many rows it did."""
    context = system.context
    targets = LaneTargets(
        database=system.as_bridge(DISHES),
        dynamodb=context.clients.dynamodb_once,
        table=table,
        journal=context.target.journal_table,
        quarantine=_refuse,
    )
    lane = CopyLane(system.entity(DISHES), number, targets, owner=uuid.uuid4().hex)
    if not lane.lease.take():
        raise SandboxError(f"Lane {number} is another worker's.")
    done = 0
    while some := lane.round().rows:
        done += some
    lane.report()
    lane.lease.release()
    return done


def verify(system: System, table: str, rows: int) -> None:
    """Compare all rows with a table's items, as `runbook verify` does."""
    context, stop = system.context, threading.Event()
    legacy = system.entity(DISHES).legacy
    sides = BothSides(
        system.entity(DISHES),
        context.clients.dynamodb,
        table,
        context.aurora.database(legacy.database),
        RateLimiter(0, stop),
        stop=stop,
    )
    progress = VerifyProgress(places=[""] * SEGMENTS)
    found = FullComparison(sides, progress, lambda _: True, silent, lambda _: None).run(GRACE)
    if found.differences or found.rows != rows or found.items != found.rows:
        raise SandboxError(f"Verify found {found.items} items, {found.rows} rows: {found.differences[:3]}")


def _refuse(key: str, reason: str, held: Any) -> None:
    del held
    raise SandboxError(f"The bench's row {key} was refused: {reason}")
