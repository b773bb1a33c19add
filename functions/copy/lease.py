"""A lane's lease in the journal: which worker has the lane now, so that each key has one writer.

The operator's lock and its lease are another thing: runbook/journal/lock.py.

Each write of a worker is in one transaction with a check of the lane's record: that it has the token which the worker
drew when it took the lease. The next worker draws another, and a command after which copy must write
nothing removes it. So a write that was on its way meanwhile is refused where it arrives, however late: docs/adr/0020.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from functions.aws.dynamodb import LONGEST_CALL_SECONDS, Answer, ItemRefusedError, ServerClock, called
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

LEASE_SECONDS = 20.0
RENEW_SECONDS = 2.0  # after which it is renewed
SILENT_SECONDS = 6.0  # without a renewal, after which its owner counts as dead; the lease still lasts to its end
TAKEN = "attribute_not_exists(#expires) OR #expires < :now OR #owner = :owner"
OURS = "#token IN (:held, :token)"


class LeaseLostError(Exception):
    """Another worker has the lane, or copy must write nothing more; nothing was written."""


class WriteLease(Protocol):
    """What a worker's writes depend on: the lease of a lane or of a range."""

    def held(self) -> TransactWriteItemTypeDef:
        """What makes a transaction fail unless the lease is ours."""
        ...

    def check(self) -> None:
        """Raise LeaseLostError if a write must not begin."""
        ...

    def lost(self) -> LeaseLostError:
        """The error for a write that was refused."""
        ...


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
        self._token = self._next = ""
        self._renewed = self._until = float("-inf")
        self._time = ServerClock()
        self._rows = 0
        self._lag = 0.0

    def take(self) -> bool:
        """Take the lane; False when a living worker has it. What was sent under its lease before is refused now."""
        try:
            self._write(TAKEN, drawn())
        except ItemRefusedError:
            return False
        return True

    def held(self) -> TransactWriteItemTypeDef:
        """What makes a transaction fail unless the lane is ours under this lease."""
        return has_token(self._table, self._key, self._token)

    def doubt(self) -> None:
        """Replace the token before anything else, since a call may arrive late: then it is refused."""
        self._next = self._next or drawn()  # the same until it is stored, because storing it may be in doubt too

    def lost(self) -> LeaseLostError:
        """The error for a write that was refused."""
        self._until = float("-inf")
        return LeaseLostError()

    def vacancy(self) -> float:
        """Seconds until the lane falls free, if its owner seems dead; 0 when it is alive."""
        expires = float(self._read().get("expires", {}).get("N", "0"))
        left = max(0.0, expires - self._now())
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
        if self._next or self._clock() - self._renewed >= RENEW_SECONDS:
            self.confirm()

    def confirm(self) -> None:
        """Renew the lease now, which shows that it is ours at this moment.

        Raises:
            LeaseLostError: another worker has the lane, or copy must write nothing more.
        """
        try:
            self._write(OURS, self._next or self._token)
        except ItemRefusedError as error:
            raise self.lost() from error

    def may_write(self) -> bool:
        """Whether a write that begins now ends before another worker may take the lane, so that it is not in vain."""
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
            self._write(OURS, drawn(), seconds=-1.0)
        except ItemRefusedError:
            return
        finally:
            self._until = float("-inf")

    def _write(self, condition: str, token: str, seconds: float = LEASE_SECONDS) -> None:
        began, now = self._clock(), self._now()
        values: dict[str, Any] = {
            ":owner": {"S": self._owner},
            ":expires": {"N": f"{now + seconds:.3f}"},
            ":beat": {"S": dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds")},
            ":lag": {"N": f"{self._lag:.3f}"},
            ":rows": {"N": str(self._rows)},
            ":token": {"S": token},
        }
        values |= {":now": {"N": f"{now:.3f}"}} if condition == TAKEN else {":held": {"S": self._token}}
        attributes = {f"#{name}": name for name in ("owner", "expires", "beat", "lag", "rows")}
        self._called(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #token = :token, #owner = :owner, #expires = :expires, #beat = :beat, "
                "#lag = :lag ADD #rows :rows",
                ConditionExpression=condition,
                ExpressionAttributeNames=attributes | {"#token": names.LEASE_TOKEN},
                ExpressionAttributeValues=values,
            )
        )
        self._renewed, self._until, self._rows = began, began + seconds, 0
        self._token, self._next = token, ""

    def _now(self) -> float:
        """Seconds since 1970 by DynamoDB's clock, by which others read the record."""
        if not self._time.known:
            self._read()
        return self._time.now()

    def _read(self) -> Mapping[str, Any]:
        found = self._called(lambda: self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True))
        return found.get("Item", {})

    def _called(self, call: Callable[[], Answer]) -> Answer:
        return called(lambda: self._time.read(call))


def drawn() -> str:
    """A token that no other lease has."""
    return uuid.uuid4().hex


def has_token(table: str, key: Mapping[str, Any], token: str) -> TransactWriteItemTypeDef:
    """What makes a transaction fail unless a record has this token."""
    return {
        "ConditionCheck": {
            "TableName": table,
            "Key": key,
            "ConditionExpression": "#token = :token",
            "ExpressionAttributeNames": {"#token": names.LEASE_TOKEN},
            "ExpressionAttributeValues": {":token": {"S": token}},
        }
    }
