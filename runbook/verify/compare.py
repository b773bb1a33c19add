"""Both sides of an entity: reads items and rows by pages or by keys, and compares them as domain records.

A transient error is retried. Every wait ends at once when the comparison is to stop.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from functions.aws.data_api import DataApi
from functions.aws.dynamodb import ThrottledError, read_batches
from functions.aws.mysql_errors import TransientError
from functions.aws.retry import retry
from functions.domain import mapping, names, values
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError
from functions.domain.mapping import Record
from functions.domain.masking import MASKED, without_masked
from functions.legacy.matching import Matching
from functions.legacy.table import LegacyStore
from runbook.errors import FailedError
from runbook.verify.concurrency import RateLimiter, StoppedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    Shown = Record | None  # by one side, of one key

Answer = TypeVar("Answer")
KEYS_AT_ONCE = 100  # BatchGetItem's limit
PAGE = 500  # items of one Scan
KEY_PAGE = 1000  # rows of one page of keys
KEYS_PER_RECORD = 10  # keys alone that count as one record for the rate
TIMEOUT = 60.0  # seconds for a side that does not answer; Aurora wakes in about 15, restarts in less than 60
THROTTLE_TIMEOUT = 2.0  # seconds that a throttle is waited for at least, even with a shorter timeout
KEPT_STATES = 50  # of a record
FOLLOWED_STATES = 3  # of one side that the other has to show, too


@dataclass(frozen=True, kw_only=True)
class FieldDifference:
    """One field that is not the same on both sides; values as a client would see them."""

    field: str
    legacy: Any
    modern: Any


class DifferenceKind(StrEnum):
    FIELDS = "fields"
    ONLY_LEGACY = "only in legacy"
    ONLY_MODERN = "only in modern"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One record that is not the same on both sides; `reason`, of an unreadable one, quotes no masked field."""

    key: str
    kind: DifferenceKind
    fields: Sequence[FieldDifference] = ()
    reason: str = ""


class RecentStates:
    """What each side has shown of the records that differed.

    A record that is written all the time may never be found equal, because one side is always a moment behind. It
    counts as followed when that side shows, one after the other, states that the other side has shown since the first
    look.
    """

    def __init__(self) -> None:
        self._shown: dict[str, tuple[list[Shown], list[Shown]]] = {}
        self._followed: dict[str, list[Shown]] = {}

    def follows(self, key: str, legacy: Shown, modern: Shown) -> bool:
        """Keep what both sides show now; returns whether one has followed several states of the other by now."""
        rows, items = self._shown.setdefault(key, ([], []))
        rows.append(legacy)
        items.append(modern)
        del rows[:-KEPT_STATES], items[:-KEPT_STATES]
        behind = modern if modern in rows else legacy
        if behind is legacy and legacy not in items:
            return False
        followed = self._followed.setdefault(key, [])
        if not followed or followed[-1] != behind:  # a side that does not change follows nothing more
            followed.append(behind)
        return len(followed) >= FOLLOWED_STATES


@dataclass
class BothSides:
    """Both sides of one entity.

    Attributes:
        database: the Data API on the entity's database.
        rate: limits the records of both sides, as each record is read once from either.
        timeout: seconds that a side may not answer.
        stop: ends what is under way; shared with the rate limiter.
    """

    entity: Entity
    dynamodb: DynamoDBClient
    table: str
    database: DataApi
    rate: RateLimiter
    timeout: float = TIMEOUT
    stop: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def _store(self) -> LegacyStore:
        return LegacyStore(self.entity, self.database)

    def key(self, item: Mapping[str, Any]) -> str:
        return mapping.key_of_item(self.entity, item)

    def scan(self, segment: int, segments: int, after: str = "") -> Iterator[tuple[list[Mapping[str, Any]], str]]:
        """The items of one segment after a key, page by page, without heartbeats; half a read unit per 4 KB.

        Each page comes with the key to continue after, "" for the last one.
        """
        key = self.entity.modern.key
        while True:
            start: dict[str, Any] = {"ExclusiveStartKey": {key: {"S": after}}} if after else {}
            answer = self.dynamodb.scan(
                TableName=self.table, Segment=segment, TotalSegments=segments, Limit=PAGE, **start
            )
            items = [item for item in answer["Items"] if names.HEARTBEAT_ATTRIBUTE not in item]
            self._take(len(items))
            after = str(answer["LastEvaluatedKey"][key].get("S")) if "LastEvaluatedKey" in answer else ""
            yield cast("list[Mapping[str, Any]]", items), after
            if not after:
                return

    def row_keys(self, after: str = "") -> Iterator[tuple[list[str], str]]:
        """The keys of all rows after one, page by page; nothing else is read.

        Each page comes with the primary key to continue after, "" for the last one.
        """
        while True:
            keys, after = self._retry(lambda last=after: self._store.keys(KEY_PAGE, last))
            self._take(len(keys) // KEYS_PER_RECORD)
            yield keys, after
            if not after:
                return

    @cached_property
    def _matching(self) -> Matching:
        return Matching(self.entity, self.database)

    def compare(self, items: Sequence[Mapping[str, Any]]) -> list[Difference]:
        """The differences of some items; the rows are read only if Aurora does not find all of them equal."""
        if self._all_equal(items):
            return []
        rows = self.rows([self.key(item) for item in items])
        found = (self._difference(item, rows) for item in items)
        return [difference for difference in found if difference]

    def _all_equal(self, items: Sequence[Mapping[str, Any]]) -> bool:
        if not self._matching.possible:
            return False
        try:
            records = [mapping.record_from_item(self.entity, item) for item in items]
        except UnmappableError:
            return False
        return self._retry(lambda: self._matching.all_equal(records))

    def recheck(self, keys: Sequence[str], states: RecentStates | None = None) -> list[Difference]:
        """The differences of at most `KEYS_AT_ONCE` keys as both sides are now, read consistently.

        With `states`, a record that one side has followed meanwhile does not differ.
        """
        self._take(len(keys))
        items, rows = self.items(keys), self.rows(keys)
        found = [self._difference(item, rows) for item in items.values()]
        missing = [key for key in keys if key in rows and key not in items]
        differences = [
            *(difference for difference in found if difference),
            *(Difference(key=key, kind=DifferenceKind.ONLY_LEGACY) for key in missing),
        ]
        if states is None:
            return differences
        return [each for each in differences if not self._followed(states, each.key, items, rows)]

    def _followed(
        self,
        states: RecentStates,
        key: str,
        items: Mapping[str, Mapping[str, Any]],
        rows: Mapping[str, Record | UnmappableError],
    ) -> bool:
        legacy, item = rows.get(key), items.get(key)
        try:
            modern = mapping.record_from_item(self.entity, item) if item is not None else None
        except UnmappableError:
            return False
        return not isinstance(legacy, UnmappableError) and states.follows(key, legacy, modern)

    def without_item(self, keys: Sequence[str]) -> list[str]:
        """Those of at most `KEYS_AT_ONCE` keys that have no item."""
        self._take(len(keys))
        found = self.items(keys, consistently=False)
        return [key for key in keys if key not in found]

    def _take(self, count: int) -> None:
        """Wait for the rate limiter.

        Raises:
            StoppedError: the comparison is to end.
        """
        self.rate.take(count)
        self._pause(0)

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds * random.uniform(0.5, 1)):  # noqa: S311  # jitter
            raise StoppedError

    def _retry(self, call: Callable[[], Answer]) -> Answer:
        """Ask Aurora, with retries.

        Raises:
            FailedError: the timeout has passed.
        """
        return retry(call, TransientError, timeout=self.timeout, failure=_no_answer, sleep=self._pause)

    def rows(self, keys: Sequence[str]) -> dict[str, Record | UnmappableError]:
        """The rows of some keys as records; one that the mapping cannot read, as its error."""
        try:
            return self._retry(lambda: dict(self._store.many(keys)))
        except UnmappableError as error:
            if len(keys) == 1:
                return {keys[0]: error}
            half = len(keys) // 2
            return {**self.rows(keys[:half]), **self.rows(keys[half:])}

    def items(self, keys: Sequence[str], *, consistently: bool = True) -> dict[str, Mapping[str, Any]]:
        """The items of at most `KEYS_AT_ONCE` keys, without heartbeats.

        Raises:
            FailedError: DynamoDB returned none of them until the timeout.
        """
        key_name = self.entity.modern.key
        usable = [{key_name: {"S": key}} for key in dict.fromkeys(keys) if mapping.usable_key(key)]
        timeout = max(self.timeout, THROTTLE_TIMEOUT)
        options: dict[str, Any] = {"sleep": self._pause, "timeout": timeout, "ConsistentRead": consistently}
        try:
            found = list(read_batches(self.dynamodb, self.table, usable, **options))
        except ThrottledError as error:
            raise FailedError(f"DynamoDB throttles the reads of {self.table}", "Run it again with --rate.") from error
        return {item[key_name]["S"]: item for item in found if names.HEARTBEAT_ATTRIBUTE not in item}

    def _difference(self, item: Mapping[str, Any], rows: Mapping[str, Record | UnmappableError]) -> Difference | None:
        key = self.key(item)
        legacy = rows.get(key)
        if legacy is None:
            return Difference(key=key, kind=DifferenceKind.ONLY_MODERN)
        try:
            modern = mapping.record_from_item(self.entity, item)
        except UnmappableError as error:
            return self._unreadable(key, f"item: {error}")
        if isinstance(legacy, UnmappableError):
            return self._unreadable(key, f"row: {legacy}")
        fields = self._fields(legacy, modern)
        return Difference(key=key, kind=DifferenceKind.FIELDS, fields=fields) if fields else None

    def _unreadable(self, key: str, reason: str) -> Difference:
        return Difference(key=key, kind=DifferenceKind.UNREADABLE, reason=without_masked(self.entity, reason))

    def _fields(self, legacy: Record, modern: Record) -> list[FieldDifference]:
        found: list[FieldDifference] = []
        for name, described in self.entity.fields.items():
            ours, theirs = legacy.fields[name], modern.fields[name]
            if not values.same(described, ours, theirs):
                shown = [values.to_json(described, value) for value in (ours, theirs)]
                shown = [MASKED, MASKED] if described.masked else shown
                found.append(FieldDifference(field=name, legacy=shown[0], modern=shown[1]))
        return found


def _no_answer(error: Exception) -> FailedError:
    return FailedError(f"Aurora does not answer: {error}", "See the cluster's state, then run it again.")
