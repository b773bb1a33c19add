"""Compares both sides of an entity record by record: the items in parallel, their rows by key, as domain records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from functions.domain import mapping, names, values
from functions.domain.errors import UnmappableError
from functions.legacy.rows import LegacyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from functions.aws.data_api import DataApi
    from functions.domain.entities import Entity
    from functions.domain.mapping import Record
    from runbook.pace import Pace

KEYS_AT_ONCE = 100  # BatchGetItem's limit
PAGE = 500  # items of one Scan
KEY_PAGE = 1000  # rows of one page of keys
LOOK_AGAIN = 0.25  # seconds between two looks at what differed
MASKED = "***"


@dataclass(frozen=True, kw_only=True)
class FieldDifference:
    """One field that is not the same on both sides; values as a client would see them."""

    field: str
    legacy: Any
    modern: Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One record that is not the same on both sides.

    Attributes:
        kind: `fields`, `only in legacy`, `only in modern` or `unreadable`.
        reason: of an unreadable one.
    """

    key: str
    kind: str
    fields: Sequence[FieldDifference] = ()
    reason: str = ""


@dataclass(kw_only=True)
class Comparison:
    """What was found: how many items and rows there are, how many records are equal, which are not."""

    items: int = 0
    rows: int = 0
    compared: int = 0
    equal: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])


class Sides:
    """Both sides of one entity.

    Args:
        entity: whose records.
        dynamodb: boto3's client.
        table: the modern table's name.
        database: the Data API on the entity's database.
        pace: how fast items may be read.
    """

    def __init__(
        self, entity: Entity, dynamodb: DynamoDBClient, table: str, database: DataApi, pace: Pace
    ) -> None:
        self._entity = entity
        self._dynamodb = dynamodb
        self._table = table
        self._database = database
        self._store = LegacyStore(entity, database)
        self._pace = pace

    def key(self, item: Mapping[str, Any]) -> str:
        """An item's key."""
        return mapping.key_of_item(self._entity, item)

    def count_rows(self) -> int:
        """All rows, counted by the database."""
        rows = self._database.query(f"SELECT COUNT(*) FROM `{self._entity.legacy.table}`")  # noqa: S608  # checked name
        return int(rows[0][0].get("longValue", 0))

    def scan(self, segment: int, segments: int) -> Iterator[list[Mapping[str, Any]]]:
        """The items of one segment, page by page, without probes; half a read unit per 4 KB."""
        start: dict[str, Any] = {}
        while True:
            answer = self._dynamodb.scan(
                TableName=self._table, Segment=segment, TotalSegments=segments, Limit=PAGE, **start
            )
            items = [item for item in answer["Items"] if names.PROBE_ATTRIBUTE not in item]
            self._pace.take(len(items))
            yield cast("list[Mapping[str, Any]]", items)
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def compare(self, items: Sequence[Mapping[str, Any]]) -> list[Difference]:
        """The differences between some items and their rows."""
        rows = self.rows([mapping.key_of_item(self._entity, item) for item in items])
        found = (self._difference(item, rows) for item in items)
        return [difference for difference in found if difference]

    def again(self, keys: Sequence[str]) -> list[Difference]:
        """The differences of some keys as both sides are now, read consistently."""
        found: list[Difference] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            chunk = keys[start : start + KEYS_AT_ONCE]
            items, rows = self.items(chunk), self.rows(chunk)
            found += self.compare(list(items.values()))
            found += [
                Difference(key=key, kind="only in legacy")
                for key in chunk
                if key in rows and key not in items
            ]
        return found

    def without_item(self) -> Iterator[str]:
        """The keys of rows that have no item."""
        after = ""
        while True:
            keys, after = self._store.keys(KEY_PAGE, after)
            for start in range(0, len(keys), KEYS_AT_ONCE):
                chunk = keys[start : start + KEYS_AT_ONCE]
                self._pace.take(len(chunk))
                yield from (key for key in chunk if key not in self.items(chunk))
            if not after:
                return

    def rows(self, keys: Sequence[str]) -> dict[str, Record | UnmappableError]:
        """The rows of some keys as records; one that the mapping cannot read, as its error."""
        try:
            return dict(self._store.many(keys))
        except UnmappableError as error:
            if len(keys) == 1:
                return {keys[0]: error}
            half = len(keys) // 2
            return {**self.rows(keys[:half]), **self.rows(keys[half:])}

    def items(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The items of at most `KEYS_AT_ONCE` keys, read consistently."""
        key_name, found = self._entity.modern.key, dict[str, Mapping[str, Any]]()
        wanted: list[dict[str, Any]] = [{key_name: {"S": key}} for key in dict.fromkeys(keys)]
        while wanted:
            request: Any = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._dynamodb.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(self._table, []):
                found[cast("Any", item)[key_name]["S"]] = item
            wanted = cast("Any", answer.get("UnprocessedKeys", {})).get(self._table, {}).get("Keys", [])
        return found

    def _difference(
        self, item: Mapping[str, Any], rows: Mapping[str, Record | UnmappableError]
    ) -> Difference | None:
        key = mapping.key_of_item(self._entity, item)
        legacy = rows.get(key)
        if legacy is None:
            return Difference(key=key, kind="only in modern")
        try:
            modern = mapping.record_from_item(self._entity, item)
        except UnmappableError as error:
            return Difference(key=key, kind="unreadable", reason=f"item: {error}")
        if isinstance(legacy, UnmappableError):
            return Difference(key=key, kind="unreadable", reason=f"row: {legacy}")
        fields = self._fields(legacy, modern)
        return Difference(key=key, kind="fields", fields=fields) if fields else None

    def _fields(self, legacy: Record, modern: Record) -> list[FieldDifference]:
        found: list[FieldDifference] = []
        for name, described in self._entity.fields.items():
            ours, theirs = legacy.fields[name], modern.fields[name]
            if ours != theirs:
                shown = [values.to_json(described, value) for value in (ours, theirs)]
                shown = [MASKED, MASKED] if described.masked else shown
                found.append(FieldDifference(field=name, legacy=shown[0], modern=shown[1]))
        return found


def compare(
    sides: Sides, *, segments: int, chosen: Callable[[str], bool], settle: float, said: Callable[[int], None]
) -> Comparison:
    """Compare everything that `chosen` takes, then look again at what differed until `settle` seconds have passed.

    Rows without an item are looked for when the counts say that there are some.
    """
    found = Comparison(rows=sides.count_rows())
    suspects: list[str] = []

    def segment(number: int) -> tuple[int, int, list[str]]:
        items = compared = 0
        differing: list[str] = []
        for page in sides.scan(number, segments):
            wanted = [item for item in page if chosen(sides.key(item))]
            differing += [difference.key for difference in sides.compare(wanted)]
            items, compared = items + len(page), compared + len(wanted)
            said(len(page))
        return items, compared, differing

    with ThreadPoolExecutor(segments) as pool:
        for items, compared, differing in pool.map(segment, range(segments)):
            found.items += items
            found.compared += compared
            suspects += differing
    if found.rows != found.items or suspects:
        suspects += [key for key in sides.without_item() if chosen(key)]
    found.differences = settled(sides, suspects, settle)
    matched = {difference.key for difference in found.differences if difference.kind != "only in legacy"}
    found.equal = found.compared - len(matched)
    return found


def settled(sides: Sides, keys: Sequence[str], seconds: float) -> list[Difference]:
    """What still differs when the bridge has had `seconds` to catch up."""
    deadline = time.monotonic() + seconds
    differences = sides.again(list(dict.fromkeys(keys)))
    while differences and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
        differences = sides.again([difference.key for difference in differences])
    return differences
