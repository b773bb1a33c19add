"""Applies changes to a legacy table so that order, repetition and overlap of deliveries do not matter.

Every statement takes a whole batch, carries the sequence numbers, and does nothing where the row, or the tombstone, is
newer (docs/adr/0005).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Protocol

from functions.aws import json_rows
from functions.aws.data_api import DataApi
from functions.aws.json_rows import Cells
from functions.aws.mysql_errors import DUPLICATE, FOREIGN_KEY_CODES, UNIQUE_CODES, PermanentError, TransientError
from functions.bridge import ownership
from functions.bridge.exchange import Exchange, ReadItems
from functions.bridge.kept_columns import keeping
from functions.bridge.ownership import Authority
from functions.bridge.rows import Rows
from functions.bridge.statements import Present, Statements
from functions.domain import mapping
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity

CONFLICT = "conflict: legacy has written this record since it became the source of truth; replay resolves it"
OWNED = "conflict: legacy is the source of truth, and modern did not make this record; replay resolves it"
BY_COPY = frozenset({ChangeKind.COPIED, ChangeKind.WRITTEN})


class QuarantineSink(Protocol):
    """Where a change goes that can never be applied."""

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None: ...


class Effect(Enum):
    """What a statement does with the rows of its changes."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    NOTE = "note"  # as deleted


@dataclass(frozen=True, kw_only=True)
class Statement:
    effect: Effect
    sql: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A statement of one change that failed, maybe only because of the order in which changes come."""

    statement: Statement
    change: Change
    cells: Cells
    error: PermanentError


@dataclass
class BatchOutcome:
    """How many changes became what; `failed` is what has to be tried again when the others are applied."""

    upserts: int = 0
    deletes: int = 0
    heartbeats: int = 0
    stale: int = 0
    quarantined: int = 0
    copied: int = 0
    disconnected: int = 0
    failed: list[Failed] = field(default_factory=list[Failed])

    def add(self, other: "BatchOutcome") -> None:
        """Count what another has counted, too."""
        for each in fields(self):
            if each.type is int:
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def counts(self) -> dict[str, int]:
        return {
            "BridgeUpserts": self.upserts,
            "BridgeDeletes": self.deletes,
            "BridgeProbes": self.heartbeats,
            "BridgeStale": self.stale,
            "BridgeQuarantined": self.quarantined,
            "BridgeCopied": self.copied,
            "BridgeDisconnected": self.disconnected,
        }


class Applier:
    """Applies batches for one entity.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
        quarantine: where a record goes that can never be applied.
        stream: the ARN that the changes' sequences belong to; nothing is changed when Aurora knows another.
        read: the items of some keys.
    """

    def __init__(
        self, entity: Entity, database: DataApi, quarantine: QuarantineSink, stream: str, read: ReadItems
    ) -> None:
        self._entity = entity
        self._database = database
        self._quarantine = quarantine
        self._sql = Statements(entity, stream)
        self._exchange = Exchange(entity, database, stream, read)
        self._rows = Rows(database, self._sql)

    def apply(self, changes: Sequence[Change], authority: Authority | None = None) -> BatchOutcome:
        """Apply changes, at most one per key.

        Args:
            changes: what `functions.domain.changes` makes of a stream's records.
            authority: as it was read before the records were looked at; read now by default.

        Raises:
            TransientError: the database is not there now; apply the same changes again.
            DataApiError: an unknown error; nothing is quarantined for it.
        """
        outcome = BatchOutcome(copied=sum(change.kind in BY_COPY for change in changes))
        self._heartbeats([change for change in changes if change.kind == ChangeKind.HEARTBEAT], outcome)
        own = [change for change in changes if change.kind not in {ChangeKind.HEARTBEAT, ChangeKind.WRITTEN}]
        if own:
            authority = authority or ownership.read(self._database, self._entity)
            applicable = [change for change in own if authority.applies(change.created)]
            outcome.disconnected = len(own) - len(applicable)
            self._apply(applicable, outcome)
        return outcome

    def _apply(self, changes: Sequence[Change], outcome: BatchOutcome) -> None:
        reasons = [(change, misfit(self._entity, change)) for change in changes]
        misfits = [(change, reason) for change, reason in reasons if reason and change.kind != ChangeKind.COPIED]
        self._quarantine_misfits(misfits, outcome)
        usable = [change for change, reason in reasons if not reason]
        # Deletes first: what they free, an upsert may need, if the table has a unique index of its owner's.
        deletes = [change for change in usable if change.kind == ChangeKind.DELETE]
        deleted = self._deletes(deletes, outcome)
        upserts = [change for change in usable if change.kind == ChangeKind.UPSERT]
        updated = self._upserts(upserts, outcome)
        passed = self._resolve(outcome)
        updated += [each.cells for each in passed if each.statement.effect == Effect.UPDATE]
        deleted += [each.cells for each in passed if each.statement.effect == Effect.DELETE]
        conflicts = self._conflicts([*deletes, *upserts], outcome)
        self._confirm(
            [cells for cells in updated if cells[0] not in conflicts],
            [cells for cells in deleted if cells[0] not in conflicts],
        )
        # Only now that conflicts are found: copy's delete overtakes what modern wrote before. A row stays: it is back.
        copied = [change for change in usable if change.kind == ChangeKind.COPIED]
        self._run(self._keep_tombstone, copied, {}, outcome)

    def give_up(self, change: Change, reason: str, code: int) -> BatchOutcome:
        """Quarantine a change that failed too often, unless a newer one of its key has been applied meanwhile."""
        outcome = BatchOutcome()
        self._quarantine_misfits([(change, reason)], outcome, code)
        return outcome

    def _quarantine_misfits(self, misfits: Sequence[tuple[Change, str]], outcome: BatchOutcome, code: int = 0) -> None:
        """Quarantine what can never be written, unless a newer change of the key was applied before."""
        present = self._present([change for change, _ in misfits if mapping.usable_key(change.key)])
        for change, reason in misfits:
            if change.key in present and present[change.key].sequence >= change.sequence:
                outcome.stale += 1
            else:
                self._put(change, reason, code, outcome)

    def _put(self, change: Change, reason: str, code: int, outcome: BatchOutcome) -> None:
        self._quarantine.put(self._entity, change, reason, code)
        outcome.quarantined += 1

    def _heartbeats(self, heartbeats: Sequence[Change], outcome: BatchOutcome) -> None:
        for heartbeat in heartbeats:
            self._database.execute(self._sql.heartbeat, self._sql.heartbeat_values(heartbeat))
        outcome.heartbeats = len(heartbeats)

    def _present(self, changes: Sequence[Change]) -> dict[str, Present]:
        return self._rows.present([change.key for change in changes])

    def _upserts(self, upserts: Sequence[Change], outcome: BatchOutcome) -> list[Cells]:
        present = self._present(upserts)
        known = [change for change in upserts if change.key in present]
        newer = [change for change in known if change.sequence > present[change.key].sequence]
        new = [change for change in upserts if change.key not in present]
        outcome.stale += len(known) - len(newer)
        update = Statement(effect=Effect.UPDATE, sql=self._sql.update(self._rows.collation))
        insert = Statement(effect=Effect.INSERT, sql=self._sql.insert)
        updated = self._run(update, newer, present, outcome)
        outcome.upserts += len(updated) + len(self._run(insert, new, {}, outcome))
        return updated

    def _resolve(self, outcome: BatchOutcome) -> list[Failed]:
        """Try again what failed for another row, now that the rest of the batch is there; returns what passed so.

        A value that another row still has is then exchanged with that row. What still fails is quarantined: a foreign
        key last, because its quarantine may raise to have the batch delivered again.
        """
        passed: list[Failed] = []
        left, before = outcome.failed, len(outcome.failed) + 1
        while len(left) < before:
            before, tried = len(left), [(each, self._tried(each)) for each in left]
            passed += [each for each, error in tried if error is None]
            left = [replace(each, error=error) for each, error in tried if error]
        for each in sorted(left, key=lambda each: each.error.code in FOREIGN_KEY_CODES):
            reason, unique = str(each.error), each.error.code in UNIQUE_CODES
            if unique:
                reason = self._exchange.resolve(each.change, each.error)
            if reason:
                self._put(each.change, reason, each.error.code, outcome)
            else:
                outcome.upserts += 1
        deletes = sum(each.statement.effect == Effect.DELETE for each in passed)
        outcome.deletes += deletes
        outcome.upserts += len(passed) - deletes
        return passed

    def _tried(self, failed: Failed) -> PermanentError | None:
        try:
            self._database.execute(failed.statement.sql, self._sql.taking([failed.cells]))
        except PermanentError as error:
            return error
        return None

    def _conflicts(self, changes: Sequence[Change], outcome: BatchOutcome) -> set[str]:
        """Report changes of rows that are legacy's while it is the source of truth.

        The statements left those rows alone. A change is noted as seen, so that the same one delivered in a later
        epoch is an old one.
        """
        if not changes:
            return set()
        authority = ownership.read(self._database, self._entity)
        if authority.modern:
            return set()
        rows, gone = self._rows_kept(changes, authority), self._deletes_kept(changes, authority)
        for change, row in rows:
            self._put(change, CONFLICT if 0 < row.epoch == authority.epoch else OWNED, 0, outcome)
        for change in gone:
            self._put(change, CONFLICT, 0, outcome)
        self._pass_over(rows, outcome)
        self._run(self._keep_tombstone, gone, {}, outcome)
        return {change.key for change in [*(change for change, _ in rows), *gone]}

    def _pass_over(self, rows: Sequence[tuple[Change, Present]], outcome: BatchOutcome) -> None:
        sql = self._sql.pass_over(keeping(self._database, self._entity)) if rows else ""
        for change, row in rows:
            try:
                self._database.execute(sql, self._sql.pass_over_values(change, row.primary_key))
            except PermanentError as error:
                self._put(change, str(error), error.code, outcome)

    def _rows_kept(self, changes: Sequence[Change], authority: Authority) -> list[tuple[Change, Present]]:
        """The changes of a row that is legacy's, with that row."""
        present = self._present(changes)
        found = [(change, present[change.key]) for change in changes if change.key in present]
        return [
            (change, row)
            for change, row in found
            if row.sequence < change.sequence and authority.keeps(change.created, epoch=row.epoch, made=row.made)
        ]

    def _deletes_kept(self, changes: Sequence[Change], authority: Authority) -> list[Change]:
        """The upserts of a row that legacy deleted in this epoch."""
        upserts = [change for change in changes if change.kind == ChangeKind.UPSERT]
        if not authority.epoch or not upserts:
            return []
        present = self._present(upserts)
        missing = [change for change in upserts if change.key not in present]
        tombstones = self._rows.deleted_by_legacy([change.key for change in missing], authority.epoch)
        return [change for change in missing if tombstones.get(change.key, change.sequence) < change.sequence]

    def _confirm(self, updated: Sequence[Cells], deleted: Sequence[Cells]) -> None:
        """Check that the rows are as written: neither statement reports a row that it did not find or left alone.

        An older delete may have taken the row meanwhile, or the source of truth may have changed between the statement
        and the look for conflicts.
        """
        if self._rows.standing(updated) != (len(updated), 0):
            raise TransientError("a row was deleted while it was updated: another run applies the same batch")
        if self._rows.standing(deleted)[1]:
            raise TransientError("a row was left alone while the source of truth changed: the batch is repeated")

    def _deletes(self, deletes: Sequence[Change], outcome: BatchOutcome) -> list[Cells]:
        if not deletes:
            return []
        self._run(self._keep_tombstone, deletes, {}, outcome)
        # Only now: an older insert that came before the tombstone has its row by now.
        present = self._present(deletes)
        known = [change for change in deletes if change.key in present]
        outcome.stale += len(deletes) - len(known)
        delete = Statement(effect=Effect.DELETE, sql=self._sql.delete(self._rows.collation))
        deleted = self._run(delete, known, present, outcome)
        outcome.deletes += len(deleted)
        self._database.execute(self._sql.expire_tombstones)
        return deleted

    @property
    def _keep_tombstone(self) -> Statement:
        return Statement(effect=Effect.NOTE, sql=self._sql.keep_tombstone)

    def _run(
        self, statement: Statement, changes: Sequence[Change], places: Mapping[str, Present], outcome: BatchOutcome
    ) -> list[Cells]:
        """Run a statement for changes, of which those in `places` have a row; returns those that it took, as sent.

        In the order of their rows, so that two runs at once wait for each other's locks and do not deadlock.
        """
        ordered = sorted(changes, key=lambda change: _order(change, places))
        rows = [self._sql.cells(each, places[each.key].primary_key if places else "") for each in ordered]
        taken: list[Cells] = []
        for run in json_rows.runs(rows):
            taken += self._narrow(statement, [ordered[i] for i in run], [rows[i] for i in run], outcome)
        return taken

    def _narrow(
        self, statement: Statement, changes: Sequence[Change], rows: Sequence[Cells], outcome: BatchOutcome
    ) -> list[Cells]:
        """Run a statement; where it can never pass, halve it down to the record at fault and quarantine that one."""
        try:
            self._database.execute(statement.sql, self._sql.taking(rows))
        except PermanentError as error:
            if len(changes) == 1:
                self._final(Failed(statement=statement, change=changes[0], cells=rows[0], error=error), outcome)
                return []
            missing = self._missing(statement, changes, error, outcome)
            if len(missing) < len(changes):
                left = [changes[i] for i in missing], [rows[i] for i in missing]
                return self._narrow(statement, *left, outcome) if missing else []
            half = len(changes) // 2
            first = self._narrow(statement, changes[:half], rows[:half], outcome)
            return first + self._narrow(statement, changes[half:], rows[half:], outcome)
        return list(rows)

    def _missing(
        self, statement: Statement, changes: Sequence[Change], error: PermanentError, outcome: BatchOutcome
    ) -> list[int]:
        """The indexes of those inserts that another run has not made meanwhile."""
        if statement.effect != Effect.INSERT or error.code != DUPLICATE:
            return list(range(len(changes)))
        present = self._present(changes)
        if any(change.key in present and present[change.key].sequence < change.sequence for change in changes):
            raise TransientError(f"another run applies this batch: {error}", error.code) from error
        outcome.stale += sum(change.key in present for change in changes)
        return [i for i, change in enumerate(changes) if change.key not in present]

    def _final(self, failed: Failed, outcome: BatchOutcome) -> None:
        """Leave a change for `_resolve`, or quarantine it, unless its insert met the record of another run."""
        change, error = failed.change, failed.error
        own, twice = None, failed.statement.effect == Effect.INSERT and error.code == DUPLICATE
        if twice:
            own = self._present([change]).get(change.key)
        if own is None and twice and self._freed(change):
            raise TransientError(f"a row that legacy moved had the key: {error}", error.code) from error
        if own is None and error.code in UNIQUE_CODES | FOREIGN_KEY_CODES:
            outcome.failed.append(failed)
        elif own is None:
            self._put(change, str(error), error.code, outcome)
        elif own.sequence < change.sequence:
            raise TransientError(f"another run applies this batch: {error}", error.code) from error
        else:
            outcome.stale += 1

    def _freed(self, change: Change) -> bool:
        """Whether a row that legacy has moved to another key held the item's, which is now free for an insert."""
        if self._entity.legacy.key_type != "string":
            return False
        sql = self._sql.free_key(keeping(self._database, self._entity))
        return self._database.execute(sql, {"item": {"stringValue": change.key}}) > 0


def misfit(entity: Entity, change: Change) -> str:
    """Why a change can never be written, as far as the change itself shows; empty when it may be."""
    problem = mapping.key_problem(entity, change.key)
    if problem and (change.kind == ChangeKind.UPSERT or not mapping.usable_key(change.key)):
        return f"the key: {problem}"
    return change.problem


def _order(change: Change, places: Mapping[str, Present]) -> tuple[int, str]:
    """Where a change's row stands in the table, as nearly as its key says."""
    place = places[change.key] if places else None
    if place is None or place.collation:
        return 0, change.key
    return int(place.primary_key), ""
