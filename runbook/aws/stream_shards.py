"""The shards of a stream: which there are, and each one's next records, whatever becomes of its iterator."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

PAGE = 1000  # records in one answer, the stream's limit
EXPIRED, TRIMMED, GONE = "ExpiredIteratorException", "TrimmedDataAccessException", "ResourceNotFoundException"
ATTEMPTS = 5  # at an iterator; one is valid for 15 minutes, so a second one in vain is odd
CHILD_WAIT = 10.0  # seconds until a shard that ended without a child is believed to have none
READABLE = frozenset({"ENABLED", "ENABLING"})
ENDED = frozenset({"DISABLED", "DISABLING"})  # its records can be read for 24 hours more


class StreamGoneError(PreconditionError):
    """There is no such stream, or no more: it was switched off more than 24 hours ago."""


@dataclass
class Shard:
    """Where the reading of one shard is.

    Attributes:
        parent: the shard that must be read to its end before; empty for none that is known.
        closed: whether nothing is written to it any more.
        iterator: of the next read; None when there must be a new one.
        last: sequence number of the last record read; empty for none.
        shown: whether it, or the shard it continues, has shown the present watermark.
        ended_at: monotonic seconds at which it was found to be at its end; None before.
    """

    name: str
    parent: str
    closed: bool = False
    iterator: str | None = None
    last: str = ""
    shown: bool = False
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


class Shards:
    """The shards of one stream.

    Args:
        arn: the stream's.
        ended: whether it may be one that was switched off.
    """

    def __init__(self, client: DynamoDBStreamsClient, arn: str, *, ended: bool = False) -> None:
        self._client = client
        self._arn = arn
        self._readable = READABLE | ENDED if ended else READABLE
        self._shards: dict[str, Shard] = {}
        self.created: datetime | None = None

    def list(self) -> None:
        """Learn of shards that are new.

        Raises:
            PreconditionError: the stream is not there, or was switched off.
        """
        for described in self._described():
            name = described["ShardId"]
            shard = self._shards.setdefault(name, Shard(name, described.get("ParentShardId", "")))
            shard.closed = "EndingSequenceNumber" in described.get("SequenceNumberRange", {})
            if shard.parent in self._shards:
                shard.shown = shard.shown or self._shards[shard.parent].shown

    def readable(self) -> list[Shard]:
        """The shards to read now: not at their end, and continuing none that is not."""
        return [
            shard
            for shard in self._shards.values()
            if not shard.ended and (shard.parent not in self._shards or self._shards[shard.parent].ended)
        ]

    def open_count(self) -> int:
        """How many shards may still be written to."""
        return sum(not shard.closed for shard in self._shards.values())

    def complete(self) -> bool:
        """Whether every shard that ended is known to go on in others; the list of them may be late."""
        parents = {shard.parent for shard in self._shards.values()}
        now = time.monotonic()
        return all(
            shard.ended_at is None or shard.name in parents or now - shard.ended_at > CHILD_WAIT
            for shard in self._shards.values()
        )

    def ask(self) -> None:
        """Begin to wait for another watermark."""
        for shard in self._shards.values():
            shard.shown = False

    def shown(self) -> bool:
        readable = self.readable()
        return bool(readable) and self.complete() and all(shard.shown for shard in readable)

    def skip(self, before: datetime) -> None:
        """Take the shards as read that were closed before a moment: those that continue them began before it."""
        for shard in list(self._shards.values()):
            children = [child for child in self._shards.values() if child.parent == shard.name]
            if any(self._began(child, before) for child in children):
                shard.ended_at = time.monotonic()

    def next(self, shard: Shard) -> Sequence[Mapping[str, Any]]:
        """Its next records; that there are none now says nothing of its end, `ended` does."""
        for _ in range(ATTEMPTS):
            try:
                answer = self._answer(shard)
            except ClientError as error:
                self._recover(shard, error)
                if shard.ended:
                    return []
                continue
            records = cast("list[Mapping[str, Any]]", answer["Records"])
            if records:
                shard.last = records[-1]["dynamodb"]["SequenceNumber"]
            shard.iterator = answer.get("NextShardIterator")
            shard.ended_at = None if shard.iterator else time.monotonic()
            return records
        raise FailedError(f"the stream's shard {shard.name} cannot be read", "Run the command again.")

    def _answer(self, shard: Shard) -> Mapping[str, Any]:
        if shard.iterator is None:
            shard.iterator = self._iterator(shard)
        return self._client.get_records(ShardIterator=shard.iterator, Limit=PAGE)

    def _recover(self, shard: Shard, error: ClientError) -> None:
        """Go on with a new iterator: behind the last record, or at the beginning where that is past the 24 hours."""
        code = error.response.get("Error", {}).get("Code")
        if code not in {EXPIRED, TRIMMED, GONE}:
            raise error
        shard.iterator = None
        if code == TRIMMED:
            shard.last = ""
        if code == GONE:
            if any(described["ShardId"] == shard.name for described in self._described()):
                raise error
            shard.ended_at = time.monotonic()  # the whole of it is past the 24 hours

    def _iterator(self, shard: Shard) -> str:
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if shard.last:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard.last}
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard.name, **where)
        return answer.get("ShardIterator", "")

    def _began(self, shard: Shard, before: datetime) -> bool:
        """Whether a shard's first record is of before a moment; one that shows none now is taken to be later."""
        try:
            iterator = self._iterator(Shard(shard.name, ""))
            records = self._client.get_records(ShardIterator=iterator, Limit=1)["Records"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {EXPIRED, TRIMMED, GONE}:
                return False
            raise
        return bool(records) and created(cast("Mapping[str, Any]", records[0])) < before

    def _described(self) -> list[Any]:
        found: list[Any] = []
        after: dict[str, Any] = {}
        while True:
            answer = self._page(after)
            found += answer.get("Shards", [])
            if not answer.get("LastEvaluatedShardId"):
                return found
            after = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}

    def _page(self, after: Mapping[str, Any]) -> Mapping[str, Any]:
        remedy = "Run `pulumi up` for a stream, and `runbook init` for its journal and bridge."
        try:
            answer = self._client.describe_stream(StreamArn=self._arn, **after)["StreamDescription"]
        except self._client.exceptions.ResourceNotFoundException as error:
            raise StreamGoneError(f"the stream {self._arn} is not there", remedy) from error
        if answer.get("StreamStatus") not in self._readable:
            raise PreconditionError(f"the stream {self._arn} is {answer.get('StreamStatus')}", remedy)
        self.created = answer.get("CreationRequestDateTime")
        return cast("Mapping[str, Any]", answer)


def created(record: Mapping[str, Any]) -> datetime:
    """When the change of a record was made, to the second or so."""
    return record["dynamodb"]["ApproximateCreationDateTime"]
