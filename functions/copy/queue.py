"""The change queue in Aurora: keys that legacy's writers changed, or that the backfill has reached, in order.

All SQL on it stands here, except that of the triggers, which put keys into it. Rows are removed by exactly the ids that
were taken, never up to a highest one: ids are counted when a row is inserted and seen when its transaction commits, so
a lower one may show up later.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from functions.aws.data_api import DataApi, Row, cell_text
from functions.domain import names
from functions.domain.entities import Entity

TABLE = names.CHANGES_TABLE
AGE = "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, {}, UTC_TIMESTAMP(6)))"
READ_AT_ONCE, REMOVED_AT_ONCE = 1000, 5000  # rows in one statement


@dataclass(frozen=True)
class Taken:
    """One row of the queue; it stays there until it is removed. `age` in seconds."""

    id: int
    key: str
    age: float
    backfill: bool


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits: rows, those of them that the backfill enqueued, and the age of the oldest in seconds."""

    rows: int
    backfill: int
    age: float


class ChangeQueue:
    """The queue of one entity.

    Args:
        database: the Data API, on the entity's database.
    """

    def __init__(self, database: DataApi, entity: Entity) -> None:
        self._database = database
        self._name = {"entity": {"stringValue": entity.name}}

    def take(self, lane: int, most: int) -> list[Taken]:
        """The oldest rows of a lane. It must be done before their records are read, not after."""
        sql = (
            f"SELECT change_id, item_key, {AGE.format('enqueued_at')}, backfill FROM {TABLE} "  # noqa: S608
            f"WHERE entity = :entity AND lane = {int(lane)} ORDER BY change_id LIMIT {int(most)}"
        )
        return [_taken(row) for row in self._database.query(sql, self._name)]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove rows whose items are written."""
        sets: list[dict[str, dict[str, Any]]] = [{"id": {"longValue": each}} for each in ids]
        if sets:
            # One by one: with a list of ids, MySQL may scan the table, and lock what legacy's writers insert.
            self._database.batch(f"DELETE FROM {TABLE} WHERE change_id = :id", sets)  # noqa: S608

    def enqueue(self, keys: Sequence[str], *, backfill: bool) -> None:
        if not keys:
            return
        rows = ", ".join(
            f"(:entity, {names.lane_of(key)}, :k{i}, UTC_TIMESTAMP(6), {int(backfill)})" for i, key in enumerate(keys)
        )
        values = {f"k{i}": {"stringValue": key} for i, key in enumerate(keys)}
        self._database.execute(
            f"INSERT INTO {TABLE} (entity, lane, item_key, enqueued_at, backfill) VALUES {rows}",  # noqa: S608
            self._name | values,
        )

    def length(self, most: int) -> int:
        """How many rows wait, counted up to `most`."""
        some = f"SELECT 1 FROM {TABLE} WHERE entity = :entity LIMIT {int(most)}"  # noqa: S608
        rows = self._database.query(f"SELECT COUNT(*) FROM ({some}) AS waiting", self._name)  # noqa: S608
        return int(cell_text(rows[0][0]))

    def waiting(self, most: int) -> Waiting:
        """What waits, of at most `most` rows."""
        some = f"SELECT backfill, enqueued_at FROM {TABLE} WHERE entity = :entity LIMIT {int(most)}"  # noqa: S608
        oldest = f"COALESCE({AGE.format('MIN(enqueued_at)')}, 0)"
        sql = f"SELECT COUNT(*), COALESCE(SUM(backfill), 0), {oldest} FROM ({some}) AS waiting"  # noqa: S608
        rows, backfill, age = (int(cell_text(cell)) for cell in self._database.query(sql, self._name)[0])
        return Waiting(rows=rows, backfill=backfill, age=age / 1e6)

    def keys(self) -> Iterator[str]:
        """Every key that waits, oldest first; one that waits twice comes twice."""
        after = 0
        while True:
            rows = self._database.query(
                f"SELECT change_id, item_key FROM {TABLE} "  # noqa: S608  # names of ours
                f"WHERE entity = :entity AND change_id > {after} ORDER BY change_id LIMIT {READ_AT_ONCE}",
                self._name,
            )
            yield from (cell_text(row[1]) for row in rows)
            if len(rows) < READ_AT_ONCE:
                return
            after = int(cell_text(rows[-1][0]))

    def remove_some(self) -> bool:
        """Remove some rows, done or not; whether there were any."""
        sql = f"DELETE FROM {TABLE} WHERE entity = :entity LIMIT {REMOVED_AT_ONCE}"  # noqa: S608  # names of ours
        return self._database.execute(sql, self._name) > 0


def _taken(row: Row) -> Taken:
    number, key, age, backfill = (cell_text(cell) for cell in row)
    return Taken(int(number), key, int(age) / 1e6, backfill in ("1", "True"))
