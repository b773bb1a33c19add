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

from dataclasses import dataclass

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import TransientError
from functions.bridge import ownership, stream_guard
from functions.bridge.apply import Applier
from functions.bridge.by_function import FunctionApplier, until_after
from functions.bridge.exchange import ReadItems
from functions.bridge.kept_columns import keeping
from functions.bridge.legacy_calls import LegacyCalls
from functions.bridge.places import Place, Places
from functions.bridge.statements import Statements
from functions.domain import changes, mapping
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError
from functions.legacy.table import LegacyStore

CALL_SECONDS = 30  # that a call of legacy's function may wait for another invocation of the same key


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
        read: the items of some keys, consistently, as they are at one moment.
        calls: legacy's own function, which brings changes of the entity to Aurora; None where the bridge's SQL does.
    """

    def __init__(self, entity: Entity, database: DataApi, read: ReadItems, calls: LegacyCalls | None = None) -> None:
        self._entity = entity
        self._database = database
        self._read = read
        self._calls = calls
        self._places = Places(entity, database)

    def place(self, key: str) -> Place:
        """What Aurora knows of a key now."""
        return self._places.of(key)

    def apply(self, key: str, noted: int, stream: str) -> Verdict:
        """Write what the item is now.

        Args:
            noted: the sequence of the quarantined change.
            stream: the ARN of the stream that the sequence belongs to.

        Raises:
            TransientError: the database is not there now, or another run applies the same change; repeat the call.
            DataApiError: an unknown error.
        """
        known = self._known()  # before the place, whose numbers are of this stream
        if stream_guard.is_adopting(known):
            return Verdict(reason="a new stream is being adopted: run `runbook init`")
        place, ours = self.place(key), noted if stream and stream == known else 0
        sequence = max(place.highest, ours)
        change = changes.of_item(self._entity, key, sequence, self._read([key])[key])  # after the place
        verdict = Verdict()
        if self._calls and place.sequence > ours > 0 and self._is_there(change):
            return verdict  # brought with a later change: another call would repeat its side effects
        self._places.shift(key, place, known, sequence, sequence - 1)
        self._apply(change, verdict, known)
        if verdict.reason:
            self._places.shift(key, place, known, sequence - 1, sequence)
        else:
            self._confirm(change)
        return verdict

    def _is_there(self, change: Change) -> bool:
        """Whether the row is what the item is."""
        store = LegacyStore(self._entity, self._database)
        try:
            return change.record is not None and store.many([change.key]).get(change.key) == change.record
        except UnmappableError:
            return False

    def _apply(self, change: Change, verdict: Verdict, stream: str) -> None:
        to = (self._entity, self._database, verdict, stream, self._read)
        authority = ownership.read(self._database, self._entity)
        if self._calls and authority.fenced:
            ends = until_after(self._calls.timeout + CALL_SECONDS)
            FunctionApplier(*to, self._calls, ends).apply([change], authority)
        else:
            Applier(*to).apply([change], authority)

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
        self._database.execute(sql.keep_tombstone, sql.taking([sql.cells(change)]))
        place = self.place(key)
        if place.primary_key:
            passing = sql.pass_over(keeping(self._database, self._entity))
            self._database.execute(passing, sql.pass_over_values(change, place.primary_key))

    def _known(self) -> str:
        return stream_guard.known(self._database, self._entity)

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
