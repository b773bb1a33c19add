"""Follows a table's stream: which records changed, and how far the stream has come for each.

It reads beside the bridge and takes nothing away from it. An empty answer does not say that a shard has no more, so the
end is found with watermarks: items that no API shows are written until every open shard has shown one. What was written
before is then seen, because the changes of one item, and of all items of a shard, come in their order.
"""

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import repeat
from typing import Any

from functions.bridge.ownership import Authority
from functions.domain import names, origin
from runbook.aws.clients import Clients, silent
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream_shards import Shard, Shards, created
from runbook.aws.watermarks import Watermarks
from runbook.errors import PreconditionError

SLACK = timedelta(seconds=10)  # by which a record's time of creation may be off; preflight allows clocks five
FIRST_WAIT, LONGEST_WAIT = 0.02, 0.2  # seconds between two looks at a stream that has nothing new
WAVE = 0.1  # seconds before more watermarks are written; each time twice as long
LONGEST_WAVE = 2.0
A_SHARD = 4  # watermarks a shard to begin with, where there are several
AT_ONCE = 16  # shards read at the same time


@dataclass(frozen=True, kw_only=True, slots=True)
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
class Follower:
    """Follows the stream of one entity.

    Args:
        since: records of changes before this moment are passed over; None for the stream's beginning, 24 hours ago.
        wanted: the only keys whose changes are kept; None for all.
        copied: whether changes that copy made are kept. The bridge leaves them alone, so who waits for the bridge has
            no use for them, and after a backfill they may be most of the stream.
        authority: for who waits for the bridge: records of a time when it was disconnected are passed over.
        ended: whether the stream may be one that was switched off; `poll` reads such a one to its end.

    Attributes:
        keeps: whether the records themselves are kept from now on, the last of each key, for `record`.
    """

    clients: Clients
    entity: EntityTarget
    since: datetime | None = None
    wanted: Collection[str] | None = None
    copied: bool = True
    authority: Authority | None = None
    ended: bool = False
    say: Callable[[str], None] = silent
    keeps: bool = field(default=False, init=False)
    _kept: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"], init=False)
    _seen: dict[str, Seen] = field(default_factory=dict[str, Seen], init=False)
    _token: str = field(default="", init=False)
    _listed: bool = field(default=False, init=False)
    _caught_up: bool = field(default=False, init=False)

    def take(self) -> dict[str, Seen]:
        """The last change of each key since the last call."""
        found, self._seen = self._seen, {}
        return found

    def record(self, key: str) -> Mapping[str, Any] | None:
        """The last record of a key since `keeps` was set."""
        return self._kept.get(key)

    def poll(self) -> int:
        """Read what each shard has now, parents before their children; returns how many records there were."""
        if not self._listed:
            self._begin()
        read, now = 0, datetime.now(UTC)
        while True:
            readable = self._shards.readable()
            read += sum(self._each(readable, now))
            if not any(shard.ended for shard in readable):
                return read
            self._shards.list()  # a closed shard goes on in others

    def reach(self, timeout: float) -> None:
        """Read until all that was written before this call has been seen.

        What is long past is read first, however long that takes; `timeout` is for what comes then.

        Raises:
            PreconditionError: the stream does not show it in `timeout` seconds, or is not there.
        """
        deadline = time.monotonic() + timeout
        watermarks = Watermarks(self.clients.dynamodb, self.entity.modern_table, self._key)
        if not self._caught_up:
            watermarks.sweep()
            self.poll()
            self._caught_up, deadline = True, time.monotonic() + timeout
        self._token = uuid.uuid4().hex
        self._shards.ask()
        try:
            self._show(watermarks, deadline, timeout)
        finally:
            watermarks.remove()

    def _show(self, watermarks: Watermarks, deadline: float, timeout: float) -> None:
        open_shards, wave = self._shards.open_count(), WAVE
        more = 1 if open_shards <= 1 else A_SHARD * open_shards
        while True:
            watermarks.write(self._token, more)
            if self._shown(min(deadline, time.monotonic() + wave)):
                return
            if time.monotonic() >= deadline:
                raise PreconditionError(
                    f"the stream of {self.entity.name} did not show the latest writes in {timeout:g} s",
                    "Run the command again; if it stays so, see the state of the table's stream.",
                )
            more, wave = more * 2, min(wave * 2, LONGEST_WAVE)

    def _shown(self, until: float) -> bool:
        wait = FIRST_WAIT
        while True:
            self.poll()
            if not self._shards.complete():
                self._shards.list()
            if self._shards.shown():
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)

    def _begin(self) -> None:
        self._shards.list()
        if self.since:
            self._shards.skip(self.since - SLACK)
        self._listed = True

    def _each(self, shards: list[Shard], now: datetime) -> list[int]:
        if len(shards) == 1:
            return [self._read(shards[0], now)]
        return list(self._pool.map(self._read, shards, repeat(now)))

    def _read(self, shard: Shard, now: datetime) -> int:
        """Read a shard until it answers nothing, is at its end, shows the watermark, or is at what came just now.

        Under load there is always something, so an empty answer alone would not come.
        """
        read = 0
        while True:
            records = self._shards.next(shard)
            for record in records:
                self._note(shard, record)
            read += len(records)
            if not records or shard.ended or shard.shown or created(records[-1]) >= now:
                return read
            if read > len(records):
                self.say(f"reading the stream of {self.entity.name}, at {created(records[-1]):%H:%M:%S}")

    def _note(self, shard: Shard, record: Mapping[str, Any]) -> None:
        data: Mapping[str, Any] = record["dynamodb"]
        image: Mapping[str, Any] = data.get("NewImage") or {}
        either = image or data.get("OldImage") or {}
        if names.HEARTBEAT_ATTRIBUTE in either:
            shard.shown = shard.shown or image.get(names.HEARTBEAT_ATTRIBUTE, {}).get("S") == self._token
            return
        key = data["Keys"][self._key]["S"]
        if self.wanted is not None and key not in self.wanted:
            return
        if self.since and created(record) < self.since - SLACK:
            return
        if self.authority and not self.authority.applies(created(record)):
            return
        removed = record["eventName"] == "REMOVE"
        legacy = origin.by_copy(key, record, self.authority.copy_idle if self.authority else None)
        if legacy and not self.copied:
            return  # what came before is waited for all the same: the bridge may be on it still
        if self.keeps:
            self._kept[key] = record
        self._seen[key] = Seen(sequence=int(data["SequenceNumber"]), legacy=legacy, removed=removed)

    @cached_property
    def _shards(self) -> Shards:
        return Shards(self.clients.streams, self.entity.stream_arn, ended=self.ended)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stream")

    @cached_property
    def _key(self) -> str:
        return self.clients.target.mapping[self.entity.name].modern.key
