"""What Aurora has of some keys: the rows that are there, and the deletes of legacy's that it remembers."""

from collections.abc import Sequence

from functions.aws import json_rows
from functions.aws.data_api import DataApi, cell_text
from functions.aws.json_rows import Cells
from functions.bridge.statements import Present, Statements
from functions.legacy.table import of_writable

KEYS_AT_ONCE = 500  # looked up in one statement; the answer stays under half a MiB


class Rows:
    """The rows of one entity, as plain reads find them.

    Args:
        database: the Data API, on the entity's database.

    Attributes:
        collation: of the primary key, once a row was found; empty where it is a number.
    """

    def __init__(self, database: DataApi, sql: Statements) -> None:
        self._database = database
        self._sql = sql
        self.collation = ""

    def present(self, keys: Sequence[str]) -> dict[str, Present]:
        """The rows of those keys that have one, by item key."""
        found: dict[str, Present] = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            found |= of_writable(keys[start : start + KEYS_AT_ONCE], self._looked_up)
        for row in found.values():
            self.collation = row.collation
        return found

    def _looked_up(self, keys: Sequence[str]) -> dict[str, Present]:
        return dict(
            self._sql.looked_up(row)
            for sql, values in self._sql.lookups(keys)
            for row in self._database.query(sql, values)
        )

    def standing(self, changes: Sequence[Cells]) -> tuple[int, int]:
        """How many changes, as they were sent, have the row that they were sent for; how many of these are behind."""
        marks = [self._sql.marks_of(cells) for cells in changes]
        there, behind = 0, 0
        for run in json_rows.runs(marks):
            sql, values = self._sql.standing([marks[i] for i in run], self.collation)
            found = [int(cell_text(cell)) for cell in self._database.query(sql, values)[0]]
            there, behind = there + found[0], behind + found[1]
        return there, behind

    def deleted_by_legacy(self, keys: Sequence[str], epoch: int) -> dict[str, int]:
        """Those keys that legacy deleted in an epoch, with the sequence that each showed then."""
        found: dict[str, int] = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            rows = self._database.query(*self._sql.tombstones(keys[start : start + KEYS_AT_ONCE], epoch))
            found |= {cell_text(key): int(cell_text(sequence)) for key, sequence in rows}
        return found
