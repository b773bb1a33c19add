"""Brings both sides of one entry of the quarantine together.

It follows the phase (docs/design.md, "Hazards"): the source of truth is read as it is now, the other side is written.
In phase modern the item is. In phase legacy the row is, or its absence where legacy deleted it; only a record that
legacy has never had (it was born in DynamoDB, and legacy did not delete it in its present period) is still taken to
Aurora, as the bridge itself would, since taking its absence for the truth would lose an acknowledged write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol, cast

from botocore.exceptions import ClientError

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.replay import Place, Replay
from functions.copy.queue import ChangeQueue
from functions.domain import names
from functions.domain.errors import UnmappableError
from functions.domain.mapping import Record
from functions.domain.masking import without_masked
from functions.legacy.table import LegacyStore
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError
from runbook.journal.journal import Phase
from runbook.quarantine.both_sides import Pair, pairs
from runbook.quarantine.entry import Entry, EntryKind
from runbook.quarantine.rewrite import Rewriter
from runbook.stack import Context

PATIENCE = 60.0  # seconds with an Aurora that does not answer; it wakes in about 15, restarts in less than 60


class Action(StrEnum):
    """What replay does to bring both sides together."""

    WRITE_ROW = "write the row from the item"
    DELETE_ROW = "delete the row: the item is gone"
    QUEUE = "let copy write the item from the row"
    QUEUE_DELETE = "let copy delete the item: legacy has no such row"
    WRITE_ITEM = "write the item from the row"
    DELETE_ITEM = "delete the item: legacy has no such row"
    FORGET = "forget it: there is nothing to apply"
    NONE = "nothing: look at the object, then drop it"


QUEUED = frozenset({Action.QUEUE, Action.QUEUE_DELETE})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an entry.

    Attributes:
        settled: whether it has left the quarantine.
        says: what was done, or why it stays.
    """

    entity: str
    key: str
    settled: bool
    says: str
    code: int = 0


@dataclass(frozen=True)
class Sides:
    """A key on both sides, as they are now: its item, and what Aurora knows of its row."""

    item: Mapping[str, Any] | None
    place: Place


class Keeper(Protocol):
    """Where what fails again is noted."""

    def keep(self, entry: Entry, reason: str, code: int) -> None:
        """Note why an entry stays."""
        ...


class Settler:
    """Settles entries of one entity in one phase.

    Args:
        context: of the stack.
        entity: whose entries.
        parked: where what fails again is noted.
        phase: legacy or modern.
        period: legacy's present one; 0 where capture has not begun, and so there is no copy to leave an item to.
    """

    def __init__(self, context: Context, entity: EntityTarget, parked: Keeper, phase: Phase, period: int) -> None:
        self._context = context
        self._entity = entity
        self._parked = parked
        self._phase = phase
        self._period = period
        self._described = context.target.mapping[entity.name]

    def settle(self, entry: Entry) -> Outcome:
        """Act; what Aurora may take in a moment is waited for. What fails is noted, what is done is not yet.

        Raises:
            FailedError: Aurora does not answer.
        """
        return self._patiently(entry, self._attempt)

    def drop(self, entry: Entry) -> Outcome:
        """Apply nothing, but note in Aurora that the change was seen: else a later switch would wait for it.

        Raises:
            FailedError: Aurora does not answer.
        """
        return self._patiently(entry, self._given_up)

    def _patiently(self, entry: Entry, act: Callable[[Entry], Outcome]) -> Outcome:
        deadline, wait = time.monotonic() + PATIENCE, 0.2
        while True:
            try:
                return act(entry)
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise FailedError(
                        f"Aurora does not answer: {error}", "Run the command again later: nothing is lost."
                    ) from error
            except DataApiError as error:
                return self._stays(entry, f"Aurora says: {error}", error.code)
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _attempt(self, entry: Entry) -> Outcome:
        action = self.action(entry)
        reason, code = self._do(entry, action)
        if not reason:
            says = _told(action) + (self._when if action in QUEUED else "")
            return Outcome(entity=self._entity.name, key=entry.key, settled=True, says=says)
        return self._stays(entry, reason, code)

    def _given_up(self, entry: Entry) -> Outcome:
        if entry.kind in {EntryKind.UPSERT, EntryKind.DELETE}:
            self._replayer.pass_over(entry.key, entry.sequence, entry.stream)
        return Outcome(entity=self._entity.name, key=entry.key, settled=True, says="dropped")

    def _stays(self, entry: Entry, reason: str, code: int) -> Outcome:
        if entry.kind != EntryKind.UNREADABLE:
            self._parked.keep(entry, reason, code)
        told = without_masked(self._described, reason)
        return Outcome(entity=self._entity.name, key=entry.key, settled=False, says=told, code=code)

    def _do(self, entry: Entry, action: Action) -> tuple[str, int]:
        """Act; returns why it was in vain."""
        if action == Action.NONE:
            return entry.reason, 0
        if action in {Action.WRITE_ROW, Action.DELETE_ROW}:
            verdict = self._replayer.apply(entry.key, entry.sequence, entry.stream, lambda: self._item(entry.key))
            return verdict.reason, verdict.code
        if action in QUEUED:
            # copy is the one writer of the key's lane; the queue is as lasting as the row
            ChangeQueue(self._database, self._described).enqueue([entry.key], backfill=False)
        elif action in {Action.WRITE_ITEM, Action.DELETE_ITEM} and (problem := self._rewritten(entry.key)):
            return problem, 0
        self._given_up(entry)
        return "", 0

    def _rewritten(self, key: str) -> str:
        try:
            self._rewriter.write(key)
        except UnmappableError as error:
            return f"row: {error}"
        except ClientError as error:
            details = cast("Mapping[str, str]", error.response.get("Error", {}))
            if details.get("Code") != "ValidationException":
                raise
            return f"DynamoDB does not take the row as an item: {details.get('Message')}"
        return ""

    def action(self, entry: Entry) -> Action:
        """What would be done now."""
        if entry.kind == EntryKind.UNREADABLE:
            return Action.NONE
        if entry.kind in {EntryKind.EMPTY, EntryKind.HEARTBEAT}:
            return Action.FORGET
        place, item = self._replayer.place(entry.key), self._item(entry.key)
        return choose(Sides(item, place), self._phase, self._period)

    def _item(self, key: str) -> Mapping[str, Any] | None:
        """The item as the last acknowledged write left it."""
        return self._context.clients.dynamodb.get_item(
            TableName=self._entity.modern_table,
            Key={self._described.modern.key: {"S": key}},
            ConsistentRead=True,
        ).get("Item")

    def pairs(self, entry: Entry) -> list[Pair]:
        """The fields of an entry on both sides, as they are now."""
        if entry.kind in {EntryKind.EMPTY, EntryKind.UNREADABLE}:
            return []
        row: Record | UnmappableError | None
        try:
            row = LegacyStore(self._described, self._database).many([entry.key]).get(entry.key)
        except UnmappableError as error:
            row = error
        return pairs(self._described, self._item(entry.key), row)

    @cached_property
    def _when(self) -> str:
        """When copy comes to what is in its queue, if that is not at once."""
        record = self._context.journal.find_record(self._entity.name, names.COPY_RECORD) or {}
        running = record.get("state") == "running"
        return "" if running else f", once it runs: `runbook copy start --entity {self._entity.name}`"

    @cached_property
    def _database(self) -> DataApi:
        """As the bridge's user: the fence lets nobody else write, and its writes are not captured."""
        return self._context.aurora.as_bridge(self._described.legacy.database)

    @cached_property
    def _replayer(self) -> Replay:
        return Replay(self._described, self._database)

    @cached_property
    def _rewriter(self) -> Rewriter:
        return Rewriter(self._described, self._database, self._context.clients.dynamodb, self._entity.modern_table)


def choose(sides: Sides, phase: Phase, period: int) -> Action:
    """What brings both sides together, in this phase and this period of legacy."""
    item, row = sides.item, bool(sides.place.primary_key)
    if phase == Phase.MODERN:
        return Action.WRITE_ROW if item is not None else Action.DELETE_ROW
    if row:
        return Action.QUEUE if period else Action.WRITE_ITEM
    if item is None:
        return Action.FORGET
    copied = item.get(names.ORIGIN_ATTRIBUTE, {}).get("S") == names.ORIGIN_LEGACY
    if copied or 0 < period == sides.place.buried:
        return Action.QUEUE_DELETE if period else Action.DELETE_ITEM
    return Action.WRITE_ROW


def _told(action: Action) -> str:
    return {
        Action.WRITE_ROW: "the row is what the item is",
        Action.DELETE_ROW: "the row is gone, as the item is",
        Action.QUEUE: "in copy's queue: it writes the item from the row",
        Action.QUEUE_DELETE: "in copy's queue: it deletes the item, as legacy did the row",
        Action.WRITE_ITEM: "the item is what the row is",
        Action.DELETE_ITEM: "the item is gone, as the row is",
    }.get(action, "there was nothing to apply")
