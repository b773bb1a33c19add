"""The change queue in Aurora: keys that legacy's writers changed, or that the backfill has reached, in order.

All SQL on it stands here, except that of the triggers, which put keys into it. Rows are removed by exactly the ids that
were taken, never up to a highest one: ids are counted when a row is inserted and seen when its transaction commits, so
a lower one may show up later.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from functions.aws import json_rows
from functions.aws.data_api import DataApi, Row, cell_text
from functions.domain import names
from functions.domain.entities import Entity

TABLE = names.CHANGES_TABLE
AGE = "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, {}, UTC_TIMESTAMP(6)))"
BACKFILL = 1  # in the column `backfill`; 0 is a change
READ_AT_ONCE, REMOVED_AT_ONCE = 1000, 5000  # rows in one statement


@dataclass(frozen=True)
class Taken:
    """One row of the queue; it stays there until it is removed.

    Attributes:
        age: in seconds.
        backfill: whether the backfill enqueued it.
        arrived: whether a row came under this key, or the backfill read it: its sequence may be unknown.
        at: when it was enqueued, as the table has it.
    """

    id: int
    key: str
    age: float
    backfill: bool
    arrived: bool
    at: str


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
            f"SELECT CONCAT_WS(' ', change_id, HEX(item_key), {AGE.format('enqueued_at')}, backfill + 0, enqueued_at) "  # noqa: S608
            f"FROM {TABLE} WHERE entity = :entity AND lane = {int(lane)} ORDER BY change_id LIMIT {int(most)}"
        )
        return [_taken(row) for row in self._database.query(sql, self._name)]

    def remove(self, rows: Iterable[Taken]) -> None:
        """Remove rows whose items are written, and no other: in a table that was made anew ids begin anew."""
        done = [[str(row.id), row.at] for row in rows]
        if done:
            # By the primary key alone: a scan of the table would lock what legacy's writers insert.
            self._database.execute(
                f"DELETE {TABLE} FROM {json_rows.source(['number', 'moment'])} STRAIGHT_JOIN {TABLE} "
                f"FORCE INDEX (PRIMARY) ON change_id = CAST({json_rows.cell('number')} AS UNSIGNED) "
                f"WHERE entity = :entity AND enqueued_at = CAST({json_rows.cell('moment')} AS DATETIME(6))",
                {**self._name, **json_rows.parameter(done)},
            )

    def epoch(self) -> int:
        """Legacy's epoch now; 0 while it has none."""
        sql = f"SELECT legacy_stamp FROM {names.CONTROL_TABLE} WHERE entity = :entity"  # noqa: S608
        return int(cell_text(self._database.query(sql, self._name)[0][0]))

    def enqueue(self, keys: Sequence[str], epoch: int, *, backfill: bool) -> bool:
        """Put keys into the queue in this epoch of legacy; False when it is over: nothing was done.

        In phase modern, or after a rollback, a key that comes late would let copy write an old row over a newer item.
        """
        if not keys:
            return True
        rows = json_rows.parameter([[str(names.lane_of(key)), key] for key in keys])
        # The fence waits for this statement: of an INSERT … SELECT, MySQL locks what it reads.
        done = self._database.execute(
            f"INSERT INTO {TABLE} (entity, lane, item_key, enqueued_at, backfill) "  # noqa: S608
            f"SELECT c.entity, {json_rows.whole_number('number')}, {json_rows.binary('wanted')}, UTC_TIMESTAMP(6), "
            f"{int(backfill)} FROM {json_rows.source(['number', 'wanted'])} "
            f"JOIN {names.CONTROL_TABLE} AS c ON c.entity = :entity AND c.legacy_stamp = {int(epoch)} "
            "AND c.legacy_stamp > 0",
            self._name | rows,
        )
        return done > 0

    def length(self, most: int) -> int:
        """How many rows wait, counted up to `most`."""
        some = f"SELECT 1 FROM {TABLE} WHERE entity = :entity LIMIT {int(most)}"  # noqa: S608
        rows = self._database.query(f"SELECT COUNT(*) FROM ({some}) AS waiting", self._name)  # noqa: S608
        return int(cell_text(rows[0][0]))

    def waiting(self, most: int) -> Waiting:
        """What waits, of at most `most` rows."""
        some = f"SELECT backfill, enqueued_at FROM {TABLE} WHERE entity = :entity LIMIT {int(most)}"  # noqa: S608
        oldest = f"COALESCE({AGE.format('MIN(enqueued_at)')}, 0)"
        sql = f"SELECT COUNT(*), COALESCE(SUM(backfill = {BACKFILL}), 0), {oldest} FROM ({some}) AS waiting"  # noqa: S608
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

    def remove_some(self, token: int) -> bool:
        """Remove some rows, done or not, unless a token above `token` has acted; whether there were any."""
        acted = f"(SELECT token FROM {names.TOKENS_TABLE} WHERE entity = :entity)"  # noqa: S608  # a name of ours
        sql = (
            f"DELETE FROM {TABLE} WHERE entity = :entity AND {acted} <= :token "  # noqa: S608  # names of ours
            f"LIMIT {REMOVED_AT_ONCE}"
        )
        return self._database.execute(sql, {**self._name, "token": {"longValue": token}}) > 0


def _taken(row: Row) -> Taken:
    """One text a row: its cells would cost more than what is in them."""
    number, key, age, kind, at = cell_text(row[0]).split(" ", 4)
    backfill, arrived = int(kind) == BACKFILL, int(kind) in {BACKFILL, names.ARRIVED}
    return Taken(int(number), bytes.fromhex(key).decode(), int(age) / 1e6, backfill, arrived, at)
