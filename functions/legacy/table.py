"""The rows of an entity's legacy table, read and written one record at a time or a page at a time."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from functions.api.store import ConflictError, NotFoundError, Page, key_of_request, page_of
from functions.aws import json_rows
from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import DUPLICATE, UNKNOWN_COLUMN, DataApiError, PermanentError, UnwritableKeyError
from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.errors import InvalidFieldError
from functions.domain.mapping import Record
from functions.legacy.selecting import Select, SelectedRow, SliceReader

HIGHEST_KEY, KEY_DIGITS = 2**63 - 1, 19
COUNTED = re.compile("[1-9][0-9]*")


def is_counted_key(key: str) -> bool:
    """Whether a key can be an AUTO_INCREMENT value in its one decimal spelling."""
    return len(key) <= KEY_DIGITS and COUNTED.fullmatch(key) is not None and int(key) <= HIGHEST_KEY


def within(column: str, cells: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """`column IN (…)` for some values, and its parameters."""
    values = {f"k{i}": cell for i, cell in enumerate(cells)}
    return f"{column} IN ({', '.join(f':{name}' for name in values)})", values


def key_as_bytes(entity: Entity) -> str:
    """A row's primary key as an item's key, as bytes, where keys are text: a collation may take two keys for one."""
    return f"CAST(CONVERT(`{entity.legacy.table}`.`{entity.legacy.key}` USING utf8mb4) AS BINARY)"


Answer = TypeVar("Answer")
Known = TypeVar("Known")
MANY = 500  # keys in one statement, at most: rows may be large


def of_writable(keys: Sequence[str], look: Callable[[Sequence[str]], dict[str, Known]]) -> dict[str, Known]:
    """What `look` finds for keys; a key that the table's character set cannot write has no row."""
    try:
        return look(keys)
    except UnwritableKeyError:
        half = len(keys) // 2
        return of_writable(keys[:half], look) | of_writable(keys[half:], look) if half else {}


class LegacyStore:
    """The records of one entity in Aurora. It works with streamback's columns and, before or after their time, without.

    A write is sent once: the Data API takes no token of a request, and the legacy table has no place for one. A write
    whose answer is lost may have been done, and the error says so: docs/adr/0019.

    Args:
        database: the Data API, on the entity's database.
    """

    system = "legacy"

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database
        self._natural = entity.legacy.key_type == "string"
        self._at_once = MANY

    def page(self, limit: int, after: str) -> Page:
        """At most `limit` records after the primary key `after` ("" for the start), fewer when they are large.

        A row that does not fit the mapping is named by its key.
        """
        return self._either(lambda identified: self._page(limit, after, identified))

    def keys(self, limit: int, after: str, until: str = "") -> tuple[list[str], str]:
        """The item keys of at most `limit` rows after the primary key `after`, and where to go on ("" at the end).

        Args:
            until: the last primary key; empty for the table's.
        """
        return self._either(lambda identified: self._keys(limit, after, until, identified))

    def _keys(self, limit: int, after: str, until: str, identified: bool) -> tuple[list[str], str]:
        legacy, column = self._entity.legacy, names.KEY_COLUMN if identified else "NULL"
        bounds = [f"`{legacy.key}` > :after"] if after else []
        bounds += [f"`{legacy.key}` <= :until"] if until else []
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        sql = f"SELECT `{legacy.key}`, {column} FROM {self._table}{where} ORDER BY `{legacy.key}` LIMIT {int(limit)}"  # noqa: S608
        rows = self._database.query(sql, self.bounds(after, until))
        found = [cell_text(row[0] if row[1].get("isNull") else row[1]) for row in rows]
        return found, cell_text(rows[-1][0]) if len(rows) == limit else ""

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` that have no row."""
        present: set[str] = set()
        for start in range(0, len(keys), MANY):
            present |= set(of_writable(keys[start : start + MANY], self._present))
        return [key for key in keys if key not in present]

    def _present(self, keys: Sequence[str]) -> dict[str, None]:
        return self._either(lambda identified: self._own_keys(keys, identified))

    def _own_keys(self, keys: Sequence[str], identified: bool) -> dict[str, None]:
        column = names.KEY_COLUMN if identified else "NULL"
        found: dict[str, None] = {}
        for source, where, values in self._places_of_many(keys, identified):
            sql = f"SELECT {self._table}.`{self._entity.legacy.key}`, {column} FROM {source} WHERE {where}"  # noqa: S608
            rows = self._database.query(sql, values)
            found |= dict.fromkeys(cell_text(row[0] if row[1].get("isNull") else row[1]) for row in rows)
        return found

    def many(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records of those of `keys` that have a row, by key; what copy writes and verify compares.

        Raises:
            UnmappableError: a row does not fit the mapping, its limits included.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Record] = {}
        while wanted:
            some = wanted[: self._at_once]
            found |= of_writable(some, lambda part: self._either(lambda identified: self._many(part, identified)))
            wanted = wanted[len(some) :]
            self._at_once = min(MANY, self._at_once + self._at_once // 4 + 1)
        return found

    def _many(self, keys: Sequence[str], identified: bool) -> dict[str, Record]:
        select = Select(self._entity, identified=identified)
        found: dict[str, Record] = {}
        for sql, values in self._reads_of_many(select, keys, identified):
            rows = select.selected(self._database.query(sql, values))
            if rows and len(rows) < rows[0].found:  # too large for one answer
                self._at_once = max(1, min(len(rows), len(keys) // 2))
                return self._in_parts(keys, identified)
            rows.sort(key=lambda row: row.key != row.primary_key)  # a row that modern made counts before a number's own
            records = (mapping.check_limits(self._entity, self._record(row)) for row in rows)
            found |= {record.key: record for record in records}
        return found

    def _in_parts(self, keys: Sequence[str], identified: bool) -> dict[str, Record]:
        found: dict[str, Record] = {}
        size = self._at_once
        for start in range(0, len(keys), size):
            found |= self._many(keys[start : start + size], identified)
        return found

    def _reads_of_many(
        self, select: Select, keys: Sequence[str], identified: bool
    ) -> list[tuple[str, dict[str, dict[str, Any]]]]:
        """The SELECTs that read some keys' rows: one for all places, or one for each where there is a single key."""
        places = self._places_of_many(keys, identified)
        if len(places) == 1 or len(keys) == 1:
            return [(select.where(where, source), values) for source, where, values in places]
        return [(select.anywhere([(where, source) for source, where, _ in places]), places[-1][2])]

    def _places_of_many(self, keys: Sequence[str], identified: bool) -> list[tuple[str, str, dict[str, Any]]]:
        """Where the rows of some keys are: the tables, the condition, and its parameters."""
        column = f"{self._table}.`{self._entity.legacy.key}`"
        if self._natural:
            return [(self._table, *within(column, [{"stringValue": key} for key in keys]))]
        source = f"{json_rows.source(['wanted', 'counted'])} STRAIGHT_JOIN {self._table}"
        places: list[tuple[str, str, dict[str, Any]]] = []
        rows = [[key, key if is_counted_key(key) else None] for key in keys]
        if any(number for _, number in rows):
            number = f"{column} = CAST({json_rows.cell('counted')} AS SIGNED)"
            own_key = f"{names.KEY_COLUMN} IS NULL" if identified else "TRUE"
            places.append((f"{source} ON {number}", own_key, json_rows.parameter(rows)))
        if identified:
            by_key = f"{source} ON {names.KEY_COLUMN} = {json_rows.binary('wanted')}"
            places.append((by_key, "TRUE", json_rows.parameter(rows)))
        return places

    def _page(self, limit: int, after: str, identified: bool) -> Page:
        select = Select(self._entity, identified=identified)
        rows = select.selected(self._database.query(select.page(limit, after=bool(after)), self._after(after)))
        more = bool(rows) and (len(rows) < rows[0].found or rows[0].found == limit)
        found = ((row.key, partial(self._record, row)) for row in rows)
        return page_of(found, rows[-1].primary_key if more else "")

    def bounds(self, after: str, until: str) -> dict[str, dict[str, Any]]:
        """The parameters `:after` and `:until` for primary keys; an empty one has none."""
        given = {name: key for name, key in {"after": after, "until": until}.items() if key}
        if self._natural:
            return {name: {"stringValue": key} for name, key in given.items()}
        return {name: {"longValue": int(key)} for name, key in given.items()}

    def _after(self, after: str) -> dict[str, dict[str, Any]]:
        if not after:
            return {}
        if self._natural:
            return {"after": {"stringValue": after}}
        if not after.isdecimal():
            raise InvalidFieldError("cursor", "is not a cursor of this collection; start the listing again")
        return {"after": {"longValue": int(after)}}

    def get(self, key: str) -> Record:
        """The record of `key`.

        Raises:
            NotFoundError: there is none.
            UnmappableError: its row does not fit the mapping.
        """
        try:
            return self._either(lambda identified: self._get(key, identified))
        except UnwritableKeyError as error:
            raise NotFoundError(key) from error

    def _get(self, key: str, identified: bool) -> Record:
        select = Select(self._entity, identified=identified)
        for where, values in self._places(key, identified):
            rows = self._database.query(select.where(where), values)
            if rows:
                return self._record(select.selected(rows)[0])
        raise NotFoundError(key)

    def create(self, key: str | None, fields: Mapping[str, Any], request: str = "") -> Record:
        """Insert a row; the database counts its key. Where keys are natural it is `key`, or a UUID if there is none.

        That UUID is made of the request's token: a repetition meets its own row.

        Raises:
            ConflictError: the key, or a value that must be unique, exists.
        """
        made_key = key_of_request(request or str(uuid.uuid4())) if self._natural and not key else ""
        key = key or made_key
        record = mapping.Record(key, fields)
        values = {f"f{i}": cell for i, cell in enumerate(mapping.row_from_record(self._entity, record).values())}
        columns = [f"`{field.column}`" for field in self._entity.fields.values()]
        if key:
            columns.append(f"`{self._entity.legacy.key}`")
            values["key"] = {"stringValue": key}
        marks = ", ".join(f":{name}" for name in values)
        sql = f"INSERT INTO {self._table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # checked names
        send = self._database.execute if key else self._database.insert
        try:
            made = self._unique(lambda: send(sql, values))
        except ConflictError:
            if not made_key or self.many([made_key]).get(made_key) != record:
                raise
            return record
        return mapping.Record(key or str(made), fields)

    def replace(self, key: str, fields: Mapping[str, Any], request: str = "") -> Record:  # noqa: ARG002  # sent once
        """Set every field of a row.

        Raises:
            NotFoundError: there is none.
            ConflictError: a value that must be unique exists.
        """
        record = mapping.Record(key, fields)
        values = {f"f{i}": cell for i, cell in enumerate(mapping.row_from_record(self._entity, record).values())}
        sets = ", ".join(f"`{field.column}` = :f{i}" for i, field in enumerate(self._entity.fields.values()))

        def update(where: str, place: Mapping[str, Any]) -> bool:
            sql = f"UPDATE {self._table} SET {sets} WHERE {where}"  # noqa: S608  # checked names
            changed = self._unique(lambda: self._database.execute(sql, {**values, **place}))
            return bool(changed) or self._exists(where, place)

        self._first(key, update)
        return record

    def delete(self, key: str, request: str = "") -> None:  # noqa: ARG002  # sent once
        """Delete a row.

        Raises:
            NotFoundError: there is none.
        """

        def remove(where: str, place: Mapping[str, Any]) -> bool:
            return bool(self._database.execute(f"DELETE FROM {self._table} WHERE {where}", place))  # noqa: S608

        self._first(key, remove)

    def _first(self, key: str, act: Callable[[str, Mapping[str, Any]], bool]) -> None:
        def attempt(identified: bool) -> None:
            if not any(act(where, values) for where, values in self._places(key, identified)):
                raise NotFoundError(key)

        try:
            self._either(attempt)
        except UnwritableKeyError as error:
            raise NotFoundError(key) from error

    def _exists(self, where: str, values: Mapping[str, Any]) -> bool:
        # An UPDATE that changes nothing may count no row, so look.
        return bool(self._database.query(f"SELECT 1 FROM {self._table} WHERE {where}", values))  # noqa: S608

    def _places(self, key: str, identified: bool) -> list[tuple[str, dict[str, Any]]]:
        column = f"`{self._entity.legacy.key}`"
        if self._natural:
            exact = f"{key_as_bytes(self._entity)} = CAST(:key AS BINARY)"
            return [(f"{column} = :key AND {exact}", {"key": {"stringValue": key}})]
        places: list[tuple[str, dict[str, Any]]] = []
        if is_counted_key(key):
            own_key = f" AND {names.KEY_COLUMN} IS NULL" if identified else ""
            places.append((f"{column} = :key{own_key}", {"key": {"longValue": int(key)}}))
        if identified:
            places.append((f"{names.KEY_COLUMN} = :item", {"item": {"stringValue": key}}))
        return places

    def _record(self, row: SelectedRow) -> Record:
        cells = row.cells
        if cells is None:
            cells = SliceReader(self._entity, self._database).cells(row.primary_key)
        return mapping.record_from_row(self._entity, row.key, cells)

    def _either(self, run: Callable[[bool], Answer]) -> Answer:
        """Run with streamback's columns, or without when the table has none (before init, after complete)."""
        if self._natural:
            return run(False)
        try:
            return run(True)
        except DataApiError as error:
            if error.code != UNKNOWN_COLUMN or names.KEY_COLUMN not in str(error):
                raise
            return run(False)

    def _unique(self, run: Callable[[], Answer]) -> Answer:
        try:
            return run()
        except PermanentError as error:
            if error.code == DUPLICATE:
                raise ConflictError from error
            raise

    @property
    def _table(self) -> str:
        return f"`{self._entity.legacy.table}`"
