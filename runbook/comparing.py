"""Compares both sides of an entity record by record: the items in parallel, their rows by key, as domain records.

Equal sets are proved by keys, not by counts, which could agree by accident while records come and go: every item has
its row, and every row's key is one of the items'.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from functions.domain import mapping, names, values
from functions.domain.errors import UnmappableError
from functions.legacy.rows import LegacyStore
from runbook.entry import without_masked
from runbook.keyset import KeySet

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
KEYS_A_RECORD = 10  # keys alone that count as one record for the pace
CHUNKS_AT_ONCE = 4  # of keys that are compared again
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
        reason: of an unreadable one; of masked fields it quotes nothing.
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
        pace: how fast records may be read; it bounds both sides, as each record is read once from either.
    """

    def __init__(
        self, entity: Entity, dynamodb: DynamoDBClient, table: str, database: DataApi, pace: Pace
    ) -> None:
        self._entity = entity
        self._dynamodb = dynamodb
        self._table = table
        self._store = LegacyStore(entity, database)
        self._pace = pace

    def key(self, item: Mapping[str, Any]) -> str:
        """An item's key."""
        return mapping.key_of_item(self._entity, item)

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

    def row_keys(self) -> Iterator[list[str]]:
        """The keys of all rows, page by page; none is read but its key."""
        after = ""
        while True:
            keys, after = self._store.keys(KEY_PAGE, after)
            self._pace.take(len(keys) // KEYS_A_RECORD)
            yield keys
            if not after:
                return

    def compare(self, items: Sequence[Mapping[str, Any]]) -> list[Difference]:
        """The differences between some items and their rows."""
        rows = self.rows([self.key(item) for item in items])
        found = (self._difference(item, rows) for item in items)
        return [difference for difference in found if difference]

    def again(self, keys: Sequence[str]) -> list[Difference]:
        """The differences of some keys as both sides are now, read consistently."""
        chunks = [keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE)]
        if len(chunks) <= 1:
            return [difference for chunk in chunks for difference in self._again(chunk)]
        with ThreadPoolExecutor(CHUNKS_AT_ONCE) as pool:
            return [difference for found in pool.map(self._again, chunks) for difference in found]

    def _again(self, keys: Sequence[str]) -> list[Difference]:
        self._pace.take(len(keys))
        items, rows = self.items(keys), self.rows(keys)
        found = [self._difference(item, rows) for item in items.values()]
        missing = [key for key in keys if key in rows and key not in items]
        return [
            *(difference for difference in found if difference),
            *(Difference(key=key, kind="only in legacy") for key in missing),
        ]

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
        """The items of at most `KEYS_AT_ONCE` keys, read consistently, without probes."""
        key_name, found = self._entity.modern.key, dict[str, Mapping[str, Any]]()
        usable = [key for key in dict.fromkeys(keys) if mapping.usable_key(key)]
        wanted: list[dict[str, Any]] = [{key_name: {"S": key}} for key in usable]
        while wanted:
            request: Any = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._dynamodb.batch_get_item(RequestItems=request)
            for item in cast("list[Any]", answer["Responses"].get(self._table, [])):
                if names.PROBE_ATTRIBUTE not in item:
                    found[item[key_name]["S"]] = item
            wanted = cast("Any", answer.get("UnprocessedKeys", {})).get(self._table, {}).get("Keys", [])
        return found

    def _difference(
        self, item: Mapping[str, Any], rows: Mapping[str, Record | UnmappableError]
    ) -> Difference | None:
        key = self.key(item)
        legacy = rows.get(key)
        if legacy is None:
            return Difference(key=key, kind="only in modern")
        try:
            modern = mapping.record_from_item(self._entity, item)
        except UnmappableError as error:
            return self._unreadable(key, f"item: {error}")
        if isinstance(legacy, UnmappableError):
            return self._unreadable(key, f"row: {legacy}")
        fields = self._fields(legacy, modern)
        return Difference(key=key, kind="fields", fields=fields) if fields else None

    def _unreadable(self, key: str, reason: str) -> Difference:
        return Difference(key=key, kind="unreadable", reason=without_masked(self._entity, reason))

    def _fields(self, legacy: Record, modern: Record) -> list[FieldDifference]:
        found: list[FieldDifference] = []
        for name, described in self._entity.fields.items():
            ours, theirs = legacy.fields[name], modern.fields[name]
            if ours != theirs:
                shown = [values.to_json(described, value) for value in (ours, theirs)]
                shown = [MASKED, MASKED] if described.masked else shown
                found.append(FieldDifference(field=name, legacy=shown[0], modern=shown[1]))
        return found


class Said(Protocol):
    """Hears of progress."""

    def __call__(self, what: str, count: int) -> None:
        """`count` more of `what` are done."""
        ...


def compare(
    sides: Sides, *, segments: int, chosen: Callable[[str], bool], settle: float, said: Said
) -> Comparison:
    """Compare everything that `chosen` takes, then look again at what differed until `settle` seconds have passed."""
    found, known = Comparison(), KeySet()
    suspects: list[str] = []

    def segment(number: int) -> tuple[int, int, list[str]]:
        items = compared = 0
        differing: list[str] = []
        for page in sides.scan(number, segments):
            wanted = [item for item in page if chosen(sides.key(item))]
            for item in wanted:
                known.add(sides.key(item))
            differing += [difference.key for difference in sides.compare(wanted)]
            items, compared = items + len(page), compared + len(wanted)
            said("items", len(page))
        return items, compared, differing

    with ThreadPoolExecutor(segments) as pool:
        for items, compared, differing in pool.map(segment, range(segments)):
            found.items += items
            found.compared += compared
            suspects += differing
    for keys in sides.row_keys():
        found.rows += len(keys)
        suspects += [key for key in keys if chosen(key) and key not in known]
        said("keys of rows", len(keys))
    found.differences = settled(sides, suspects, settle)
    matched = {difference.key for difference in found.differences if difference.kind != "only in legacy"}
    found.equal = found.compared - len(matched)
    return found


def settled(sides: Sides, keys: Sequence[str], seconds: float) -> list[Difference]:
    """What still differs when the bridge, or copy, has had `seconds` to catch up after the first look."""
    differences = sides.again(list(dict.fromkeys(keys)))
    deadline = time.monotonic() + seconds
    while differences and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
        differences = sides.again([difference.key for difference in differences])
    return differences
