"""SELECT statements whose answers stay under the Data API's limits: 64 KB a row, 1 MiB an answer.

A page is cut where its running size passes a budget, and a row that is too large for one answer comes without its
values, which are then read in slices. Budgets are raw bytes; the Data API's JSON can write one byte as six.
"""

from collections.abc import Mapping
from typing import Any, cast

from functions.aws.data_api import DataApi, Row, cell_text
from functions.aws.mysql_errors import TransientError
from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.values import Field

PAGE_BYTES = 150 * 1024  # of values in one answer; six times that stays under 1 MiB
ROW_BYTES = 10 * 1024  # of values in one row; six times that stays under 64 KB
TOTAL_BYTES = 640 * 1024  # of records on one page, large ones included; API Gateway answers up to 10 MB
SLICE_BYTES = 32 * 1024  # of one value in one answer; base64 makes it 43 KB
READINGS = 3  # of a large row that changes meanwhile


class Select:
    """The statements for one entity; an answer's cells are: primary key, item key, size, rows found, values.

    Args:
        identified: whether the table has streamback's columns.
    """

    def __init__(self, entity: Entity, *, identified: bool) -> None:
        self._entity = entity
        self._fields = list(entity.fields.values())
        key_column = names.KEY_COLUMN if identified else "NULL"
        size = " + ".join(f"COALESCE(LENGTH(`{field.column}`), 0)" for field in self._fields)
        columns = ", ".join(f"{_exact(field)} AS v{i}" for i, field in enumerate(self._fields))
        self._source = (
            f"SELECT `{entity.legacy.key}` AS pk, {key_column} AS item_key, {size} AS bytes, {columns} "  # noqa: S608
            f"FROM `{entity.legacy.table}`"
        )
        self._values = ", ".join(f"IF(bytes > {ROW_BYTES}, NULL, v{i})" for i in range(len(self._fields)))

    def page(self, limit: int, *, after: bool) -> str:
        """One page by primary key; with `after`, the parameter `:after` is the key to go on from."""
        key = self._entity.legacy.key
        where = f" WHERE `{key}` > :after" if after else ""
        return self._cut(f"{self._source}{where} ORDER BY `{key}` LIMIT {int(limit)}")

    def where(self, condition: str) -> str:
        """The rows that a condition on the table's own columns finds, as many as one answer takes."""
        return self._cut(f"{self._source} WHERE {condition}")

    def _cut(self, source: str) -> str:
        rows = "OVER (ORDER BY pk ROWS UNBOUNDED PRECEDING)"
        return (
            f"SELECT pk, item_key, bytes, found, {self._values} FROM (SELECT q.*, "  # noqa: S608  # checked names
            f"SUM(IF(bytes > {ROW_BYTES}, 64, bytes)) {rows} AS sent, SUM(bytes) {rows} AS total, "
            f"ROW_NUMBER() OVER (ORDER BY pk) AS place, COUNT(*) OVER () AS found FROM ({source}) q) w "
            f"WHERE place = 1 OR (sent <= {PAGE_BYTES} AND total <= {TOTAL_BYTES}) ORDER BY pk"
        )

    def item_key(self, row: Row) -> str:
        """The key of the record a row shows: its item key, else its own primary key."""
        return cell_text(row[0] if row[1].get("isNull") else row[1])

    def primary_key(self, row: Row) -> str:
        return cell_text(row[0])

    def found(self, rows: list[Row]) -> int:
        """How many rows there were before the page was cut."""
        return rows[0][3].get("longValue", 0) if rows else 0

    def oversized(self, row: Row) -> bool:
        """Whether the row came without its values."""
        return int(cell_text(row[2])) > ROW_BYTES

    def cells(self, row: Row) -> dict[str, Mapping[str, Any]]:
        """The row's values by field name."""
        return dict(zip(self._entity.fields, cast("Any", row[4:]), strict=True))


class SliceReader:
    """Reads the values of one row that is too large for an answer.

    Args:
        database: the Data API, on the entity's database.
    """

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database

    def cells(self, primary_key: str) -> dict[str, Mapping[str, Any]]:
        """The row's values by field name.

        Raises:
            TransientError: the row changes while it is read.
        """
        for _ in range(READINGS):
            first, cells = self._reading(primary_key)
            if self._digests(primary_key) == first:
                return cells
        raise TransientError("a large row changed while it was read", maybe_written=False)

    def _reading(self, primary_key: str) -> tuple[Row, dict[str, Mapping[str, Any]]]:
        digests = self._digests(primary_key)
        cells = {
            name: self._cell(field, primary_key, digest.get("isNull", False))
            for (name, field), digest in zip(self._entity.fields.items(), digests, strict=False)
        }
        return digests, cells

    def _digests(self, primary_key: str) -> Row:
        digests = ", ".join(f"SHA2({_as_bytes(field)}, 256)" for field in self._entity.fields.values())
        rows = self._database.query(self._of_row(digests), self._values(primary_key))
        return rows[0] if rows else []

    def _cell(self, field: Field, primary_key: str, null: bool) -> Mapping[str, Any]:
        if null:
            return {"isNull": True}
        value, start = b"", 1
        while True:
            part = self._slice(field, primary_key, start)
            value, start = value + part, start + SLICE_BYTES
            if len(part) < SLICE_BYTES:
                return {"blobValue": value}

    def _slice(self, field: Field, primary_key: str, start: int) -> bytes:
        sql = self._of_row(f"SUBSTRING({_as_bytes(field)}, {int(start)}, {SLICE_BYTES})")
        rows = self._database.query(sql, self._values(primary_key))
        return rows[0][0].get("blobValue", b"") if rows else b""

    def _of_row(self, values: str) -> str:
        legacy = self._entity.legacy
        return f"SELECT {values} FROM `{legacy.table}` WHERE `{legacy.key}` = :pk"  # noqa: S608  # checked names

    def _values(self, primary_key: str) -> dict[str, dict[str, Any]]:
        if self._entity.legacy.key_type == "string":
            return {"pk": {"stringValue": primary_key}}
        return {"pk": {"longValue": int(primary_key)}}


AS_TEXT = frozenset({"boolean", "date", "datetime", "integer"})


def _exact(field: Field) -> str:
    """An expression that gives a column's value unchanged, as text where a driver could give another value.

    A session with NO_ZERO_DATE makes NULL of 0000-00-00 in an expression of dates, and drivers do, too. AWS's driver
    makes a boolean of any TINYINT(1) or BIT(1), so that 7 becomes true; `+ 0` makes a number of bits.
    """
    column = f"`{field.column}`"
    if field.type == "boolean":
        column = f"{column} + 0"
    return f"CAST({column} AS CHAR)" if field.type in AS_TEXT else column


def _as_bytes(field: Field) -> str:
    if field.type == "bytes":
        return f"`{field.column}`"
    return f"CAST(CONVERT({_exact(field)} USING utf8mb4) AS BINARY)"
