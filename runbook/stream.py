"""Follows a table's stream: which records changed, and how far the stream has come for each.

It reads beside the bridge and takes nothing away from it. An empty answer does not say that a shard has no more, so the
end is found with markers: items that no API shows are written until every open shard has shown one. What was written
before is then seen, because the changes of one item, and of all items of a shard, come in their order.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from functions.domain import names
from runbook.errors import PreconditionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

    from runbook.context import Context
    from runbook.target import EntityTarget

PAGE = 1000  # records in one answer, the stream's limit
SLACK = timedelta(seconds=60)  # by which a record's time of creation may be off
FIRST_WAIT, LONGEST_WAIT = 0.02, 0.5  # seconds between two looks for a marker
MOST_MARKERS = 4096
RESUME = frozenset({"ExpiredIteratorException"})
TRIMMED = "TrimmedDataAccessException"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The last change of a key.

    Attributes:
        sequence: its number in the stream.
        legacy: whether copy made it, so that the bridge leaves it alone.
        removed: whether the item is gone.
    """

    sequence: int
    legacy: bool
    removed: bool


@dataclass
class _Shard:
    """Where the reading of one shard is.

    Attributes:
        parent: the shard that must be read to its end before; empty for none that is known.
        iterator: of the next read; None when there must be a new one.
        last: sequence number of the last record read; empty for none.
        marker: the last marker seen.
        ended: whether it is closed and read to its end.
    """

    name: str
    parent: str
    iterator: str | None = None
    last: str = ""
    marker: str = ""
    ended: bool = False


@dataclass
class Follower:
    """Follows the stream of one entity.

    Args:
        context: the stack.
        entity: whose stream.
        since: records of changes before this moment are passed over; None for the stream's beginning, 24 hours ago.
    """

    context: Context
    entity: EntityTarget
    since: datetime | None = None
    _shards: dict[str, _Shard] = field(default_factory=dict[str, _Shard], init=False)
    _seen: dict[str, Seen] = field(default_factory=dict[str, Seen], init=False)
    _listed: bool = field(default=False, init=False)

    def take(self) -> dict[str, Seen]:
        """The last change of each key since the last call."""
        found, self._seen = self._seen, {}
        return found

    def poll(self) -> int:
        """Read what each shard has now, parents before their children; returns how many records there were."""
        if not self._listed:
            self._list()
        read = 0
        while True:
            shards = self._open()
            read += sum(self._read(shard) for shard in shards)
            if not any(shard.ended for shard in shards):
                return read
            self._list()  # a closed shard has children

    def reach(self, patience: float) -> None:
        """Read until all that was written before this call has been seen.

        Raises:
            PreconditionError: the stream does not show it in `patience` seconds.
        """
        token, deadline, wait = uuid.uuid4().hex, time.monotonic() + patience, FIRST_WAIT
        markers = 0
        try:
            while True:
                if markers < MOST_MARKERS:
                    more = max(1, markers)
                    self._mark(token, range(markers, markers + more))
                    markers += more
                if self._shown(token, min(deadline, time.monotonic() + 5 * wait)):
                    return
                if time.monotonic() >= deadline:
                    raise PreconditionError(
                        f"the stream of {self.entity.name} did not show the latest writes in {patience:g} s",
                        "Run the command again; if it stays so, see the state of the table's stream.",
                    )
                wait = min(wait * 2, LONGEST_WAIT)
        finally:
            self._unmark(markers)

    def _shown(self, token: str, until: float) -> bool:
        while True:
            self.poll()
            if all(shard.marker == token for shard in self._open()):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(FIRST_WAIT)

    def _open(self) -> list[_Shard]:
        """The shards to read now: not at their end, and no parent that is not."""
        shards = self._shards
        return [
            shard
            for shard in shards.values()
            if not shard.ended and (shard.parent not in shards or shards[shard.parent].ended)
        ]

    def _list(self) -> None:
        """Learn of shards that are new."""
        after: dict[str, Any] = {}
        while True:
            answer = self._streams.describe_stream(StreamArn=self.entity.stream_arn, **after)[
                "StreamDescription"
            ]
            for described in answer.get("Shards", []):
                name = described.get("ShardId", "")
                self._shards.setdefault(name, _Shard(name, described.get("ParentShardId", "")))
            if not answer.get("LastEvaluatedShardId"):
                break
            after = {"ExclusiveStartShardId": answer.get("LastEvaluatedShardId")}
        self._listed = True

    def _read(self, shard: _Shard) -> int:
        """Read a shard until it answers nothing or is at its end."""
        read = 0
        while True:
            answer = self._records(shard)
            for record in answer["Records"]:
                self._note(shard, record)
            read += len(answer["Records"])
            shard.iterator = answer.get("NextShardIterator")
            shard.ended = shard.iterator is None
            if shard.ended or not answer["Records"]:
                return read

    def _records(self, shard: _Shard) -> dict[str, Any]:
        if shard.iterator is None:
            shard.iterator = self._iterator(shard)
        try:
            return cast("Any", self._streams.get_records(ShardIterator=shard.iterator, Limit=PAGE))
        except self._streams.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == TRIMMED:  # what is older than the stream keeps is settled by a whole verify
                shard.last = ""
            elif code not in RESUME:
                raise
        shard.iterator = self._iterator(shard)
        return cast("Any", self._streams.get_records(ShardIterator=shard.iterator, Limit=PAGE))

    def _iterator(self, shard: _Shard) -> str:
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if shard.last:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard.last}
        arn = self.entity.stream_arn
        return self._streams.get_shard_iterator(StreamArn=arn, ShardId=shard.name, **where).get(
            "ShardIterator", ""
        )

    def _note(self, shard: _Shard, record: Mapping[str, Any]) -> None:
        data: Mapping[str, Any] = record["dynamodb"]
        shard.last = data["SequenceNumber"]
        image: Mapping[str, Any] = data.get("NewImage") or {}
        either = image or data.get("OldImage") or {}
        if names.PROBE_ATTRIBUTE in either:
            shard.marker = image.get(names.PROBE_ATTRIBUTE, {}).get("S", shard.marker)
            return
        if self.since and data["ApproximateCreationDateTime"] < self.since - SLACK:
            return
        removed = record["eventName"] == "REMOVE"
        key = data["Keys"][self._key]["S"]
        self._seen[key] = Seen(
            sequence=int(shard.last), legacy=_by_copy(either, removed=removed), removed=removed
        )

    def _mark(self, token: str, numbers: range) -> None:
        for number in numbers:
            item = {self._key: {"S": _marker(number)}, names.PROBE_ATTRIBUTE: {"S": token}}
            self._dynamodb.put_item(TableName=self.entity.modern_table, Item=item)

    def _unmark(self, count: int) -> None:
        for number in range(count):
            place = {self._key: {"S": _marker(number)}}
            self._dynamodb.delete_item(TableName=self.entity.modern_table, Key=place)

    @property
    def _key(self) -> str:
        return self.context.target.mapping[self.entity.name].modern.key

    @property
    def _streams(self) -> DynamoDBStreamsClient:
        return self.context.clients.streams

    @property
    def _dynamodb(self) -> DynamoDBClient:
        return self.context.clients.dynamodb


def _marker(number: int) -> str:
    """The same keys each time, so that what a killed run has left is overwritten and removed by the next."""
    return f"{names.PROBE_KEY}-{number:04}"


def _by_copy(image: Mapping[str, Any], *, removed: bool) -> bool:
    if removed:
        return names.DELETING_ATTRIBUTE in image
    return image.get(names.ORIGIN_ATTRIBUTE, {}).get("S") == names.ORIGIN_LEGACY
