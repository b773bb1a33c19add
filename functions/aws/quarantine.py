"""The quarantine table: one record for each key that can never be applied, with the reason. All requests on it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from functions.aws.dynamodb import read_batches
from functions.domain.changes import Change
from functions.domain.entities import Entity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

LONGEST_REASON = 2000  # characters
TRIES = "#tries"  # after an entity's name: the partition of counted tries
Version = tuple[str | None, str | None]  # a record's `quarantined_at` and `sequence` as they were read


@dataclass(frozen=True)
class Tries:
    """How often a change was tried, and how many seconds ago first."""

    count: int
    seconds: float


class Quarantine:
    """Writes failures; the latest failure of a key replaces an earlier one, since replay reads the item.

    Args:
        table: partition key `entity`, sort key `item_key`.
        request: the invocation, to find its log by.
        stream: where the changes come from; their sequences compare within it only.
    """

    def __init__(self, client: DynamoDBClient, table: str, request: str, stream: str) -> None:
        self._client = client
        self._table = table
        self._request = request
        self._stream = stream

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        """Quarantine a change. A failure is the caller's to raise: the record is nowhere else."""
        self.put_key(entity.name, change.kind.value, change.key, reason, code=code, sequence=change.sequence)

    def tried(self, entity: str, change: Change) -> Tries:
        """Count a try at a change that failed; how many there were, this one included."""
        counted = self._client.update_item(
            TableName=self._table,
            Key={"entity": {"S": f"{entity}{TRIES}"}, "item_key": {"S": f"{change.sequence} {change.key}"}},
            UpdateExpression="ADD tries :one SET first_at = if_not_exists(first_at, :now)",
            ExpressionAttributeValues={":one": {"N": "1"}, ":now": {"N": str(int(time.time()))}},
            ReturnValues="ALL_NEW",
        ).get("Attributes", {})
        first = int(counted.get("first_at", {}).get("N", 0))
        return Tries(int(counted.get("tries", {}).get("N", 0)), time.time() - first if first else 0.0)

    def put_copied(self, entity: str, key: str, reason: str, held: TransactWriteItemTypeDef) -> None:
        """Quarantine a key that copy cannot write, if `held` holds: a late entry would replace one of the bridge."""
        put = {"TableName": self._table, "Item": self._item(entity, "copy", key, reason)}
        self._client.transact_write_items(TransactItems=[held, cast("Any", {"Put": put})])

    def put_key(  # noqa: PLR0913  # an entry's attributes
        self, entity: str, event: str, key: str, reason: str, *, code: int = 0, sequence: int = 0
    ) -> None:
        """Quarantine a key that failed without a change of the stream."""
        item = self._item(entity, event, key, reason, code, sequence)
        self._client.put_item(TableName=self._table, Item=item)

    def _item(  # noqa: PLR0913, PLR0917  # an entry's attributes
        self, entity: str, event: str, key: str, reason: str, code: int = 0, sequence: int = 0
    ) -> dict[str, Any]:
        return {
            "entity": {"S": entity},
            "item_key": {"S": key},
            "reason": {"S": reason[:LONGEST_REASON]},
            "error_code": {"N": str(code)},
            "sequence": {"S": str(sequence)},
            "event_name": {"S": event},
            "quarantined_at": {"S": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")},
            "request_id": {"S": self._request},
            "stream": {"S": self._stream},
        }


@dataclass(frozen=True, kw_only=True)
class QuarantineRecord:
    """One record of the table; what it lacks is empty, or 0.

    Attributes:
        event: `upsert`, `delete`, or what else `put_key` was given.
        at: when it was written, as it stands in the record.
        version: changes when the key fails anew.
    """

    key: str
    event: str
    reason: str
    code: int
    sequence: int
    stream: str
    at: str
    version: Version


class QuarantineTable:
    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._table = table
        self._entity = entity

    def count(self) -> int:
        return sum(page["Count"] for page in self._pages(Select="COUNT"))

    def records(self) -> Iterator[QuarantineRecord]:
        return (_record(item) for page in self._pages() for item in page["Items"])

    def _pages(self, **more: Any) -> Iterator[Any]:
        return iter(
            self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="entity = :entity",
                ExpressionAttributeValues={":entity": {"S": self._entity}},
                ConsistentRead=True,
                **more,
            )
        )

    def sequences(self, keys: Sequence[str], stream: str) -> dict[str, int]:
        """The sequence of each of these keys that has a record from this stream."""
        wanted = [self._place(key) for key in keys]
        found = (_record(item) for item in read_batches(self._client, self._table, wanted, ConsistentRead=True))
        known = (record for record in found if record.stream == stream and (record.version[1] or "").isdigit())
        return {record.key: record.sequence for record in known}

    def update(self, key: str, version: Version | None, changes: Mapping[str, str], code: int) -> bool:
        """Change a record that is as it was read, or make one where none was; False when it is another by now.

        Args:
            version: of the record that was read; None for none.
            changes: attributes and their text.
            code: MySQL's error number; 0 for none.
        """
        values: dict[str, Any] = {name: {"S": text[:LONGEST_REASON]} for name, text in changes.items()}
        values["error_code"] = {"N": str(code)}
        condition, attributes, expected = _as_read(version)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._place(key),
                UpdateExpression="SET " + ", ".join(f"#s{i} = :s{i}" for i in range(len(values))),
                ConditionExpression=condition,
                ExpressionAttributeNames=attributes | {f"#s{i}": name for i, name in enumerate(values)},
                ExpressionAttributeValues=expected | {f":s{i}": value for i, value in enumerate(values.values())},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def delete(self, key: str, version: Version) -> bool:
        """Delete a record that is as it was read, or is not there; False when the key has failed anew since."""
        condition, attributes, expected = _as_read(version)
        values: dict[str, Any] = {"ExpressionAttributeValues": expected} if expected else {}
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=self._place(key),
                ConditionExpression=f"attribute_not_exists(#entity) OR ({condition})",
                ExpressionAttributeNames={**attributes, "#entity": "entity"},
                **values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _place(self, key: str) -> dict[str, Any]:
        return {"entity": {"S": self._entity}, "item_key": {"S": key}}


def _record(item: Mapping[str, Mapping[str, Any]]) -> QuarantineRecord:
    plain = {name: str(next(iter(value.values()))) for name, value in item.items()}
    sequence = plain.get("sequence", "")
    return QuarantineRecord(
        key=plain["item_key"],
        event=plain.get("event_name", ""),
        reason=plain.get("reason", ""),
        code=int(plain.get("error_code", 0)),
        sequence=int(sequence) if sequence.isdigit() else 0,
        stream=plain.get("stream", ""),
        at=plain.get("quarantined_at", ""),
        version=(plain.get("quarantined_at"), plain.get("sequence")),
    )


def _as_read(version: Version | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    if version is None:
        return "attribute_not_exists(#at)", {"#at": "entity"}, {}
    parts: list[str] = []
    values: dict[str, Any] = {}
    for name, value in zip(("at", "sequence"), version, strict=True):
        parts.append(f"attribute_not_exists(#{name})" if value is None else f"#{name} = :{name}")
        values |= {} if value is None else {f":{name}": {"S": value}}
    return " AND ".join(parts), {"#at": "quarantined_at", "#sequence": "sequence"}, values
