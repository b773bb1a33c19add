"""Gives a row that legacy inserted the sequence of its key's tombstone, if its own is lower.

The trigger does the same, but reads the tombstone as legacy's transaction sees it. A transaction whose snapshot is
older, or that waited for the delete, does not see it. Copy calls this for each key under which a row arrived, before
the key leaves its queue. A cutover needs an empty queue, so no such row is left when modern becomes the source of
truth. Until then the row's epoch keeps the bridge from changing it.
"""

from collections.abc import Sequence

from functions.aws import json_rows
from functions.aws.data_api import DataApi, Values, cell_text
from functions.bridge import stream_guard
from functions.bridge.kept_columns import keeping
from functions.bridge.statements import SEQUENCE, Statements
from functions.domain import names
from functions.domain.entities import Entity


class Inheritance:
    """Corrects the sequences of one entity's rows.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
    """

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database
        self._sql = Statements(entity)

    def correct(self, keys: Sequence[str]) -> int:
        """Correct those of `keys` whose row legacy wrote in the present epoch; returns how many were wrong.

        Raises:
            TransientError: the database is not there now; call again.
        """
        stream, tombstones = self._tombstones(keys)
        if stream_guard.is_adopting(stream):
            return 0
        found = [values for sql, some in self._lookups(tombstones) for values in self._lower(sql, some, tombstones)]
        sql = self._raise() if found else ""
        for values in found:  # one by one, because a batch would hold one row while it waits for another
            self._database.execute(sql, {**values, **self._sql.entity_value, "stream": {"stringValue": stream}})
        return len(found)

    def _raise(self) -> str:
        """As it was read, in the epoch it was read in: what wakes late changes nothing that another has changed since.

        The row stays legacy's, and so do its columns with ON UPDATE CURRENT_TIMESTAMP.
        """
        legacy = self._entity.legacy
        return (
            f"UPDATE `{legacy.table}` SET {names.SEQUENCE_COLUMN} = {SEQUENCE}{keeping(self._database, self._entity)} "  # noqa: S608
            f"WHERE `{legacy.key}` = :pk AND {names.EPOCH_COLUMN} = :epoch "
            f"AND COALESCE({names.SEQUENCE_COLUMN}, -1) = CAST(:seen AS DECIMAL(40,0)) "
            f"AND {stream_guard.follows(':stream')}"
        )

    def _lookups(self, tombstones: dict[str, tuple[int, int]]) -> list[tuple[str, Values]]:
        return self._sql.lookups(list(tombstones)) if tombstones else []

    def _tombstones(self, keys: Sequence[str]) -> tuple[str, dict[str, tuple[int, int]]]:
        """The stream, and sequence and epoch by key.

        Read together, so that no tombstone is newer than the epoch, or of another stream.
        """
        if not keys:
            return "", {}
        rows = self._database.query(
            f"SELECT s.stream_arn, d.item_key, d.sequence, c.legacy_stamp FROM {json_rows.source(['wanted'])} "  # noqa: S608
            f"STRAIGHT_JOIN {names.DELETES_TABLE} d ON d.entity = :entity "
            f"AND d.item_key = {json_rows.binary('wanted')} JOIN {names.CONTROL_TABLE} c ON c.entity = d.entity "
            f"JOIN {names.STREAMS_TABLE} s ON s.entity = d.entity WHERE d.sequence > 0 AND c.legacy_stamp > 0",
            {**json_rows.parameter([[key] for key in keys]), **self._sql.entity_value},
        )
        found = {cell_text(key): (int(cell_text(number)), int(cell_text(epoch))) for _, key, number, epoch in rows}
        return cell_text(rows[0][0]) if rows else "", found

    def _lower(self, sql: str, values: Values, tombstones: dict[str, tuple[int, int]]) -> list[Values]:
        """The parameters for each row of the epoch that has a lower sequence than its key's tombstone."""
        found: list[Values] = []
        for row in self._database.query(sql, values):
            key, present = self._sql.looked_up(row)
            sequence, epoch = tombstones.get(key, (-1, 0))  # a collation may answer with another spelling
            if present.epoch == epoch and present.sequence < sequence:
                found.append(self._values(present.primary_key, present.sequence, sequence, epoch))
        return found

    def _values(self, primary_key: str, seen: int, sequence: int, epoch: int) -> Values:
        natural = self._entity.legacy.key_type == "string"
        return {
            "pk": {"stringValue": primary_key} if natural else {"longValue": int(primary_key)},
            "epoch": {"longValue": epoch},
            "seen": {"stringValue": str(seen)},
            "sequence": {"stringValue": str(sequence)},
        }
