"""How many records a second the bridge applies, against four other ways to bring the same records to the same table.

Every variant makes one call of a function that does nothing for each of its batches, as its stream mapping would, and
then does its work in this process. So each pays for its invocations, and none for a start.
"""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from functions.aws.dynamodb import read_at_one_moment
from functions.bridge import ownership, stream_guard
from functions.bridge.apply import Applier
from functions.domain import changes, names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from sandbox.bench.calls import Calls
from sandbox.bench.rounds import interleaved, rate
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import DISHES, EMPTY_FUNCTION, PLAIN_TABLE, System, chunks
from sandbox.errors import SandboxError

GROUP = "bridge"
REST = 100  # bytes of a dish beside its notes, so that one of 1 KB is one write unit
BATCH = 1000  # records of an invocation, as the bridge's mapping has it
HOT_KEYS = 100  # among which hot updates are drawn
MIX = (0.35, 0.80)  # shares up to which a record is an insert, and an update; the rest are deletes
SIZES = {"100 B": 100, "1 KB": 1000, "30 KB": 30_000}
FEWEST = 20  # records of a variant in a round
GOALS = {"article": Goal(at_least=50), "tutorial": Goal(at_least=25), "BatchExecute": Goal(at_least=1.5)}

Record = dict[str, Any]  # of the stream


class Records:
    """Stream records of dishes of one size, with sequence numbers that only grow."""

    def __init__(self, size: int) -> None:
        self._notes = "n" * max(1, size - REST)
        self._numbers = itertools.count(10**24)
        self._prefix = uuid.uuid4().hex[:12]

    def keys(self, count: int) -> list[str]:
        """Keys that no record had before."""
        return [f"{self._prefix}-{next(self._numbers)}" for _ in range(count)]

    def of(self, key: str, event: str) -> Record:
        keys = {"DishId": {"S": key}}
        number = next(self._numbers)
        image = {**keys, "label": {"S": f"dish {number}"[-50:]}, "notes": {"S": self._notes}}
        images = {"OldImage": image} if event == "REMOVE" else {"NewImage": image}
        data = {"Keys": keys, "SequenceNumber": str(number), **images}
        return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": data}

    def inserts(self, keys: Sequence[str]) -> list[Record]:
        return [self.of(key, "INSERT") for key in keys]


@dataclass(frozen=True)
class Work:
    """The records of one round of a variant, and inserts of the rows that must be there before."""

    records: Sequence[Record]
    before: Sequence[Record] = ()


def inserts(records: Records, count: int) -> Work:
    return Work(records.inserts(records.keys(count)))


def hot_updates(records: Records, count: int) -> Work:
    """Several updates of each of a few keys."""
    keys = records.keys(min(HOT_KEYS, count))
    before = records.inserts(keys)
    return Work([records.of(keys[number % len(keys)], "MODIFY") for number in range(count)], before)


def deletes(records: Records, count: int) -> Work:
    before = records.inserts(records.keys(count))
    return Work([records.of(each["dynamodb"]["Keys"]["DishId"]["S"], "REMOVE") for each in before], before)


def mix(records: Records, count: int) -> Work:
    """Inserts, updates and deletes, each of a key of its own."""
    keys = records.keys(count)
    first, second = (round(share * count) for share in MIX)
    kinds = ["INSERT"] * first + ["MODIFY"] * (second - first) + ["REMOVE"] * (count - second)
    before, pairs = records.inserts(keys[first:]), list(zip(keys, kinds, strict=True))
    random.Random(count).shuffle(pairs)  # noqa: S311  # the same order in each round
    return Work([records.of(key, kind) for key, kind in pairs], before)


OPERATIONS = {"inserts": inserts, "hot updates": hot_updates, "deletes": deletes, "mix": mix}


@dataclass(frozen=True)
class Bridge:
    """The bridge's own code, in the order in which its handler runs it."""

    system: System
    batch: int = BATCH

    def apply(self, records: Sequence[Record]) -> None:
        entity, database = self.system.entity(DISHES), self.system.as_bridge(DISHES)
        table, stream = self.system.deployed(DISHES).modern_table, self.system.deployed(DISHES).stream_arn
        stream_guard.check(database, entity, stream)
        authority = ownership.read(database, entity)
        found = changes.from_stream(entity, records, authority.copy_idle)
        read = partial(read_at_one_moment, self.system.context.clients.dynamodb, table, entity.modern.key)
        outcome = Applier(entity, database, _Refusing(), stream, read).apply(found, authority)
        stream_guard.check(database, entity, stream)
        if outcome.upserts + outcome.deletes != len(found):
            raise SandboxError(f"The bridge did not apply all of {len(found)} changes: {outcome}")


class _Refusing:
    """A quarantine that must stay empty: what is measured has no bad record."""

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        raise SandboxError(f"The bench's record {change.key} of {entity.name} was refused ({code}): {reason}")


@dataclass(frozen=True)
class Statements:
    """Another way: its own table, and one statement a kind of change.

    Attributes:
        batch: records of an invocation.
    """

    system: System
    table: str
    batch: int

    @cached_property
    def _columns(self) -> list[str]:
        return [field_.column for field_ in self.system.entity(DISHES).fields.values()]

    def prepare(self) -> None:
        table = self.system.entity(DISHES).legacy.table
        self.system.execute(DISHES, f"CREATE TABLE IF NOT EXISTS `{self.table}` LIKE `{table}`")

    @cached_property
    def sql(self) -> Mapping[str, str]:
        """By the stream's name of a change; for one record's parameters."""
        columns = ", ".join(f"`{name}`" for name in self._columns)
        marks = ", ".join(f":{name}" for name in self._columns)
        sets = ", ".join(f"`{name}` = :{name}" for name in self._columns)
        where = f"WHERE {names.KEY_COLUMN} = :item"
        return {
            "INSERT": f"INSERT INTO `{self.table}` ({columns}, {names.KEY_COLUMN}) VALUES ({marks}, :item)",  # noqa: S608
            "MODIFY": f"UPDATE `{self.table}` SET {sets} {where}",  # noqa: S608
            "REMOVE": f"DELETE FROM `{self.table}` {where}",  # noqa: S608
        }

    @cached_property
    def target(self) -> dict[str, str]:
        """The Data API's parameters that say where."""
        target = self.system.context.target
        database = self.system.entity(DISHES).legacy.database
        return {"resourceArn": target.cluster_arn, "secretArn": target.master_secret_arn, "database": database}

    @staticmethod
    def values(record: Record) -> list[Any]:
        data = record["dynamodb"]
        values = {"item": data["Keys"]["DishId"]["S"]}
        if "NewImage" in data:
            values |= {name: data["NewImage"][name]["S"] for name in ("label", "notes")}
        return [{"name": name, "value": {"stringValue": value}} for name, value in values.items()]


class OneByOne(Statements):
    """An ExecuteStatement a record: the article with a batch of one, the tutorial with a hundred."""

    def apply(self, records: Sequence[Record]) -> None:
        client: Any = self.system.context.clients.rds_data
        for record in records:
            client.execute_statement(**self.target, sql=self.sql[record["eventName"]], parameters=self.values(record))


class InBatches(Statements):
    """A BatchExecuteStatement for each kind of change."""

    def apply(self, records: Sequence[Record]) -> None:
        client: Any = self.system.context.clients.rds_data
        for event, some in _by_event(records):
            for run in _small(some):
                client.batch_execute_statement(
                    **self.target, sql=self.sql[event], parameterSets=[self.values(each) for each in run]
                )


class SetBased(Statements):
    """A loader that does nothing but load: the last record of each key, one statement a kind of change, no checks."""

    @cached_property
    def sql(self) -> Mapping[str, str]:
        paths = ("item", *self._columns, "sequence")
        given = ", ".join(f"`{name}` LONGTEXT PATH '$[{number}]'" for number, name in enumerate(paths))
        source = f"JSON_TABLE(:rows, '$[*]' COLUMNS ({given})) j"
        columns = ", ".join(f"`{name}`" for name in self._columns)
        sets = ", ".join(f"t.`{name}` = j.`{name}`" for name in self._columns)
        sequence, key = names.SEQUENCE_COLUMN, f"t.{names.KEY_COLUMN} = CAST(j.item AS BINARY)"
        picked = ", ".join(f"j.`{name}`" for name in self._columns)
        return {
            "INSERT": f"INSERT INTO `{self.table}` ({columns}, {names.KEY_COLUMN}, {sequence}) "  # noqa: S608
            f"SELECT {picked}, j.item, CAST(j.sequence AS DECIMAL(40,0)) FROM {source}",
            "MODIFY": f"UPDATE {source} STRAIGHT_JOIN `{self.table}` t ON {key} "  # noqa: S608
            f"SET {sets}, t.{sequence} = CAST(j.sequence AS DECIMAL(40,0))",
            "REMOVE": f"DELETE t FROM {source} STRAIGHT_JOIN `{self.table}` t ON {key}",
        }

    def apply(self, records: Sequence[Record]) -> None:
        last = {record["dynamodb"]["Keys"]["DishId"]["S"]: record for record in records}
        client: Any = self.system.context.clients.rds_data
        for event, some in _by_event(list(last.values())):
            for run in _small(some):
                rows = [[each["value"]["stringValue"] for each in self.values(record)] for record in run]
                numbered = [
                    [row[0], *(row[1:] or [""] * len(self._columns)), record["dynamodb"]["SequenceNumber"]]
                    for row, record in zip(rows, run, strict=True)
                ]
                text = json.dumps(numbered, ensure_ascii=False)
                client.execute_statement(
                    **self.target, sql=self.sql[event], parameters=[{"name": "rows", "value": {"stringValue": text}}]
                )


@dataclass(frozen=True)
class Puts:
    """The items alone: BatchWriteItem to a table without a stream."""

    system: System
    batch: int = BATCH

    def apply(self, records: Sequence[Record]) -> None:
        self.system.write(PLAIN_TABLE, [self._request(record) for record in records])

    @staticmethod
    def _request(record: Record) -> Any:
        data = record["dynamodb"]
        if "NewImage" in data:
            return {"PutRequest": {"Item": data["NewImage"]}}
        return {"DeleteRequest": {"Key": data["Keys"]}}


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
        variants = {way: partial(self._rate, way, OPERATIONS[name], records, counts[way]) for way in self.ways}
        found = interleaved(variants, self.system.rounds)
        self._empty()
        for way in self.ways:
            if way != "bridge":
                yield compared(GROUP, f"{name} {size}, {way}", "/s", found["bridge"], found[way], GOALS.get(way))

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


def _by_event(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    for event in ("INSERT", "MODIFY", "REMOVE"):
        some = [record for record in records if record["eventName"] == event]
        if some:
            yield event, some


def _small(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Records in runs that one request takes: the Data API's limit is 4 MiB."""
    largest = max(len(json.dumps(record)) for record in records)
    yield from chunks(records, max(1, 3 * 2**20 // (largest + 200)))
