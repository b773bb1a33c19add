"""The items of an entity's DynamoDB table as records."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError

from functions.api.store import (
    ConflictError,
    NotFoundError,
    Page,
    TooLargeError,
    UnavailableError,
    key_of_request,
    page_of,
)
from functions.aws.dynamodb import InDoubtError, InvalidError, ItemRefusedError, TransientDynamoError, called
from functions.aws.retry import retry
from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.errors import InvalidFieldError
from functions.domain.mapping import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    Answer = TypeVar("Answer")

PAGE_BYTES = 640 * 1024  # of items; JSON in JSON makes seven bytes of one, and Lambda answers up to 6 MB
EXISTS = "attribute_exists(#key) AND attribute_not_exists(#heartbeat)"
RETRY_SECONDS = 10.0  # in which a call is repeated; with the last one's timeouts that stays under the function's own
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.05, 1.0
OTHER_REQUEST = "IdempotentParameterMismatchException"


class ModernStore:
    """The records of one entity in DynamoDB. Heartbeats are not among them.

    Each write is a transaction of one action, with the token of the client's request as its ClientRequestToken. For ten
    minutes after it was done DynamoDB answers a repetition with success and writes nothing: docs/adr/0019.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself: what is in doubt would stay unknown.
    """

    system = "modern"

    def __init__(self, entity: Entity, client: DynamoDBClient, table: str) -> None:
        self._entity = entity
        self._client = client
        self._table = table
        self._key = entity.modern.key
        self._exists_names = {"#key": self._key, "#heartbeat": names.HEARTBEAT_ATTRIBUTE}

    def page(self, limit: int, after: str) -> Page:
        """At most `limit` records; a page of DynamoDB is at most 1 MiB, so there may be fewer before the end.

        An item that does not fit the mapping is named by its key.
        """
        asked: dict[str, Any] = {"ExclusiveStartKey": self._place(after)} if after else {}
        answer = _repeated(lambda: self._client.scan(TableName=self._table, Limit=limit, ConsistentRead=True, **asked))
        items, last = _fitting(answer["Items"]), cast("dict[str, Any]", answer.get("LastEvaluatedKey") or {})
        if len(items) < len(answer["Items"]):
            last = items[-1]
        found = (
            (item[self._key]["S"], partial(self._record, item))
            for item in items
            if names.HEARTBEAT_ATTRIBUTE not in item
        )
        return page_of(found, last[self._key]["S"] if last else "")

    def get(self, key: str) -> Record:
        """The record of `key`, as the last acknowledged write left it.

        Raises:
            NotFoundError: there is none.
            UnmappableError: its item does not fit the mapping.
        """
        if not mapping.usable_key(key):
            raise NotFoundError(key)
        item = _repeated(
            lambda: self._client.get_item(TableName=self._table, Key=self._place(key), ConsistentRead=True)
        ).get("Item")
        if item is None or names.HEARTBEAT_ATTRIBUTE in item:
            raise NotFoundError(key)
        return self._record(item)

    def create(self, key: str | None, fields: Mapping[str, Any], request: str = "") -> Record:
        """Put a new item, under a UUID made of the request's token where the client names no key.

        Raises:
            ConflictError: the key exists.
            TooLargeError: DynamoDB counts more than 400 KB.
        """
        request = request or str(uuid.uuid4())
        record = mapping.Record(key or key_of_request(request), fields)
        put = {
            "Item": mapping.item_from_record(self._entity, record),
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": self._key},
        }
        try:
            self._write("Put", put, request)
        except ItemRefusedError as error:
            # An item under a key of this request alone is its own; DynamoDB no longer knows a token after ten minutes.
            if key or self.get(record.key) != record:
                raise ConflictError from error
        return record

    def replace(self, key: str, fields: Mapping[str, Any], request: str = "") -> Record:
        """Set every mapped attribute and drop the mark of copy; other attributes stay.

        Raises:
            NotFoundError: there is no such item.
        """
        record = mapping.Record(key, fields)
        values = list(mapping.item_from_record(self._entity, record).items())[1:]
        sets = ", ".join(f"#f{i} = :f{i}" for i in range(len(values)))
        update = {
            "UpdateExpression": f"SET {sets} REMOVE #origin",
            "ExpressionAttributeNames": {
                **self._exists_names,
                "#origin": names.ORIGIN_ATTRIBUTE,
                **{f"#f{i}": name for i, (name, _) in enumerate(values)},
            },
            "ExpressionAttributeValues": {f":f{i}": value for i, (_, value) in enumerate(values)},
        }
        self._existing("Update", key, update, request)
        return record

    def delete(self, key: str, request: str = "") -> None:
        """Delete an item.

        Raises:
            NotFoundError: there is none.
        """
        self._existing("Delete", key, {"ExpressionAttributeNames": self._exists_names}, request)

    def _existing(self, verb: str, key: str, action: Mapping[str, Any], request: str) -> None:
        if not mapping.usable_key(key):
            raise NotFoundError(key)
        try:
            self._write(verb, {"Key": self._place(key), "ConditionExpression": EXISTS, **action}, request)
        except ItemRefusedError as error:
            raise NotFoundError(key) from error

    def _write(self, verb: str, action: Mapping[str, Any], request: str) -> None:
        token, items = request or str(uuid.uuid4()), cast("Any", [{verb: {"TableName": self._table, **action}}])
        try:
            _repeated(lambda: self._client.transact_write_items(TransactItems=items, ClientRequestToken=token))
        except InvalidError as error:
            raise TooLargeError if "size" in str(error).lower() else error from error
        except ClientError as error:
            if cast("Any", error.response)["Error"]["Code"] != OTHER_REQUEST:
                raise
            raise InvalidFieldError("Idempotency-Key", "was given with another request") from error

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


def _repeated(call: Callable[[], Answer]) -> Answer:
    """Call until DynamoDB answers. What refuses a repetition does not say that an earlier call in doubt is not done.

    Raises:
        UnavailableError: there is no answer in time, or none that says whether it was written.
        ItemRefusedError: the item is not as the write needs it; nothing was written.
        InvalidError: DynamoDB takes no such item.
    """
    doubt = False

    def attempt() -> Answer:
        nonlocal doubt
        try:
            return called(call)
        except InDoubtError:
            doubt = True
            raise
        except (ItemRefusedError, InvalidError) as error:
            if doubt:
                raise UnavailableError(maybe_written=True) from error
            raise

    return retry(
        attempt,
        TransientDynamoError,
        timeout=RETRY_SECONDS,
        first=FIRST_WAIT_SECONDS,
        longest=LONGEST_WAIT_SECONDS,
        failure=lambda _: UnavailableError(maybe_written=doubt),
        sleep=lambda seconds: time.sleep(random.uniform(seconds / 2, seconds)),  # noqa: S311  # jitter
    )
