"""The ways to bring stream records to a table that the bench compares: the bridge's own code, and six others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from functions.aws.dynamodb import read_at_one_moment
from functions.bridge import ownership, stream_guard
from functions.bridge.apply import Applier
from functions.bridge.rows import Rows
from functions.bridge.statements import Statements as BridgeStatements
from functions.domain import changes, names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from sandbox.bench.records import Record
from sandbox.bench.system import DISHES, PLAIN_TABLE, System, chunks
from sandbox.errors import SandboxError

BATCH = 1000  # records of an invocation, as the bridge's mapping has it


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
        outcome = Applier(entity, database, Refusing(), stream, read).apply(found, authority)
        stream_guard.check(database, entity, stream)
        if outcome.upserts + outcome.deletes != len(found):
            raise SandboxError(f"The bridge did not apply all of {len(found)} changes: {outcome}")


class Refusing:
    """A quarantine that must stay empty: what is measured has no bad record."""

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        raise SandboxError(f"The bench's record {change.key} of {entity.name} was refused ({code}): {reason}")


@dataclass(frozen=True)
class GuardedWrites:
    """Only the bridge's statements that write, and the lookups of the rows that they change, on the bridge's table.

    These statements carry the guards against old, repeated and overlapping deliveries. The bridge also reads the
    control row and the stream before and after, checks what was written, and quarantines what cannot be.
    """

    system: System
    batch: int = BATCH

    def apply(self, records: Sequence[Record]) -> None:
        entity, database = self.system.entity(DISHES), self.system.as_bridge(DISHES)
        sql = BridgeStatements(entity, self.system.deployed(DISHES).stream_arn)
        rows = Rows(database, sql)

        def write(statement: str, some: Mapping[str, Record], places: Mapping[str, str]) -> None:
            for run in _small(list(some.values())) if some else ():
                cells = [_cells(each, places.get(_key(each), "")) for each in run]
                database.execute(statement, sql.taking(cells))

        last = {_key(record): record for record in records}
        deletes = {key: record for key, record in last.items() if record["eventName"] == "REMOVE"}
        write(sql.keep_tombstone, deletes, {})
        places = {key: each.primary_key for key, each in rows.present(list(deletes)).items()}
        write(sql.delete(rows.collation), deletes, places)
        upserts = {key: record for key, record in last.items() if key not in deletes}
        places = {key: each.primary_key for key, each in rows.present(list(upserts)).items()}
        write(sql.update(rows.collation), {key: upserts[key] for key in places}, places)
        write(sql.insert, {key: upserts[key] for key in upserts if key not in places}, {})


def _key(record: Record) -> str:
    return record["dynamodb"]["Keys"]["DishId"]["S"]


def _cells(record: Record, primary_key: str) -> list[str]:
    """What the bridge's statements take of a record."""
    data = record["dynamodb"]
    marks = [_key(record), data["SequenceNumber"], ownership.text(None), primary_key]
    image = data.get("NewImage", {})
    return [*marks, *(image[name]["S"] for name in ("label", "notes") if name in image)]


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
        last = {_key(record): record for record in records}
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


def _by_event(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    for event in ("INSERT", "MODIFY", "REMOVE"):
        some = [record for record in records if record["eventName"] == event]
        if some:
            yield event, some


def _small(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Records in runs that one request takes: the Data API's limit is 4 MiB."""
    largest = max(len(json.dumps(record)) for record in records)
    yield from chunks(records, max(1, 3 * 2**20 // (largest + 200)))
