"""SELECT statements whose answers stay under the Data API's limits: 64 KB a row, 1 MiB an answer.

A page is cut where its running size passes a budget, and a row that is too large for one answer comes without its
values, which are then read in slices. Budgets are raw bytes. A row is answered as one text in which each value is the
hexadecimal digits of its UTF-8: that is at most six bytes for one, and many cells would cost more than what is in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


NULL = "-"  # in place of a value's digits, or of all values of a row that is too large


@dataclass(frozen=True, kw_only=True)
class SelectedRow:
    """A row of an answer.

    Attributes:
        key: of the record that the row shows: its item key, else its own primary key.
        found: how many rows there were before the page was cut.
        cells: its values by field name; none if the row is too large for an answer.
    """

    key: str
    primary_key: str
    found: int
    cells: dict[str, Mapping[str, Any]] | None


class Select:
    """The statements for one entity.

    Args:
        identified: whether the table has streamback's columns.
    """

    def __init__(self, entity: Entity, *, identified: bool) -> None:
        self._entity = entity
        self._fields = list(entity.fields.values())
        key_column = names.KEY_COLUMN if identified else "NULL"
        self._primary_key = "CAST(pk AS CHAR)" if entity.legacy.key_type == "integer" else "pk"
        self._table = f"`{entity.legacy.table}`"
        size = " + ".join(f"COALESCE(LENGTH({self._table}.`{field.column}`), 0)" for field in self._fields)
        columns = ", ".join(f"{exact(field, self._table)} AS v{i}" for i, field in enumerate(self._fields))
        self._columns = (
            f"SELECT {self._table}.`{entity.legacy.key}` AS pk, {key_column} AS item_key, {size} AS bytes, {columns}"
        )

    def page(self, limit: int, *, after: bool) -> str:
        """One page by primary key; with `after`, the parameter `:after` is the key to go on from."""
        key = f"{self._table}.`{self._entity.legacy.key}`"  # else a column of ours with its name would be meant
        where = f" WHERE {key} > :after" if after else ""
        return self._cut(f"{self._columns} FROM {self._table}{where} ORDER BY {key} LIMIT {int(limit)}")

    def where(self, condition: str, rows: str = "") -> str:
        """The rows that a condition finds, as many as one answer takes.

        Args:
            rows: the table, joined with what the condition speaks of; the table alone by default.
        """
        return self._cut(f"{self._columns} FROM {rows or self._table} WHERE {condition}")

    def anywhere(self, places: Sequence[tuple[str, str]]) -> str:
        """The rows that any of some conditions finds, each with its tables, as many as one answer takes."""
        return self._cut(" UNION ALL ".join(f"{self._columns} FROM {rows} WHERE {where}" for where, rows in places))

    def _cut(self, source: str) -> str:
        rows = "OVER (ORDER BY pk ROWS UNBOUNDED PRECEDING)"
        values = (f"IF(bytes > {ROW_BYTES}, '{NULL}', {_digits(f'v{i}')})" for i in range(len(self._fields)))
        parts = ["found", "bytes", _digits(self._primary_key), _digits("item_key"), *values]
        return (
            f"SELECT CONCAT_WS(' ', {', '.join(parts)}) FROM (SELECT q.*, "  # noqa: S608  # checked names
            f"SUM(IF(bytes > {ROW_BYTES}, 64, bytes)) {rows} AS sent, SUM(bytes) {rows} AS total, "
            f"ROW_NUMBER() OVER (ORDER BY pk) AS place, COUNT(*) OVER () AS found FROM ({source}) q) w "
            f"WHERE place = 1 OR (sent <= {PAGE_BYTES} AND total <= {TOTAL_BYTES}) ORDER BY pk"
        )

    def selected(self, rows: Sequence[Row]) -> list[SelectedRow]:
        """The rows of an answer."""
        return [self._selected(cell_text(row[0]).split(" ")) for row in rows]

    def _selected(self, parts: list[str]) -> SelectedRow:
        found, size, primary_key, item_key, *values = parts
        own = bytes.fromhex(primary_key).decode()
        cells = dict(zip(self._entity.fields, map(_cell, values), strict=True))
        return SelectedRow(
            key=own if item_key == NULL else bytes.fromhex(item_key).decode(),
            primary_key=own,
            found=int(found),
            cells=None if int(size) > ROW_BYTES else cells,
        )


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


AS_TEXT = frozenset({"boolean", "date", "datetime", "decimal", "integer"})


def exact(field: Field, table: str = "") -> str:
    """An expression that gives a column's value unchanged, as text where a driver could give another value.

    A session with NO_ZERO_DATE makes NULL of 0000-00-00 in an expression of dates, and drivers do, too. AWS's driver
    makes a boolean of any TINYINT(1) or BIT(1), so that 7 becomes true; `+ 0` makes a number of bits.
    """
    column = f"{table}.`{field.column}`" if table else f"`{field.column}`"
    if field.type == "boolean":
        column = f"{column} + 0"
    return f"CAST({column} AS CHAR)" if field.type in AS_TEXT else column


def _digits(value: str) -> str:
    """The hexadecimal digits of a text in UTF-8, or of bytes; not of a number."""
    digits = f"IF(COLLATION({value}) = 'binary', HEX({value}), HEX(CONVERT({value} USING utf8mb4)))"
    return f"IF({value} IS NULL, '{NULL}', {digits})"


def _cell(digits: str) -> Mapping[str, Any]:
    return {"isNull": True} if digits == NULL else {"blobValue": bytes.fromhex(digits)}


def _as_bytes(field: Field) -> str:
    if field.type == "bytes":
        return f"`{field.column}`"
    return f"CAST(CONVERT({exact(field)} USING utf8mb4) AS BINARY)"
