"""A lane's lease in the journal: which worker has the lane now, so that each key has one writer.

The operator's lock and its lease are another thing: runbook/journal/lock.py.

A worker may write only while its lease lasts longer than the longest request could take. So a worker that takes over
an expired lease meets no request of its predecessor.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from functions.aws.dynamodb import LONGEST_CALL_SECONDS, ItemRefusedError, called
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEASE_SECONDS = 20.0
RENEW_SECONDS = 2.0  # after which it is renewed
SILENT_SECONDS = 6.0  # without a renewal, after which its owner counts as dead; the lease still lasts to its end
TAKEN = "attribute_not_exists(#expires) OR #expires < :now OR #owner = :owner"
OURS = "#owner = :owner"


class LeaseLostError(Exception):
    """Another worker has the lane, or may have it before a write would end; nothing was written."""


class LaneLease:
    """One worker's hold on one lane.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself.
        owner: the worker's name; no two workers share one.
        clock: monotonic seconds, by which the worker trusts its own lease.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it holds, where, and for whom
        self,
        client: DynamoDBClient,
        table: str,
        entity: str,
        lane: int,
        owner: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._key = {"entity": {"S": entity}, "record": {"S": names.lane_record(lane)}}
        self._owner = owner
        self._clock = clock
        self._renewed = self._until = float("-inf")
        self._rows = 0
        self._lag = 0.0

    def take(self) -> bool:
        """Take the lane; False when a living worker has it."""
        try:
            self._write(TAKEN)
        except ItemRefusedError:
            return False
        return True

    def vacancy(self) -> float:
        """Seconds until the lane falls free, if its owner seems dead; 0 when it is alive."""
        found = called(lambda: self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True))
        expires = float(found.get("Item", {}).get("expires", {}).get("N", "0"))
        left = max(0.0, expires - time.time())
        return left + 0.1 if left < LEASE_SECONDS - SILENT_SECONDS else 0.0

    def note(self, rows: int = 0, lag: float | None = None) -> None:
        """What the next renewal stores: rows done, and the age in seconds of the oldest change seen."""
        self._rows += rows
        self._lag = self._lag if lag is None else lag

    def keep(self) -> None:
        """Renew the lease if it is time. An expired one that no other worker has taken is as good as new.

        Raises:
            LeaseLostError: another worker has the lane.
        """
        if self._clock() - self._renewed < RENEW_SECONDS:
            return
        try:
            self._write(OURS)
        except ItemRefusedError as error:
            self._until = float("-inf")
            raise LeaseLostError from error

    def may_write(self) -> bool:
        """Whether a write that begins now ends while the lane is surely ours."""
        return self._until - self._clock() > LONGEST_CALL_SECONDS

    def check(self) -> None:
        """Before each write.

        Raises:
            LeaseLostError: it must not be done.
        """
        self.keep()
        if not self.may_write():
            raise LeaseLostError

    def release(self) -> None:
        """Let the lane go, if it is still ours."""
        try:
            self._write(OURS, seconds=-1.0)
        except ItemRefusedError:
            return
        finally:
            self._until = float("-inf")

    def _write(self, condition: str, seconds: float = LEASE_SECONDS) -> None:
        began, wall = self._clock(), time.time()
        values: dict[str, Any] = {
            ":owner": {"S": self._owner},
            ":expires": {"N": f"{wall + seconds:.3f}"},
            ":beat": {"S": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")},
            ":lag": {"N": f"{self._lag:.3f}"},
            ":rows": {"N": str(self._rows)},
        }
        if ":now" in condition:
            values[":now"] = {"N": f"{wall:.3f}"}
        called(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #owner = :owner, #expires = :expires, #beat = :beat, #lag = :lag ADD #rows :rows",
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in ("owner", "expires", "beat", "lag", "rows")},
                ExpressionAttributeValues=values,
            )
        )
        self._renewed, self._until, self._rows = began, began + seconds, 0
