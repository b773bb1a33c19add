"""Copy's queue in Aurora: the keys that were changed, or that the backfill has come to, in order.

Rows are removed by exactly the ids that were taken, never up to a highest one: ids are counted when a row is inserted
and seen when its transaction commits, so that a lower one may show up later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from functions.aws.data_api import DataApi, Row
from functions.bridge.statements import cell_text
from functions.domain import names
from functions.domain.entities import Entity

TABLE = names.CHANGES_TABLE
AGE = "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, enqueued_at, UTC_TIMESTAMP(6)))"


@dataclass(frozen=True)
class Taken:
    """One row of the queue; it stays there until it is removed. `age` in seconds."""

    id: int
    key: str
    age: float
    backfill: bool


class Queue:
    """The queue of one entity.

    Args:
        database: the Data API, on the entity's database.
        entity: whose keys.
    """

    def __init__(self, database: DataApi, entity: Entity) -> None:
        self._database = database
        self._name = {"stringValue": entity.name}

    def take(self, lane: int, most: int) -> list[Taken]:
        """The oldest rows of a lane. It must be done before their records are read, not after."""
        sql = (
            f"SELECT change_id, item_key, {AGE}, backfill FROM {TABLE} "  # noqa: S608  # names of ours
            f"WHERE entity = :entity AND lane = {int(lane)} ORDER BY change_id LIMIT {int(most)}"
        )
        return [_taken(row) for row in self._database.query(sql, {"entity": self._name})]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove rows whose items are written."""
        sets: list[dict[str, dict[str, Any]]] = [{"id": {"longValue": each}} for each in ids]
        if sets:
            # One by one: with a list of ids, MySQL may scan the table, and lock what legacy's writers insert.
            self._database.batch(f"DELETE FROM {TABLE} WHERE change_id = :id", sets)  # noqa: S608

    def enqueue(self, keys: Sequence[str]) -> None:
        """Add keys for the backfill: all or none."""
        if not keys:
            return
        rows = ", ".join(f"(:entity, {names.lane_of(key)}, :k{i}, UTC_TIMESTAMP(6), 1)" for i, key in enumerate(keys))
        values = {f"k{i}": {"stringValue": key} for i, key in enumerate(keys)}
        self._database.execute(
            f"INSERT INTO {TABLE} (entity, lane, item_key, enqueued_at, backfill) VALUES {rows}",  # noqa: S608
            {"entity": self._name, **values},
        )

    def length(self, most: int) -> int:
        """How many rows wait, counted up to `most`."""
        some = f"SELECT 1 FROM {TABLE} WHERE entity = :entity LIMIT {int(most)}"  # noqa: S608
        rows = self._database.query(f"SELECT COUNT(*) FROM ({some}) AS waiting", {"entity": self._name})  # noqa: S608
        return int(cell_text(rows[0][0]))


def drained(database: DataApi, entity: Entity) -> bool:
    """Whether everything that was ever put into the entity's queue is in DynamoDB."""
    return Queue(database, entity).length(1) == 0


def _taken(row: Row) -> Taken:
    number, key, age, backfill = (cell_text(cell) for cell in row)
    return Taken(int(number), key, int(age) / 1e6, backfill in ("1", "True"))
