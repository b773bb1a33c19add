"""Makes the items of some keys what their rows are now.

What copy writes carries a mark of its origin, by which the bridge knows copy's changes (functions/domain/origin.py). A
removal has no new image to carry one, so an item is marked first and then deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from functions.aws.dynamodb import (
    TRANSACTED_AT_ONCE,
    InDoubtError,
    InvalidError,
    ItemRefusedError,
    TransientDynamoError,
    called,
    read_batches,
)
from functions.aws.retry import back_off
from functions.copy.lease import WriteLease
from functions.domain import mapping, names, origin
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError
from functions.domain.mapping import Record
from functions.legacy.table import LegacyStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Item = dict[str, Any]
Request = dict[str, Any]  # an action of a TransactWriteItems
READ_TIMEOUT_SECONDS = 10.0  # in which DynamoDB must give some of what it left over
WRITTEN_AT_ONCE = TRANSACTED_AT_ONCE - 1  # beside the check of the lease
BYTES_AT_ONCE = 640 * 2**10  # of items; JSON can write one byte as six, and a transaction has at most 4 MB
PAGE = 500  # items in one answer of a scan, if they are small
ATTEMPTS = 8  # at a transaction that is throttled, or meets another write of its items


class Items:
    """The items of one entity's table.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself.
        lease: of the lane or range. Each write is refused where it takes effect unless that is ours.
    """

    def __init__(self, client: DynamoDBClient, table: str, key: str, lease: WriteLease) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._lease = lease

    def get(self, keys: Sequence[str]) -> dict[str, Item]:
        """Those of the items that are there, by key, as the last completed writes left them."""
        places = [{self._key: {"S": key}} for key in keys]
        found = read_batches(
            self._client, self._table, places, call=called, timeout=READ_TIMEOUT_SECONDS, ConsistentRead=True
        )
        return {item[self._key]["S"]: dict(item) for item in found}

    def copied(self, after: str) -> tuple[list[str], str]:
        """The keys of the items in a page behind a key that copy wrote, and where to go on ("" at the end)."""
        start: Any = {"ExclusiveStartKey": {self._key: {"S": after}}} if after else {}
        page: Any = called(lambda: self._client.scan(TableName=self._table, ConsistentRead=True, Limit=PAGE, **start))
        keys = [item[self._key]["S"] for item in page["Items"] if origin.is_marked(item[self._key]["S"], item)]
        return keys, page.get("LastEvaluatedKey", {}).get(self._key, {}).get("S", "")

    def put(self, items: Sequence[Item]) -> dict[str, str]:
        """Write items whole; returns why, for those that DynamoDB will never take, by key."""
        return self._write([{"Put": {"TableName": self._table, "Item": item}} for item in items])

    def delete(self, keys: Sequence[str]) -> None:
        places = ({self._key: {"S": key}} for key in keys)
        refused = self._write([{"Delete": {"TableName": self._table, "Key": place}} for place in places])
        if refused:
            raise InvalidError(f"DynamoDB refuses to delete {refused}")

    def _write(self, requests: Sequence[Request]) -> dict[str, str]:
        refused: dict[str, str] = {}
        for run in _runs(requests):
            refused |= self._run(run)
        return refused

    def _run(self, requests: list[Request]) -> dict[str, str]:
        """One transaction; when DynamoDB refuses it whole for the sake of some, each on its own."""
        try:
            self._transact(requests)
        except InvalidError as error:
            if len(requests) == 1:
                return {self._key_of(requests[0]): str(error)}
            refused: dict[str, str] = {}
            for request in requests:
                refused |= self._run([request])
            return refused
        return {}

    def _transact(self, requests: list[Request]) -> None:
        """Write all or none; what surely did nothing is repeated."""
        for attempt in range(1, ATTEMPTS + 1):
            self._lease.check()
            actions: Any = [self._lease.held(), *requests]
            try:
                called(lambda all_=actions: self._client.transact_write_items(TransactItems=all_))
            except ItemRefusedError as error:
                raise self._lease.lost() from error
            except InDoubtError:
                raise
            except TransientDynamoError:
                if attempt == ATTEMPTS:
                    raise
            else:
                return
            time.sleep(back_off(attempt))

    def _key_of(self, request: Request) -> str:
        put = request.get("Put")
        return (put["Item"] if put else request["Delete"]["Key"])[self._key]["S"]


def _runs(requests: Sequence[Request]) -> Iterator[list[Request]]:
    run, size = list[Request](), 0
    for request in requests:
        weight = mapping.item_size(request["Put"]["Item"]) if "Put" in request else 0
        if run and (len(run) == WRITTEN_AT_ONCE or size + weight > BYTES_AT_ONCE):
            yield run
            run, size = [], 0
        run.append(request)
        size += weight
    if run:
        yield run


TOO_LARGE = "its item would have more than 400 KB"
UNUSABLE = f"an item's key has 1 to {names.KEY_BYTES} bytes"
READERS = 2  # threads: one for rows, one for items


class QuarantineKey(Protocol):
    """Where a record goes that cannot be an item."""

    def __call__(self, key: str, reason: str, held: TransactWriteItemTypeDef) -> None:
        """Keep the key and the reason if `held` holds; a failure is raised, so that the key stays in the queue."""
        ...


@dataclass
class WriteOutcome:
    """How many of the keys were written, deleted, quarantined, or left alone because they are right.

    Attributes:
        proven: whether a write that depends on the lease was done after the last row and item had been read.
    """

    written: int = 0
    deleted: int = 0
    skipped: int = 0
    quarantined: int = 0
    proven: bool = False

    @property
    def writes(self) -> int:
        """The writes that depend on the lease."""
        return self.written + self.deleted + self.quarantined


@dataclass(frozen=True)
class _Rows:
    """The record of each key, None where there is no row; and why those are refused that cannot be items."""

    records: Mapping[str, Record | None]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class _Reading:
    """What is being read of some keys."""

    rows: Future[_Rows]
    items: Future[dict[str, Item]]


@dataclass
class _Plan:
    puts: list[Item] = field(default_factory=list["Item"])
    removals: list[Item] = field(default_factory=list["Item"])


class ItemWriter:
    """Writes the items of one entity.

    Args:
        store: its rows.
        items: its items.
        quarantine: takes what cannot be written.
        lease: of the lane or range.
    """

    def __init__(
        self, entity: Entity, store: LegacyStore, items: Items, quarantine: QuarantineKey, lease: WriteLease
    ) -> None:
        self._entity = entity
        self._store = store
        self._items = items
        self._quarantine = quarantine
        self._lease = lease

    def copy(self, slices: Sequence[Sequence[str]]) -> WriteOutcome:
        """Read rows and items, and write those that differ. It can be interrupted anywhere and repeated.

        While one slice is written the next is read.

        Args:
            slices: of keys, each of which is in one slice.

        Raises:
            LeaseLostError: at a write that must not be done.
            TransientError, TransientDynamoError: try again later.
        """
        outcome = WriteOutcome()
        with ThreadPoolExecutor(READERS) as readers:
            reading = self._begin(readers, slices[0]) if slices else None
            for number in range(1, len(slices) + 1):
                found = cast("_Reading", reading)
                rows, items = found.rows.result(), found.items.result()
                reading = self._begin(readers, slices[number]) if number < len(slices) else None
                before = outcome.writes
                self._write(rows, items, outcome)
                outcome.proven = outcome.writes > before
        return outcome

    def _begin(self, readers: Executor, keys: Sequence[str]) -> _Reading:
        """Read the rows and the items of some keys at the same time; nothing is written."""
        usable = [key for key in keys if mapping.usable_key(key)]
        refused = {key: UNUSABLE for key in keys if not mapping.usable_key(key)}
        return _Reading(
            readers.submit(lambda: self._rows(usable, refused)), readers.submit(lambda: self._items.get(usable))
        )

    def _write(self, rows: _Rows, present: Mapping[str, Item], outcome: WriteOutcome) -> None:
        plan = _Plan()
        for key, reason in rows.refused.items():
            self._refuse(key, reason, outcome)
        for key, record in rows.records.items():
            self._decide(key, record, present.get(key), plan, outcome)
        self._put(plan.puts, outcome)
        self._remove(plan.removals, outcome)

    def _refuse(self, key: str, reason: str, outcome: WriteOutcome) -> None:
        try:
            called(lambda: self._quarantine(key, reason, self._lease.held()))
        except ItemRefusedError as error:
            raise self._lease.lost() from error
        outcome.quarantined += 1

    def _rows(self, keys: Sequence[str], refused: dict[str, str]) -> _Rows:
        """The record of each key, None where there is no row; those that do not fit the mapping are refused."""
        try:
            found = self._store.many(keys)
        except UnmappableError as error:
            if len(keys) == 1:
                return _Rows({}, {**refused, keys[0]: str(error)})
            half = len(keys) // 2
            one, other = self._rows(keys[:half], refused), self._rows(keys[half:], {})
            return _Rows({**one.records, **other.records}, {**one.refused, **other.refused})
        # By the keys asked for: a case-insensitive column may answer with another spelling, which is another item.
        return _Rows({key: found.get(key) for key in keys}, refused)

    def _decide(self, key: str, record: Record | None, item: Item | None, plan: _Plan, outcome: WriteOutcome) -> None:
        if item is not None and names.HEARTBEAT_ATTRIBUTE in item:
            if record is not None:
                self._refuse(key, "a heartbeat of streamback has its key", outcome)
        elif record is not None:
            self._decide_put(record, item or {}, plan, outcome)
        elif item is not None:
            plan.removals.append(item)
        else:
            outcome.skipped += 1

    def _decide_put(self, record: Record, item: Item, plan: _Plan, outcome: WriteOutcome) -> None:
        fresh = mapping.item_from_record(self._entity, record)
        if self._equal(item, fresh):
            outcome.skipped += 1
            return
        made = {**self._unmapped(item), **fresh, **origin.mark(record.key, item)}
        if mapping.item_size(made) > mapping.ITEM_LIMIT:
            self._refuse(record.key, TOO_LARGE, outcome)
        else:
            plan.puts.append(made)

    def _equal(self, item: Item, fresh: Item) -> bool:
        """Compared as attributes: as JSON values, true and 1 would be equal."""
        if not item or names.DELETING_ATTRIBUTE in item:
            return False
        try:
            record = mapping.record_from_item(self._entity, item, limited=False)
        except UnmappableError:
            return False
        return mapping.item_from_record(self._entity, record) == fresh

    def _unmapped(self, item: Mapping[str, Item]) -> Item:
        return {
            name: value
            for name, value in item.items()
            if name not in self._entity.fields and name != names.DELETING_ATTRIBUTE
        }

    def _put(self, items: Sequence[Item], outcome: WriteOutcome) -> None:
        refused = self._items.put(items)
        for key, reason in refused.items():
            self._refuse(key, reason, outcome)
        outcome.written += len(items) - len(refused)

    def _remove(self, items: Sequence[Item], outcome: WriteOutcome) -> None:
        refused = self._items.put([self._marked(item) for item in items])
        for key, reason in refused.items():
            self._refuse(key, reason, outcome)
        keys = [mapping.key_of_item(self._entity, item) for item in items]
        self._items.delete([key for key in keys if key not in refused])
        outcome.deleted += len(items) - len(refused)

    def _marked(self, item: Item) -> Item:
        """The item with both marks; where they make it too large, the marks alone, since it goes at once."""
        key = mapping.key_of_item(self._entity, item)
        marked = origin.marked_for_delete(key, item)
        if mapping.item_size(marked) <= mapping.ITEM_LIMIT:
            return marked
        own = {self._entity.modern.key, names.ORIGIN_ATTRIBUTE}
        return origin.marked_for_delete(key, {name: value for name, value in item.items() if name in own})
