"""How many records a second the bridge applies, against other ways to bring the same records to the same table.

Every variant makes one call of a function that does nothing for each of its batches, as its stream mapping would, and
then does its work in this process. So each pays for its invocations, and none for a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from functions.domain import names
from sandbox.bench.calls import Calls
from sandbox.bench.records import OPERATIONS, SIZES, Record, Records, Work, inserts
from sandbox.bench.rounds import interleaved, rate
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import DISHES, EMPTY_FUNCTION, PLAIN_TABLE, System, chunks
from sandbox.bench.ways import BATCH, Bridge, GuardedWrites, InBatches, OneByOne, Puts, SetBased, Statements

GROUP = "bridge"
LARGE = "30 KB"  # the size of rows whose bytes are the work
FEWEST = 20  # records of a variant in a round
GOALS = {
    "article": Goal(at_least=50),
    "tutorial": Goal(at_least=25),
    "BatchExecute": Goal(at_least=1.5),
    "guarded writes": Goal(at_least=0.7),
}
OF_LARGE_ROWS = {"loader": Goal(at_least=0.8)}  # where the bytes themselves are the work


@dataclass
class Throughput:
    """The bridge and the others, on records of some sizes."""

    system: System
    ways: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        system = self.system
        self.ways = {
            "bridge": Bridge(system),
            "article": OneByOne(system, "dish_article", 1),
            "tutorial": OneByOne(system, "dish_tutorial", 100),
            "BatchExecute": InBatches(system, "dish_batch", BATCH),
            "guarded writes": GuardedWrites(system),
            "loader": SetBased(system, "dish_loader", BATCH),
            "puts alone": Puts(system),
        }
        for way in self.ways.values():
            if isinstance(way, Statements):
                way.prepare()

    def rows(self) -> Iterator[Row]:
        """Each operation with each size, or some of them when it is to be quick."""
        for size, count in SIZES.items():
            for name in self._operations(size):
                yield from self._compared(name, size, Records(count), self._counts(count))

    def _operations(self, size: str) -> Sequence[str]:
        if not self.system.quick:
            return list(OPERATIONS)
        return ("inserts", "hot updates", "mix") if size == "1 KB" else ("inserts",)

    def _counts(self, size: int) -> dict[str, int]:
        """How many records each variant brings in a round: as many as take about half a second."""
        share = 1 / (1 + size / 4000)
        many = {"bridge": 2000, "article": 30, "tutorial": 100, "BatchExecute": 1000}
        counts = {name: round(many.get(name, 2000) * share) for name in self.ways}
        return {name: max(FEWEST, count) for name, count in counts.items()}

    def _compared(self, name: str, size: str, records: Records, counts: Mapping[str, int]) -> Iterator[Row]:
        goals = {**GOALS, **(OF_LARGE_ROWS if size == LARGE else {})}
        variants = {way: partial(self._rate, way, OPERATIONS[name], records, counts[way]) for way in self.ways}
        found = interleaved(variants, self.system.rounds)
        self._empty()
        for way in self.ways:
            if way != "bridge":
                yield compared(GROUP, f"{name} {size}, {way}", "/s", found["bridge"], found[way], goals.get(way))

    def _rate(self, way: str, make: Callable[[Records, int], Work], records: Records, count: int) -> float:
        work = make(records, count)
        self._load(way, work.before)
        return rate(count, lambda: self._run(way, work.records))

    def _run(self, way: str, records: Sequence[Record]) -> None:
        variant = self.ways[way]
        for some in chunks(records, variant.batch):
            if not isinstance(variant, Puts):
                self.system.call(EMPTY_FUNCTION)
            variant.apply(some)

    def _load(self, way: str, before: Sequence[Record]) -> None:
        """Have these rows in a variant's table; not measured."""
        variant = self.ways[way]
        if isinstance(variant, Puts):
            variant.apply(before)
        elif before:
            table = variant.table if isinstance(variant, Statements) else self.system.entity(DISHES).legacy.table
            for some in chunks(before, BATCH):
                SetBased(self.system, table, BATCH).apply(some)

    def _empty(self) -> None:
        tables = [way.table for way in self.ways.values() if isinstance(way, Statements)]
        tables.append(self.system.entity(DISHES).legacy.table)
        self.system.execute(DISHES, *(f"DELETE FROM `{table}`" for table in tables))  # noqa: S608  # our own
        self.system.execute(DISHES, f"DELETE FROM {names.DELETES_TABLE}")  # noqa: S608  # a name of ours

    def end_to_end(self) -> Row:
        """Items that are put into DynamoDB at once, until Aurora has all of them, against the puts alone."""
        count, deployed = 1000 if self.system.quick else 5000, self.system.deployed(DISHES)
        records = Records(SIZES["1 KB"])

        def put(table: str) -> int:
            before = self.system.count(DISHES)
            self.system.put(table, [each["dynamodb"]["NewImage"] for each in inserts(records, count).records])
            return before + count

        def through() -> None:
            wanted = put(deployed.modern_table)
            self.system.wait(lambda: self.system.count(DISHES) >= wanted)

        variants = {"bridge": lambda: rate(count, through), "puts": lambda: rate(count, lambda: put(PLAIN_TABLE))}
        found = interleaved(variants, self.system.rounds)
        return compared(GROUP, "end to end 1 KB, puts alone", "/s", found["bridge"], found["puts"])

    def calls(self, way: str, count: int) -> Calls:
        """What a variant calls for so many inserts of 1 KB, and for its invocations."""
        work = inserts(Records(SIZES["1 KB"]), count)
        with self.system.counted() as calls:
            self._run(way, work.records)
        self._empty()
        return calls
