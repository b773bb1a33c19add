"""Brings a row to what its item is now, for a quarantined change; the runbook runs it as the bridge's user.

Replay never writes an old image: the item is read, consistently, and written by the code that applies the stream. What
is to be chosen is the sequence to write it under, so that a newer change prevails, whenever it arrives:

* The sequence must not be above that of the item's last change, or the stream's record of a later change would be
  taken for an old one. So it is one that a record of this very item is known to have had: the quarantined change's, the
  row's, or that of the tombstone, whichever is highest. All three are read before the item is, and a record
  gets its sequence when its change is made, so the item that is read then is at least as new as each of them.
* It must not be lower than what the row or the tombstone of a delete has already, or the write would be refused; where
  it is the same (a conflict is passed over by noting its sequence, without its content), the note is set back by one
  first. No record of this item lies between the two, so nothing else is let in but the noted record again.
* Records between that sequence and the item's last change may still be on their way. They are applied after, in
  order, and end in the same item. A record that comes before this write makes it the older one, which does nothing.

Sequences of another stream say nothing (see `functions.bridge.stream_guard`): such a change brings none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.aws.data_api import DataApi, Values, cell_text
from functions.aws.mysql_errors import TransientError
from functions.bridge import stream_guard
from functions.bridge.apply import Applier
from functions.bridge.kept_columns import keeping
from functions.bridge.statements import SEQUENCE, Statements
from functions.domain import changes, mapping, names
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity
from functions.legacy.table import of_writable

if TYPE_CHECKING:
    Item = Mapping[str, Any]

NONE = -1  # in place of a sequence


@dataclass(frozen=True, kw_only=True)
class Place:
    """What Aurora knows of a key.

    Attributes:
        primary_key: of its row; empty when there is none.
        sequence: of its row; -1 for none.
        deleted: the sequence of the tombstone; -1 for none.
        epoch: the one in which legacy deleted it; 0 when it did not.
    """

    primary_key: str = ""
    sequence: int = NONE
    deleted: int = NONE
    epoch: int = 0

    @property
    def highest(self) -> int:
        return max(self.sequence, self.deleted, 0)


@dataclass
class Verdict:
    """Why a change can still not be applied; empty when it was. It is where the applier puts a change."""

    reason: str = ""
    code: int = 0

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        del entity, change
        self.reason, self.code = reason, code


class Replay:
    """Replays the changes of one entity.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
    """

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database
        self._sql = Statements(entity)

    def place(self, key: str) -> Place:
        """What Aurora knows of a key now."""
        row = self._row(key)
        sql = (
            "SELECT sequence, COALESCE(legacy_stamp, 0) "  # noqa: S608  # names of ours
            f"FROM {names.DELETES_TABLE} WHERE entity = :entity AND item_key = :item"
        )
        tombstone = self._database.query(sql, self._item_values(key))
        deleted, epoch = (int(cell_text(cell)) for cell in tombstone[0]) if tombstone else (NONE, 0)
        return Place(primary_key=row[0], sequence=row[1], deleted=deleted, epoch=epoch)

    def _row(self, key: str) -> tuple[str, int]:
        return of_writable([key], self._looked_up).get(key, ("", NONE))

    def _looked_up(self, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        for sql, values in self._sql.lookups(keys):
            for row in self._database.query(sql, values):
                key, primary_key, sequence, _, _ = self._sql.looked_up(row)
                found[key] = primary_key, sequence
        return found

    def apply(self, key: str, noted: int, stream: str, read: Callable[[], Item | None]) -> Verdict:
        """Write what the item is now.

        Args:
            noted: the sequence of the quarantined change.
            stream: the ARN of the stream that the sequence belongs to.
            read: reads the item, consistently; called after Aurora was looked at.

        Raises:
            TransientError: the database is not there now, or another run applies the same change; repeat the call.
            DataApiError: an unknown error.
        """
        known = self._known()  # before the place, whose numbers are of this stream
        if stream_guard.is_adopting(known):
            return Verdict(reason="a new stream is being adopted: run `runbook init`")
        place = self.place(key)
        sequence = max(place.highest, noted if stream and stream == known else 0)
        change = changes.of_item(self._entity, key, sequence, read())
        verdict = Verdict()
        self._shift(key, place, known, sequence, sequence - 1)
        Applier(self._entity, self._database, verdict, known).apply([change])
        if verdict.reason:
            self._shift(key, place, known, sequence - 1, sequence)
        else:
            self._confirm(change)
        return verdict

    def pass_over(self, key: str, noted: int, stream: str) -> None:
        """Note a quarantined change as seen, without its content, so that neither the bridge nor a drain waits for it.

        Args:
            noted: the sequence of the quarantined change.
            stream: the ARN of the stream that the sequence belongs to.

        Raises:
            TransientError: the database is not there now; do the same again.
        """
        if not noted or not stream or not mapping.usable_key(key) or stream != self._known():
            return
        change = Change(key=key, sequence=noted, kind=ChangeKind.UPSERT)
        sql = Statements(self._entity, stream)
        # The tombstone first: a row that legacy makes meanwhile goes on from there.
        self._database.execute(sql.keep_tombstone, sql.tombstone_values(change))
        place = self.place(key)
        if place.primary_key:
            passing = sql.pass_over(keeping(self._database, self._entity))
            self._database.execute(passing, sql.pass_over_values(change, place.primary_key))

    def _known(self) -> str:
        return stream_guard.known(self._database, self._entity)

    def _shift(self, key: str, place: Place, stream: str, old: int, new: int) -> None:
        """Change the sequence that is noted at the row, or at the tombstone of a delete, if it is this one."""
        noted = max(old, new)
        values = {"old": {"stringValue": str(old)}, "sequence": {"stringValue": str(new)}}
        values |= {"stream": {"stringValue": stream}}
        held = f"CAST(:old AS DECIMAL(40,0)) AND {stream_guard.follows(':stream')}"
        if place.primary_key and place.sequence == noted:
            legacy, column = self._entity.legacy, names.SEQUENCE_COLUMN
            self._database.execute(
                f"UPDATE `{legacy.table}` SET {column} = {SEQUENCE}{keeping(self._database, self._entity)} "  # noqa: S608
                f"WHERE `{legacy.key}` = :pk AND {column} = {held}",
                {**values, **self._sql.entity_value, "pk": self._primary_key(place)},
            )
        if place.deleted == noted:
            self._database.execute(
                f"UPDATE {names.DELETES_TABLE} SET sequence = {SEQUENCE} "  # noqa: S608  # names of ours
                f"WHERE entity = :entity AND item_key = :item AND sequence = {held}",
                {**values, **self._item_values(key)},
            )

    def _primary_key(self, place: Place) -> dict[str, Any]:
        natural = self._entity.legacy.key_type == "string"
        return {"stringValue": place.primary_key} if natural else {"longValue": int(place.primary_key)}

    def _item_values(self, key: str) -> Values:
        return {**self._sql.entity_value, "item": {"stringValue": key}}

    def _confirm(self, change: Change) -> None:
        """Check that the row is what was written or newer, or was deleted by this or a newer delete."""
        now = self.place(change.key)
        if change.kind == ChangeKind.DELETE:
            done = not now.primary_key or now.sequence > change.sequence
        elif change.kind == ChangeKind.UPSERT:
            done = now.sequence >= change.sequence or now.deleted > change.sequence
        else:
            done = True
        if not done:
            raise TransientError("the row is not what was written: another run applies the same change")
