"""Watermarks: items that no API shows, written so that the stream shows how far it has come.

They have the same keys each time, numbered from zero, and the last goes first; so what a killed run has left are the
first ones, which the next run finds by looking from zero. The bridge leaves them alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST = 4096
AT_ONCE = 25  # DynamoDB's limit of one BatchWriteItem
LOOKED_AT = 100  # DynamoDB's limit of one BatchGetItem
LEFT_OVER_WAIT = 0.05  # seconds before what DynamoDB left over is sent again


class Watermarks:
    def __init__(self, dynamodb: DynamoDBClient, table: str, key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = key
        self._count = 0

    def write(self, token: str, more: int) -> None:
        """Write so many more; every shard should get one, and each goes where its key's hash lies.

        One that DynamoDB leaves over is left: others come after.
        """
        numbers = range(self._count, min(MOST, self._count + more))
        self._count = max(self._count, numbers.stop)
        mark = {names.HEARTBEAT_ATTRIBUTE: {"S": token}}
        puts = [{"PutRequest": {"Item": {**self._place(number), **mark}}} for number in numbers]
        for start in range(0, len(puts), AT_ONCE):
            self._send(puts[start : start + AT_ONCE])

    def sweep(self) -> None:
        """Delete what a killed run has left."""
        while self._count < MOST and self._any(range(self._count, self._count + LOOKED_AT)):
            self._count += LOOKED_AT
        self.remove()

    def remove(self) -> None:
        """Delete all that were written."""
        left = [{"DeleteRequest": {"Key": self._place(number)}} for number in reversed(range(self._count))]
        self._count = 0
        while left:
            over = self._send(left[:AT_ONCE])
            left = [*over, *left[AT_ONCE:]]
            if over:
                time.sleep(LEFT_OVER_WAIT)

    def _place(self, number: int) -> dict[str, Any]:
        return {self._key: {"S": f"{names.HEARTBEAT_KEY}-{number:04}"}}

    def _any(self, numbers: range) -> bool:
        """Whether one of them is there, as far as DynamoDB answered at once."""
        keys = [self._place(number) for number in numbers]
        request: Any = {
            self._table: {
                "Keys": keys,
                "ConsistentRead": True,
                "ProjectionExpression": "#key",
                "ExpressionAttributeNames": {"#key": self._key},
            }
        }
        answer: Any = self._dynamodb.batch_get_item(RequestItems=request)
        return bool(answer["Responses"].get(self._table) or answer.get("UnprocessedKeys"))

    def _send(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write or delete; returns what DynamoDB left over."""
        items: Any = {self._table: requests}
        answer: Any = self._dynamodb.batch_write_item(RequestItems=items)
        return answer.get("UnprocessedItems", {}).get(self._table, [])
