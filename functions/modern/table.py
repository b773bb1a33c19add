"""The items of an entity's DynamoDB table as records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError

from functions.api.store import ConflictError, NotFoundError, Page, TooLargeError, UnavailableError
from functions.aws.retry import TRANSIENT_CODES
from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.errors import InvalidFieldError
from functions.domain.mapping import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    Answer = TypeVar("Answer")

PAGE_BYTES = 640 * 1024  # of items; JSON in JSON makes seven bytes of one, and Lambda answers up to 6 MB
EXISTS = "attribute_exists(#key) AND attribute_not_exists(#heartbeat)"


class ModernStore:
    """The records of one entity in DynamoDB. Heartbeats are not among them."""

    system = "modern"

    def __init__(self, entity: Entity, client: DynamoDBClient, table: str) -> None:
        self._entity = entity
        self._client = client
        self._table = table
        self._key = entity.modern.key
        self._exists_names = {"#key": self._key, "#heartbeat": names.HEARTBEAT_ATTRIBUTE}

    def page(self, limit: int, after: str) -> Page:
        """At most `limit` records; a page of DynamoDB is at most 1 MiB, so there may be fewer before the end."""
        asked: dict[str, Any] = {"ExclusiveStartKey": self._place(after)} if after else {}
        answer = _called(lambda: self._client.scan(TableName=self._table, Limit=limit, ConsistentRead=True, **asked))
        items, last = _fitting(answer["Items"]), cast("dict[str, Any]", answer.get("LastEvaluatedKey") or {})
        if len(items) < len(answer["Items"]):
            last = items[-1]
        records = [self._record(item) for item in items if names.HEARTBEAT_ATTRIBUTE not in item]
        return Page(records, last[self._key]["S"] if last else "")

    def get(self, key: str) -> Record:
        """The record of `key`, as the last acknowledged write left it.

        Raises:
            NotFoundError: there is none.
        """
        if not mapping.usable_key(key):
            raise NotFoundError(key)
        item = _called(
            lambda: self._client.get_item(TableName=self._table, Key=self._place(key), ConsistentRead=True)
        ).get("Item")
        if item is None or names.HEARTBEAT_ATTRIBUTE in item:
            raise NotFoundError(key)
        return self._record(item)

    def create(self, key: str | None, fields: Mapping[str, Any]) -> Record:
        """Put a new item, under a UUID where the client names no key.

        Raises:
            ConflictError: the key exists.
            TooLargeError: DynamoDB counts more than 400 KB.
        """
        record = mapping.Record(key or str(uuid.uuid4()), fields)
        item = mapping.item_from_record(self._entity, record)
        try:
            _called(
                lambda: self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(#key)",
                    ExpressionAttributeNames={"#key": self._key},
                )
            )
        except _ConditionError as error:
            self._conflict(record, error)
        return record

    def _conflict(self, record: Record, error: Exception) -> None:
        """An SDK retry whose first try had succeeded meets its own item; that is no conflict."""
        if self.get(record.key) != record:
            raise ConflictError from error

    def replace(self, key: str, fields: Mapping[str, Any]) -> Record:
        """Set every mapped attribute and drop the mark of copy; other attributes stay.

        Raises:
            NotFoundError: there is no such item.
        """
        record = mapping.Record(key, fields)
        values = list(mapping.item_from_record(self._entity, record).items())[1:]
        sets = ", ".join(f"#f{i} = :f{i}" for i in range(len(values)))
        self._existing(
            key,
            lambda: self._client.update_item(
                TableName=self._table,
                Key=self._place(key),
                UpdateExpression=f"SET {sets} REMOVE #origin",
                ConditionExpression=EXISTS,
                ExpressionAttributeNames={
                    **self._exists_names,
                    "#origin": names.ORIGIN_ATTRIBUTE,
                    **{f"#f{i}": name for i, (name, _) in enumerate(values)},
                },
                ExpressionAttributeValues={f":f{i}": cast("Any", value) for i, (_, value) in enumerate(values)},
            ),
        )
        return record

    def delete(self, key: str) -> None:
        """Delete an item.

        Raises:
            NotFoundError: there is none.
        """
        self._existing(
            key,
            lambda: self._client.delete_item(
                TableName=self._table,
                Key=self._place(key),
                ConditionExpression=EXISTS,
                ExpressionAttributeNames=self._exists_names,
            ),
        )

    def _existing(self, key: str, call: Callable[[], object]) -> None:
        if not mapping.usable_key(key):
            raise NotFoundError(key)
        try:
            _called(call)
        except _ConditionError as error:
            raise NotFoundError(key) from error

    def _place(self, key: str) -> dict[str, Any]:
        if not mapping.usable_key(key):
            raise InvalidFieldError("cursor", "is not one of this listing; start the listing again")
        return {self._key: {"S": key}}

    def _record(self, item: Mapping[str, Any]) -> Record:
        # Past the mapping's limits it is shown all the same: one odd item must not hide a page of others.
        return mapping.record_from_item(self._entity, item, limited=False)


def _fitting(items: Sequence[Any]) -> Sequence[Any]:
    size = 0
    for place, item in enumerate(items):
        size += mapping.item_size(item)
        if place and size > PAGE_BYTES:
            return items[:place]
    return items


class _ConditionError(Exception):
    """The item is not as the write needs it."""


def _called(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except ClientError as error:
        raise _meaning(error) from error
    except BotoCoreError as error:
        raise UnavailableError(maybe_written=True) from error


def _meaning(error: ClientError) -> Exception:
    details = cast("dict[str, str]", error.response.get("Error", {}))
    name, text = details.get("Code", ""), details.get("Message", "")
    if name == "ConditionalCheckFailedException":
        return _ConditionError()
    if name in TRANSIENT_CODES:
        return UnavailableError(maybe_written=name == "InternalServerError")
    if name == "ValidationException" and "size" in text.lower():
        return TooLargeError()
    return error
