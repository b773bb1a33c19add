"""Which changes of the stream Aurora does not have yet, and applying them: waits for the bridge, or does its work.

Each change is looked up by its key. Aurora has it when the sequence there is the change's or a later one.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from functions.aws.data_api import DataApi, cell_text
from functions.aws.dynamodb import read_at_one_moment
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.aws.quarantine import Quarantine, QuarantineTable
from functions.bridge import ownership
from functions.bridge.apply import Applier
from functions.bridge.by_function import MARGIN_SECONDS, FunctionApplier, until_after
from functions.bridge.permits import Permit, Permits
from functions.bridge.retries import RetryingQuarantine
from functions.bridge.statements import Statements
from functions.domain import changes, mapping, names
from functions.domain.entities import Entity
from functions.legacy.table import within
from runbook.aws.aurora import refusal
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Follower, Seen
from runbook.cutover.steps import POLL_SECONDS, SwitchRun
from runbook.errors import PreconditionError
from runbook.quarantine.legacy_function import legacy_calls
from runbook.quarantine.store import EntryStore
from runbook.stack import Context

KEYS_AT_ONCE = 500  # in one statement
STATEMENTS_AT_ONCE = 8
LOOK_SECONDS = 0.1  # between two looks while no client waits
CLOCK_DIFFERENCE = timedelta(minutes=10)  # of this machine and DynamoDB, at most
HAND_SECONDS = 2  # in which calls by hand of legacy's function begin
APPROACHES = 2  # times that what came meanwhile is caught up with
KEYS_SHOWN = 3  # in a message


class StreamDrain:
    """Brings what the stream has shown to Aurora: first while clients write, then, in a moment, while they are held.

    Args:
        alone: whether the bridge's mapping is off while the last changes are applied.
    """

    def __init__(self, run: SwitchRun, *, alone: bool = False) -> None:
        self._run = run
        self._alone = alone
        self._started_follower: Follower | None = None
        self._left: dict[str, Seen] = {}

    def follow(self) -> None:
        """Follow the stream until all of it is applied, from where that was last so, or from its beginning.

        Not from the moment of the cutover: the heartbeat that passed then says nothing of any other shard, in which
        a batch from before may still be retried.
        """
        run, began = self._run, datetime.now(UTC)
        authority = run.fence.control().authority
        if not authority.bridged_since:
            return  # a disconnected bridge applies nothing
        since = drained_until(run.context, run.entity)
        self._started_follower = run.follower_of_bridge(since, authority)
        self._follower.reach(run.choices.timeout)
        self._until_applied(time.monotonic() + run.choices.timeout, LOOK_SECONDS)
        drained = {"at": (began - CLOCK_DIFFERENCE).isoformat(), "stream": run.entity.stream_arn}
        run.context.journal.put_record(run.entity.name, names.DRAINED_RECORD, drained, run.held_lease.lock)

    def approach(self) -> None:
        """Come as near to the stream's end as one can before clients are held."""
        run, follower = self._run, self._follower
        for _ in range(APPROACHES):
            follower.reach(run.choices.timeout)
            self._until_applied(time.monotonic() + run.choices.timeout, LOOK_SECONDS)
        follower.keeps = True
        follower.reach(run.choices.timeout)
        self._left = unapplied(run.context, run.entity, follower.take())

    def drain(self) -> None:
        """Follow what came since, to the last write that was let in, and apply what the bridge is still gathering.

        Raises:
            PreconditionError: some of it is not in Aurora in time, or can never be.
        """
        run = self._run
        deadline = run.held_since + run.choices.hold
        self._follower.reach(run.choices.hold)
        self._until_applied(deadline, POLL_SECONDS, self._apply)
        await_calls(run, deadline)
        quarantined = EntryStore(run.context, run.entity).entries()
        if quarantined:
            raise PreconditionError(
                f"Aurora cannot take {len(quarantined)} of the last changes: {quarantined[0].key}",
                "See `runbook quarantine list`.",
            )

    @property
    def _follower(self) -> Follower:
        assert self._started_follower is not None, "`follow` comes first"
        return self._started_follower

    def _apply(self) -> None:
        """Apply what is left here and now. Where the bridge changes the same rows and one of both gives way, again."""
        records = [record for key in self._left if (record := self._follower.record(key))]
        replayed = self._run.context.target.mapping[self._run.entity.name].replayed
        # Legacy's function is left to the bridge where there is one: it gathers nothing, and leaves no change out.
        if records and (self._alone or not replayed):
            apply(self._run.context, self._run.entity, records)

    def _until_applied(self, deadline: float, look: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        run = self._run
        while True:
            self._left = unapplied(run.context, run.entity, {**self._left, **self._follower.take()})
            if not self._left:
                return
            if time.monotonic() > deadline:
                shown = ", ".join(list(self._left)[:KEYS_SHOWN])
                raise PreconditionError(
                    f"the bridge has not applied {len(self._left)} changes in time: {shown}",
                    "See `runbook status` and `runbook quarantine list`.",
                )
            run.context.say(f"{len(self._left):,} changes on their way to Aurora")
            meanwhile()
            time.sleep(look)  # and take no more: under load there is always something on its way


def await_calls(run: SwitchRun, deadline: float) -> None:
    """Wait until no call of legacy's function can be under way: it would be taken for a client's with the fence down.

    A bridge of kind `direct` makes none, but one of kind `replay` may have, before the last deployment.

    Raises:
        PreconditionError: a bridge has died in the middle of one, and it may still run.
    """
    described = run.context.target.mapping[run.entity.name]
    permits = Permits(described, run.context.aurora.database(described.legacy.database), "")
    while (left := run.context.aurora.ask(permits.longest)) > 0:
        if time.monotonic() > deadline:
            raise PreconditionError(
                f"a call of {run.entity.name}'s legacy function may be under way for {left:.0f} s",
                "Run the same command after that.",
            )
        time.sleep(POLL_SECONDS)


def drained_until(context: Context, entity: EntityTarget) -> datetime | None:
    """The moment before which Aurora has everything of the entity's stream, as far as the journal knows."""
    record = context.journal.find_record(entity.name, names.DRAINED_RECORD)
    if record is None or record["stream"] != entity.stream_arn:
        return None
    return datetime.fromisoformat(record["at"])


def unapplied(context: Context, entity: EntityTarget, seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """Those of `seen` that the bridge is not done with.

    It is done with a change when the key's row, or the tombstone, has its sequence or a later one; when copy
    made it; or when it is in quarantine, where it waits for the operator. While the database does not answer, nothing
    counts as applied.
    """
    waiting = {key: one for key, one in seen.items() if not one.legacy and mapping.usable_key(key)}
    if not waiting:
        return {}
    described = context.target.mapping[entity.name]
    database = context.aurora.database(described.legacy.database)
    chunks = list(_chunks(list(waiting), KEYS_AT_ONCE))
    with ThreadPoolExecutor(min(STATEMENTS_AT_ONCE, len(chunks))) as pool:
        for found in pool.map(partial(_reached, database, described), chunks):
            _strike(waiting, found)
    _strike(waiting, _quarantined(context, entity, list(waiting)))
    return waiting


def apply(context: Context, entity: EntityTarget, records: Sequence[Mapping[str, Any]]) -> None:
    """Apply records of the stream here and now, as the bridge will: by its code, as its user.

    The bridge gathers records for a moment before it applies them, and clients wait meanwhile. Which of the two comes
    first does not matter, as with any record that is delivered twice. After a transient error the bridge applies them.
    """
    described, target = context.target.mapping[entity.name], context.target
    database = context.aurora.as_bridge(described.legacy.database)
    quarantine = Quarantine(context.clients.dynamodb, target.quarantine_table, "run by hand", stream=entity.stream_arn)
    try:
        authority = ownership.read(database, described)
        found = changes.from_stream(described, records, authority.copy_idle)
        read = partial(read_at_one_moment, context.clients.dynamodb, entity.modern_table, described.modern.key)
        to = described, database, RetryingQuarantine(quarantine), entity.stream_arn, read
        calls = legacy_calls(context, entity)
        if calls and authority.fenced:
            seconds = calls.timeout + MARGIN_SECONDS + HAND_SECONDS
            applier = FunctionApplier(*to, calls, until_after(seconds))
        else:
            applier = Applier(*to)
        applier.apply(found, authority)
    except TransientError:
        return
    except DataApiError as error:
        raise refusal(error) from error


@dataclass
class Reach:
    """How far Aurora is with a key: by the sequence of its row, and by that of its tombstone; -1 for none."""

    row: int | None = None
    tombstone: int = -1

    def has(self, seen: Seen) -> bool:
        """Whether a change is behind it.

        A tombstone is written before its row is deleted, so for a delete it counts only where no row is left.
        """
        if seen.removed:
            return (self.tombstone if self.row is None else self.row) >= seen.sequence
        return max(self.tombstone, -1 if self.row is None else self.row) >= seen.sequence

    def beyond(self, permit: Permit) -> bool:
        """Whether a newer change than that of a permit is there."""
        return (self.tombstone if self.row is None else self.row) > permit.sequence


def _strike(waiting: dict[str, Seen], found: Mapping[str, Reach]) -> None:
    for key, reach in found.items():
        if key in waiting and reach.has(waiting[key]):
            del waiting[key]


def _reached(database: DataApi, entity: Entity, keys: Sequence[str]) -> dict[str, Reach]:
    """How far Aurora is with some keys; tombstones are read first: they count where no row is left."""
    sql = Statements(entity)
    where, values = within("item_key", [{"stringValue": key} for key in keys])
    deletes = f"SELECT item_key, sequence FROM {names.DELETES_TABLE} WHERE entity = :entity AND {where}"  # noqa: S608
    try:
        # First: a permit that is gone by now has left its row behind.
        under_way = Permits(entity, database, "").of(keys) if entity.replayed else {}
        tombstones = database.query(deletes, {**values, **sql.entity_value})
        rows = [row for statement, some in sql.lookups(keys) for row in database.query(statement, some)]
    except TransientError:
        return {}
    except DataApiError as error:
        raise refusal(error) from error
    found = {key: Reach() for key in keys}
    for key, sequence in tombstones:
        found[cell_text(key)].tombstone = int(cell_text(sequence))
    for row in rows:
        key, present = sql.looked_up(row)
        if key in found:  # a collation may answer with another spelling, which is another item
            found[key].row = present.sequence
    # A permit that is older than its row, or than its tombstone, was left by a bridge whose change is superseded.
    return {key: reach for key, reach in found.items() if key not in under_way or reach.beyond(under_way[key])}


def _quarantined(context: Context, entity: EntityTarget, keys: Sequence[str]) -> dict[str, Reach]:
    """The sequences of those keys that are in the quarantine table, from this stream."""
    if not context.target.quarantine_table:
        return {}
    table = QuarantineTable(context.clients.dynamodb, context.target.quarantine_table, entity.name)
    return {key: Reach(tombstone=sequence) for key, sequence in table.sequences(keys, entity.stream_arn).items()}


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
