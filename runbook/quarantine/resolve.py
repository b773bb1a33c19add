"""Resolves one entry of the quarantine: brings both sides of its key together.

It follows the phase: the source of truth is read as it is now, and the other side is written. In phase modern that is
the item. In phase legacy it is the row, or its absence where legacy deleted it. One exception in phase legacy: a record
that was made in DynamoDB, and that legacy did not delete in this epoch, is taken to Aurora as the bridge would do.
Otherwise an acknowledged write would be lost. See docs/design.md, "Verify".
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from typing import Any, Protocol

from botocore.exceptions import ClientError

from functions.aws.data_api import DataApi
from functions.aws.dynamodb import InvalidError, meaning, read_at_one_moment
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.legacy_calls import LegacyCalls
from functions.bridge.places import Place
from functions.bridge.replay import Replay
from functions.copy.queue import ChangeQueue
from functions.domain import names, origin, values
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError, ValueProblemError
from functions.domain.mapping import Record
from functions.domain.masking import MASKED, without_masked
from functions.domain.phase import Phase
from functions.domain.values import Field
from functions.legacy.table import LegacyStore
from runbook.aws.outputs import EntityTarget
from runbook.errors import LockLostError
from runbook.journal.lock import Lease
from runbook.quarantine.entry import Entry, EntryKind
from runbook.quarantine.rewrite import Rewriter
from runbook.stack import Context

ABSENT = "(none)"


@dataclass(frozen=True, kw_only=True)
class FieldPair:
    """A field on both sides.

    Attributes:
        legacy: what a client would see; "(none)" without a row, the problem if the row is unreadable.
        modern: the same of the item; an attribute that does not fit its field is shown in DynamoDB's typed form.
    """

    field: str
    legacy: Any
    modern: Any
    same: bool


def pairs(entity: Entity, item: Mapping[str, Any] | None, row: Record | UnmappableError | None) -> list[FieldPair]:
    """Every mapped field; one that is masked shows whether both sides are the same, and no value."""
    found: list[FieldPair] = []
    for name, field in entity.fields.items():
        legacy, modern = _of_row(field, row), _of_item(field, item)
        same = json.dumps(legacy, sort_keys=True) == json.dumps(modern, sort_keys=True)  # so that true is not 1
        if field.masked:
            legacy, modern = (value if value == ABSENT else MASKED for value in (legacy, modern))
        found.append(FieldPair(field=name, legacy=legacy, modern=modern, same=same))
    return found


def _of_row(field: Field, row: Record | UnmappableError | None) -> Any:
    if row is None:
        return ABSENT
    if isinstance(row, UnmappableError):
        return f"(unreadable: {row})"
    return values.to_json(field, row.fields[field.name])


def _of_item(field: Field, item: Mapping[str, Any] | None) -> Any:
    if item is None:
        return ABSENT
    if field.name not in item:
        return values.to_json(field, field.default)
    try:
        return values.to_json(field, values.from_attribute(field, item[field.name], limited=False))
    except ValueProblemError:
        return json.loads(json.dumps(item[field.name], default=_encoded))


def _encoded(value: Any) -> str | list[Any]:
    """Bytes as base64, a set as a list."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else sorted(value)


TIMEOUT = 60.0  # seconds for an Aurora that does not answer; it wakes in about 15, restarts in less than 60


class Action(StrEnum):
    """What replay does to bring both sides together."""

    WRITE_ROW = "write the row from the item"
    DELETE_ROW = "delete the row: the item is gone"
    QUEUE = "let copy write the item from the row"
    QUEUE_DELETE = "let copy delete the item: legacy has no such row"
    WRITE_ITEM = "write the item from the row"
    DELETE_ITEM = "delete the item: legacy has no such row"
    FORGET = "remove the entry: there is nothing to apply"
    NONE = "nothing: look at the object, then drop it"


ROW_ACTIONS = frozenset({Action.WRITE_ROW, Action.DELETE_ROW})
QUEUE_ACTIONS = frozenset({Action.QUEUE, Action.QUEUE_DELETE})
ITEM_ACTIONS = frozenset({Action.WRITE_ITEM, Action.DELETE_ITEM})
DONE = {
    Action.WRITE_ROW: "wrote the row from the item",
    Action.DELETE_ROW: "deleted the row, as the item is gone",
    Action.QUEUE: "queued: copy writes the item from the row",
    Action.QUEUE_DELETE: "queued: copy deletes the item, as legacy did the row",
    Action.WRITE_ITEM: "wrote the item from the row",
    Action.DELETE_ITEM: "deleted the item, as the row is gone",
    Action.FORGET: "there was nothing to apply",
}


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What became of an entry.

    Attributes:
        resolved: whether it has left the quarantine.
        says: what was done, or why it stays.
    """

    entity: str
    key: str
    resolved: bool
    says: str
    code: int = 0


class Keeper(Protocol):
    """Where the reason of an entry that stays is stored."""

    def keep(self, entry: Entry, reason: str, code: int) -> None: ...


class Resolver:
    """Resolves entries of one entity in one phase.

    Args:
        keeper: where the reason of an entry that stays is stored.
        phase: legacy or modern.
        lease: the operator's; None where nothing is resolved.
        calls: legacy's own function, where it brings changes to Aurora; without it rows are written directly.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it acts on, and how
        self,
        context: Context,
        entity: EntityTarget,
        keeper: Keeper,
        phase: Phase,
        lease: Lease | None = None,
        calls: LegacyCalls | None = None,
    ) -> None:
        self._context = context
        self._lease = lease
        self._calls = calls
        self._entity = entity
        self._keeper = keeper
        self._phase = phase
        self._described = context.target.mapping[entity.name]
        # Legacy's epoch; 0 where capture has not begun, so there is no copy that could write an item.
        control = context.aurora.control(self._described)
        self._epoch, self._connected = control.epoch, control.connected

    def resolve(self, entry: Entry) -> Resolution:
        """Act, retrying while Aurora does not answer. An entry that fails again is kept; none is removed here.

        Raises:
            FailedError: Aurora does not answer.
        """
        return self._retry(entry, self._attempt)

    def drop(self, entry: Entry) -> Resolution:
        """Apply nothing, but register the change as seen in Aurora, or a later switch would wait for it.

        Raises:
            FailedError: Aurora does not answer.
        """
        return self._retry(entry, self._pass_over)

    def _retry(self, entry: Entry, act: Callable[[Entry], Resolution]) -> Resolution:
        def attempt() -> Resolution:
            try:
                return act(entry)
            except TransientError:
                raise
            except DataApiError as error:
                return self._stays(entry, f"Aurora says: {error}", error.code)

        return self._context.aurora.ask(attempt, TIMEOUT)

    def _attempt(self, entry: Entry) -> Resolution:
        action = self.action(entry)
        reason, code = self._do(entry, action)
        if reason:
            return self._stays(entry, reason, code)
        return self._resolved(entry, DONE[action] + (self._when if action in QUEUE_ACTIONS else ""))

    def _pass_over(self, entry: Entry) -> Resolution:
        if entry.kind in {EntryKind.UPSERT, EntryKind.DELETE}:
            self._replay.pass_over(entry.key, entry.sequence, entry.stream)
        return self._resolved(entry, "dropped")

    def _resolved(self, entry: Entry, says: str) -> Resolution:
        return Resolution(entity=self._entity.name, key=entry.key, resolved=True, says=says)

    def _stays(self, entry: Entry, reason: str, code: int) -> Resolution:
        if entry.kind != EntryKind.UNREADABLE:
            self._keeper.keep(entry, reason, code)
        says = without_masked(self._described, reason)
        return Resolution(entity=self._entity.name, key=entry.key, resolved=False, says=says, code=code)

    def _do(self, entry: Entry, action: Action) -> tuple[str, int]:
        """Act; returns the reason and code of a failure, or none."""
        if action == Action.NONE:
            return entry.reason, 0
        if action in ROW_ACTIONS and not self._connected:
            return self._disconnected, 0
        if action in ROW_ACTIONS:
            verdict = self._replay.apply(entry.key, entry.sequence, entry.stream)
            return verdict.reason, verdict.code
        if action in QUEUE_ACTIONS:
            # Left to copy, because it is the one writer of the key's lane; the queue is as durable as the row.
            queue = ChangeQueue(self._database, self._described)
            if not queue.enqueue([entry.key], self._epoch, backfill=False):
                raise LockLostError(f"the phase of {entry.entity} has changed meanwhile", "See `runbook status`.")
        elif action in ITEM_ACTIONS and (problem := self._write_item(entry.key)):
            return problem, 0
        self._pass_over(entry)
        return "", 0

    def _write_item(self, key: str) -> str:
        assert self._lease is not None, "plans write nothing"
        transact = partial(self._context.journal.write_items, self._lease.lock, self._entity.name)
        items = self._context.clients.dynamodb, self._entity.modern_table
        rewriter = Rewriter(self._described, self._store, *items, transact)
        try:
            rewriter.write(key)
        except UnmappableError as error:
            return f"row: {error}"
        except ClientError as error:
            problem = meaning(error)
            if not isinstance(problem, InvalidError):
                raise
            return f"DynamoDB does not take the row as an item: {problem}"
        return ""

    def action(self, entry: Entry) -> Action:
        if entry.kind == EntryKind.UNREADABLE:
            return Action.NONE
        if entry.kind in {EntryKind.EMPTY, EntryKind.HEARTBEAT}:
            return Action.FORGET
        place = self._replay.place(entry.key)  # before the item, which may change meanwhile
        item = self._item(entry.key)
        copied = item is not None and origin.is_marked(entry.key, item)
        return choose(item, place, self._phase, self._epoch, copied=copied)

    def _item(self, key: str) -> Mapping[str, Any] | None:
        return self._context.clients.dynamodb.get_item(
            TableName=self._entity.modern_table, Key={self._described.modern.key: {"S": key}}, ConsistentRead=True
        ).get("Item")

    def pairs(self, entry: Entry) -> list[FieldPair]:
        """The fields of an entry on both sides, as they are now."""
        if entry.kind in {EntryKind.EMPTY, EntryKind.UNREADABLE}:
            return []
        row: Record | UnmappableError | None
        try:
            row = self._store.many([entry.key]).get(entry.key)
        except UnmappableError as error:
            row = error
        return pairs(self._described, self._item(entry.key), row)

    @cached_property
    def _when(self) -> str:
        record = self._context.journal.find_record(self._entity.name, names.COPY_RECORD) or {}
        running = record.get("state") == "running"
        return "" if running else f", once it runs: `runbook copy start --entity {self._entity.name}`"

    @property
    def _disconnected(self) -> str:
        return f"the bridge is disconnected; `runbook copy start --entity {self._entity.name}` connects it"

    @cached_property
    def _database(self) -> DataApi:
        """As the bridge's user, because the fence lets no other user write, and its writes are not captured."""
        return self._context.aurora.as_bridge(self._described.legacy.database)

    @cached_property
    def _store(self) -> LegacyStore:
        return LegacyStore(self._described, self._database)

    @cached_property
    def _replay(self) -> Replay:
        table, key = self._entity.modern_table, self._described.modern.key
        read = partial(read_at_one_moment, self._context.clients.dynamodb, table, key)
        return Replay(self._described, self._database, read, self._calls)


def choose(item: Mapping[str, Any] | None, place: Place, phase: Phase, epoch: int, *, copied: bool = False) -> Action:
    """What brings both sides together, in this phase and this epoch of legacy.

    Args:
        item: as it is now.
        place: what Aurora knows of the key.
        phase: legacy or modern.
        epoch: 0 where capture has not begun.
        copied: whether copy wrote the item.
    """
    if phase == Phase.MODERN:
        return Action.WRITE_ROW if item is not None else Action.DELETE_ROW
    if place.primary_key:
        return Action.QUEUE if epoch else Action.WRITE_ITEM
    if item is None:
        return Action.FORGET
    if copied or 0 < epoch == place.epoch:
        return Action.QUEUE_DELETE if epoch else Action.DELETE_ITEM
    return Action.WRITE_ROW
