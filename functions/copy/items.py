"""Items in batches: read as they are, written under the lane's lease."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from functions.aws.dynamodb import WRITTEN_AT_ONCE, InvalidError, TransientDynamoError, called, read_batches
from functions.aws.retry import back_off
from functions.domain import mapping

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Request = dict[str, Any]  # of a BatchWriteItem
READ_TIMEOUT_SECONDS = 10.0  # in which DynamoDB must give some of what it left over
BYTES_AT_ONCE = 2 * 2**20  # of items; JSON can write one byte as six, and a request has at most 16 MB
ATTEMPTS = 8  # at what DynamoDB left over


class Items:
    """The items of one entity's table.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself.
        check: called before each write; it raises when the write must not be done.
    """

    def __init__(self, client: DynamoDBClient, table: str, key: str, check: Callable[[], None]) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._check = check

    def get(self, keys: Sequence[str]) -> dict[str, Item]:
        """Those of the items that are there, by key, as the last completed writes left them."""
        places = [{self._key: {"S": key}} for key in keys]
        found = read_batches(
            self._client, self._table, places, call=called, timeout=READ_TIMEOUT_SECONDS, ConsistentRead=True
        )
        return {item[self._key]["S"]: dict(item) for item in found}

    def put(self, items: Sequence[Item]) -> dict[str, str]:
        """Write items whole; returns why, for those that DynamoDB will never take, by key."""
        return self._write([{"PutRequest": {"Item": item}} for item in items])

    def delete(self, keys: Sequence[str]) -> None:
        refused = self._write([{"DeleteRequest": {"Key": {self._key: {"S": key}}}} for key in keys])
        if refused:
            raise InvalidError(f"DynamoDB refuses to delete {refused}")

    def _write(self, requests: Sequence[Request]) -> dict[str, str]:
        refused: dict[str, str] = {}
        for run in _runs(requests):
            refused |= self._run(run)
        return refused

    def _run(self, requests: list[Request]) -> dict[str, str]:
        """One batch; when DynamoDB refuses it whole for the sake of some, each on its own."""
        try:
            self._complete(requests)
        except InvalidError as error:
            if len(requests) == 1:
                return {self._key_of(requests[0]): str(error)}
            refused: dict[str, str] = {}
            for request in requests:
                refused |= self._run([request])
            return refused
        return {}

    def _complete(self, requests: list[Request]) -> None:
        left: Any = requests
        for attempt in range(ATTEMPTS):
            self._check()
            wanted = {self._table: left}
            answer = called(lambda some=wanted: self._client.batch_write_item(RequestItems=some))
            unprocessed = cast("dict[str, Any]", answer.get("UnprocessedItems") or {})
            left = unprocessed.get(self._table)
            if not left:
                return
            time.sleep(back_off(attempt))
        raise TransientDynamoError("DynamoDB would not write all items: the table is throttled")

    def _key_of(self, request: Request) -> str:
        put = request.get("PutRequest")
        return (put["Item"] if put else request["DeleteRequest"]["Key"])[self._key]["S"]


def _runs(requests: Sequence[Request]) -> Iterator[list[Request]]:
    run, size = list[Request](), 0
    for request in requests:
        weight = mapping.item_size(request["PutRequest"]["Item"]) if "PutRequest" in request else 0
        if run and (len(run) == WRITTEN_AT_ONCE or size + weight > BYTES_AT_ONCE):
            yield run
            run, size = [], 0
        run.append(request)
        size += weight
    if run:
        yield run
