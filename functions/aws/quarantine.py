"""The quarantine: records that can never be applied, with the reason, until someone replays or drops them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from functions.domain.changes import Change
from functions.domain.entities import Entity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_REASON = 2000  # characters


class Quarantine:
    """One table for all entities; the latest failure of a key replaces an earlier one, since replay reads the item.

    Args:
        client: boto3's `dynamodb`.
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
        """Park a change. A failure is the caller's to raise: the record is nowhere else."""
        self.park(entity.name, change.kind.value, change.key, reason, code=code, sequence=change.sequence)

    def park(  # noqa: PLR0913  # an entry's attributes
        self, entity: str, event: str, key: str, reason: str, *, code: int = 0, sequence: int = 0
    ) -> None:
        """Park what happened to a key, by any road."""
        self._client.put_item(
            TableName=self._table,
            Item={
                "entity": {"S": entity},
                "item_key": {"S": key},
                "reason": {"S": reason[:LONGEST_REASON]},
                "error_code": {"N": str(code)},
                "sequence": {"S": str(sequence)},
                "event_name": {"S": event},
                "quarantined_at": {"S": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")},
                "request_id": {"S": self._request},
                "stream": {"S": self._stream},
            },
        )
