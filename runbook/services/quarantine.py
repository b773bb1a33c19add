"""`runbook quarantine`: looks at what the bridge could not apply, brings both sides together, or forgets it.

Replay follows the phase (docs/design.md, "Hazards"): the source of truth is read as it is now, the other side is
written. In phase modern the item is. In phase legacy the row is, or its absence where legacy deleted it; only a record
that legacy has never had (it was born in DynamoDB, and legacy did not delete it in its present period) is still taken
to Aurora, as the bridge itself would, since taking its absence for the truth would lose an acknowledged write.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from functions.aws.data_api import DataApi
from functions.aws.errors import DataApiError, TransientError
from functions.bridge.replay import Replay
from functions.domain import names
from functions.domain.errors import UnmappableError
from functions.legacy.rows import LegacyStore
from runbook.errors import FailedError, PreconditionError
from runbook.fence import Control, Fence
from runbook.journal import Event, Phase
from runbook.lock import held
from runbook.parked import Entry, Kind, Parked, without_masked
from runbook.rewriting import Rewriter
from runbook.sides import pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.bridge.replay import Place
    from functions.domain.mapping import Record
    from runbook.context import Context
    from runbook.lock import Lease
    from runbook.sides import Pair
    from runbook.target import EntityTarget

PATIENCE = 60.0  # seconds with an Aurora that does not answer; it wakes in about 15, restarts in less than 60
AT_ONCE = 50  # entries between two notes of what is settled
KEYS_TOLD = 100  # in one line of the history


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


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What replay would do with an entry; without an action it is refused for now."""

    entry: Entry
    action: Action | None
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """An entry with its fields on both sides."""

    intent: Intent
    fields: Sequence[Pair]


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


class Quarantine:
    """The quarantine of one entity."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        if not (context.target.quarantine_table and entity.bridge_mapping_id):
            raise PreconditionError(
                f"{entity.name} has no bridge, and so no quarantine", "See `parts` in the stack's settings."
            )
        self.context = context
        self.entity = entity
        self.parked = Parked(context, entity)
        self._described = context.target.mapping[entity.name]

    def entries(self, keys: Sequence[str] = ()) -> list[Entry]:
        """The entries of these keys, or all of them."""
        return [entry for entry in self.parked.entries() if not keys or entry.key in keys]

    def plan(self, keys: Sequence[str] = ()) -> list[Intent]:
        """What replay would do now.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
        """
        phase, found = self._phase(), self.entries(keys)
        control = self._control() if found else None
        return [Intent(entry=entry, action=self._action(entry, phase, control)) for entry in found]

    def exhibit(self, keys: Sequence[str] = ()) -> list[Exhibit]:
        """Entries with both sides as they are now, and what replay would do, if the phase lets it."""
        try:
            plan = self.plan(keys)
        except PreconditionError as error:
            plan = [Intent(entry=entry, action=None, refused=error.message) for entry in self.entries(keys)]
        return [Exhibit(intent=intent, fields=self._pairs(intent.entry)) for intent in plan]

    def _pairs(self, entry: Entry) -> list[Pair]:
        if entry.kind in {Kind.EMPTY, Kind.UNREADABLE}:
            return []
        row: Record | UnmappableError | None
        try:
            row = LegacyStore(self._described, self._database).many([entry.key]).get(entry.key)
        except UnmappableError as error:
            row = error
        return pairs(self._described, self.item(entry.key), row)

    def replay(self, keys: Sequence[str] = ()) -> list[Outcome]:
        """Bring both sides of each entry together, under the operator's lock; what fails again stays.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer.
        """
        with self._held("quarantine replay") as lease:
            phase, found, outcomes = self._phase(), self.entries(keys), list[Outcome]()
            if not found:
                return []
            control = self._control()
            self._record(lease, "started", found)
            for start in range(0, len(found), AT_ONCE):
                outcomes += self._some(lease, found[start : start + AT_ONCE], phase, control)
            stay = [outcome for outcome in outcomes if not outcome.settled]
            self._record(lease, f"{len(outcomes) - len(stay)} settled, {len(stay)} stay", found)
            return outcomes

    def drop(self, keys: Sequence[str] = ()) -> list[Outcome]:
        """Forget entries without applying them. The history tells of each before it is gone.

        Raises:
            RefusedError: another operator holds the lock.
        """
        with self._held("quarantine drop") as lease:
            found, outcomes = self.entries(keys), list[Outcome]()
            for start in range(0, len(found), KEYS_TOLD):
                some = found[start : start + KEYS_TOLD]
                lease.check()
                self._record(lease, f"dropping {len(some)}", some)
                outcomes += self._settled([(entry, "dropped") for entry in some])
            if outcomes:
                gone = sum(outcome.settled for outcome in outcomes)
                self._record(lease, f"{gone} dropped, {len(outcomes) - gone} stay", found)
            return outcomes

    def _held(self, command: str) -> Any:
        return held(self.context.journal, self.entity.name, self.context.clients.operator, command)

    def _record(self, lease: Lease, result: str, found: Sequence[Entry]) -> None:
        details = {
            "entries": len(found),
            "keys": [f"{entry.key} ({entry.kind} {entry.sequence})" for entry in found[:KEYS_TOLD]],
        }
        self.context.journal.record(
            Event(
                entity=self.entity.name,
                command=lease.lock.command,
                result=result,
                operator=lease.lock.holder,
                details=details,
            )
        )

    def _some(
        self, lease: Lease, found: Sequence[Entry], phase: Phase, control: Control | None
    ) -> list[Outcome]:
        """Some entries; what was done is noted also when a later one stops the command."""
        done: list[tuple[Entry, str]] = []
        stay: list[Outcome] = []
        settled: list[Outcome] = []
        try:
            for number, entry in enumerate(found, start=1):
                lease.check()
                self.context.say(f"{entry.key} ({number} of {len(found)})")
                outcome = self._one(entry, phase, control)
                if outcome.settled:
                    done.append((entry, outcome.says))
                else:
                    stay.append(outcome)
        finally:
            settled = self._settled(done)
        return [*settled, *stay]

    def _settled(self, done: Sequence[tuple[Entry, str]]) -> list[Outcome]:
        anew = self.parked.settle([entry for entry, _ in done])
        return [
            Outcome(
                entity=self.entity.name,
                key=entry.key,
                settled=entry.key not in anew,
                says=f"{says}; it has failed anew since" if entry.key in anew else says,
            )
            for entry, says in done
        ]

    def _one(self, entry: Entry, phase: Phase, control: Control | None) -> Outcome:
        """Replay one entry; what Aurora may do in a moment is waited for."""
        deadline, wait = time.monotonic() + PATIENCE, 0.2
        while True:
            try:
                return self._attempt(entry, phase, control)
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise FailedError(
                        f"Aurora does not answer: {error}", "Run the command again later: nothing is lost."
                    ) from error
            except DataApiError as error:
                return self._stays(entry, f"Aurora says: {error}", error.code)
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _attempt(self, entry: Entry, phase: Phase, control: Control | None) -> Outcome:
        action = self._action(entry, phase, control)
        reason, code = self._do(entry, action)
        if not reason:
            return Outcome(entity=self.entity.name, key=entry.key, settled=True, says=_told(action))
        return self._stays(entry, reason, code)

    def _stays(self, entry: Entry, reason: str, code: int) -> Outcome:
        if entry.kind != Kind.UNREADABLE:
            self.parked.keep(entry, reason, code)
        told = without_masked(self._described, reason)
        return Outcome(entity=self.entity.name, key=entry.key, settled=False, says=told, code=code)

    def _do(self, entry: Entry, action: Action) -> tuple[str, int]:
        """Act; returns why it was in vain."""
        if action == Action.NONE:
            return entry.reason, 0
        if action in {Action.WRITE_ROW, Action.DELETE_ROW}:
            verdict = self._replayer.apply(
                entry.key, entry.sequence, entry.stream, lambda: self.item(entry.key)
            )
            return verdict.reason, verdict.code
        if action in {Action.QUEUE, Action.QUEUE_DELETE}:
            self._rewriter.enqueue(entry.key)
        elif action in {Action.WRITE_ITEM, Action.DELETE_ITEM}:
            return self._rewritten(entry.key), 0
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

    def _action(self, entry: Entry, phase: Phase, control: Control | None) -> Action:
        if entry.kind == Kind.UNREADABLE:
            return Action.NONE
        if entry.kind in {Kind.EMPTY, Kind.PROBE}:
            return Action.FORGET
        place, item = self._replayer.place(entry.key), self.item(entry.key)
        return choose(Sides(item, place), phase, control.legacy_stamp if control else 0)

    def item(self, key: str) -> Mapping[str, Any] | None:
        """The item as the last acknowledged write left it."""
        return self.context.clients.dynamodb.get_item(
            TableName=self.entity.modern_table,
            Key={self._described.modern.key: {"S": key}},
            ConsistentRead=True,
        ).get("Item")

    def _phase(self) -> Phase:
        state = self.context.journal.state(self.entity.name)
        if state.phase in {Phase.LEGACY, Phase.MODERN}:
            return state.phase
        if state.phase == Phase.COMPLETE:
            raise PreconditionError(
                f"{self.entity.name} is complete: its bridge is gone, and with it what replay works with",
                "What is still there can be dropped: `runbook quarantine drop`.",
            )
        command = state.operation.command if state.operation else "status"
        raise PreconditionError(
            f"{self.entity.name} is {state.phase}: nobody can say yet which side is the source of truth",
            f"Run `runbook {command}` first: it finishes or undoes what is under way.",
        )

    def _control(self) -> Control:
        return Fence(self.context, self.entity).control()

    @cached_property
    def _database(self) -> DataApi:
        """As the bridge's user: the fence lets nobody else write, and its writes are not captured."""
        target = self.context.target
        return DataApi(
            self.context.clients.rds_data,
            target.cluster_arn,
            target.bridge_secret_arn,
            self._described.legacy.database,
        )

    @cached_property
    def _replayer(self) -> Replay:
        return Replay(self._described, self._database)

    @cached_property
    def _rewriter(self) -> Rewriter:
        return Rewriter(
            self._described, self._database, self.context.clients.dynamodb, self.entity.modern_table
        )


def choose(sides: Sides, phase: Phase, period: int) -> Action:
    """What brings both sides together.

    Args:
        sides: as they are now.
        phase: legacy or modern.
        period: legacy's present one; 0 where capture has not begun, and so there is no copy to leave it to.
    """
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
