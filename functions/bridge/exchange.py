"""Applies a change whose unique value another row still has, together with the changes of that row.

A transaction in DynamoDB may swap the values of a unique column between two items, or delete an item and give its value
to another. The stream brings these changes one by one, through several shards, and MySQL refuses each that comes before
the other. So the rows that hold the value are brought to what their items are now, and the record's own row with them:

* All items are read at one moment, in a transaction of DynamoDB. Whatever rows hold values that these items need joins
  them, until no other row does.
* One transaction in Aurora then deletes the rows whose items are gone, frees the unique values of the others (NULL, or
  a random value where the column is NOT NULL), and writes what the items are.
* Each row keeps the sequence that it had, or gets the record's: a later record of its item is applied after, as
  `functions.bridge.replay` explains.

Two items that need the same value cannot both have a row: the change stays with the database's own error.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from functions.aws.data_api import DataApi, Row, Values, cell_text
from functions.aws.mysql_errors import UNIQUE_CODES, PermanentError, TransientError
from functions.bridge import ownership
from functions.bridge.kept_columns import keeping
from functions.bridge.places import Place, Places, primary_key_value
from functions.bridge.statements import STRICT, Statements
from functions.domain import changes, mapping, names
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity
from functions.legacy.table import within

Item = Mapping[str, Any]
ReadItems = Callable[[Sequence[str]], Mapping[str, Item | None]]  # consistently, as they are at one moment

ATTEMPTS = 5  # at rows that change meanwhile
MOST_KEYS = 50  # that exchange values with one another; DynamoDB reads 100 at one moment
TOKEN_LENGTH = 24  # of a random text, if its column is that long
WHOLE_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 63}
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
TIMES = {"date": "%04d-%02d-%02d", "datetime": "%04d-%02d-%02d 00:00:00", "timestamp": "%04d-%02d-%02d 00:00:00"}
MOST_DIGITS = 15  # of a random decimal

INDEXES = (
    "SELECT s.index_name, s.column_name, COALESCE(s.sub_part, 0), c.is_nullable, LOWER(c.data_type), "
    "COALESCE(c.character_maximum_length, 0), COALESCE(c.numeric_precision, 0), COALESCE(c.numeric_scale, 0), "
    "LOWER(c.column_type) LIKE '%unsigned%' FROM information_schema.statistics s "
    "JOIN information_schema.columns c ON c.table_schema = s.table_schema AND c.table_name = s.table_name "
    "AND c.column_name = s.column_name "
    "WHERE s.table_schema = :database AND s.table_name = :table AND s.non_unique = 0 AND s.index_name <> 'PRIMARY' "
    "AND c.column_name <> :own AND LOWER(c.extra) NOT LIKE '%generated%' ORDER BY s.index_name, s.seq_in_index"
)


class RowChangedError(Exception):
    """A row is not as it was read, or was left alone."""


@dataclass(frozen=True, kw_only=True)
class IndexedColumn:
    """A mapped column of a unique index.

    Attributes:
        field: its name.
        prefix: how many characters or bytes of it are indexed; 0 for all.
        length: in characters or bytes.
    """

    field: str
    column: str
    prefix: int
    nullable: bool
    kind: str
    length: int
    precision: int
    scale: int
    unsigned: bool


@dataclass(frozen=True, kw_only=True)
class Member:
    """A record that takes part: what its item is, and what Aurora knew of it before the item was read."""

    change: Change
    place: Place


class Exchange:
    """Applies changes of one entity together.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
        stream: the ARN that the change's sequence belongs to.
        read: the items of some keys.
    """

    def __init__(self, entity: Entity, database: DataApi, stream: str, read: ReadItems) -> None:
        self._entity = entity
        self._database = database
        self._stream = stream
        self._read = read
        self._sql = Statements(entity, stream)

    def resolve(self, change: Change, error: PermanentError) -> str:
        """Apply a change that met a value of another row, with what frees the value.

        Args:
            error: which it met.

        Returns:
            Why it can still not be applied; empty when it, or a newer one of its key, is.

        Raises:
            TransientError: the rows change all the time, or the database is not there; try again.
        """
        for _ in range(ATTEMPTS):
            try:
                members = self._members(change)
                if members:
                    self._exchange(members)
            except (RowChangedError, TransientError):
                continue
            except PermanentError as refused:
                return str(refused)
            return ""
        if not ownership.read(self._database, self._entity).modern:
            return str(error)  # a row of legacy's holds the value
        raise TransientError(f"rows that exchange values change all the time: {error}", error.code)

    def _members(self, change: Change) -> list[Member]:
        """The change and those of the rows that hold its values, and so on; none when it is applied already."""
        keys = [change.key]
        while True:
            places = {key: self._places.of(key) for key in keys}  # before the items, so that these are not older
            if places[change.key].highest >= change.sequence:
                return []
            items = self._read(keys)
            members = [self._member(change, key, places[key], items[key]) for key in keys]
            more = [key for key in self._holders(members) if key not in places]
            if not more:
                return members
            keys += more
            if len(keys) > MOST_KEYS:
                raise PermanentError(f"more than {MOST_KEYS} records exchange unique values with one another")

    def _member(self, change: Change, key: str, place: Place, item: Item | None) -> Member:
        own = key == change.key
        found = changes.of_item(self._entity, key, change.sequence if own else place.highest, item)
        if found.problem:
            raise PermanentError(f"it exchanges values with {key}, whose item does not fit: {found.problem}")
        return Member(change=replace(found, created=change.created if own else None), place=place)

    def _holders(self, members: Sequence[Member]) -> list[str]:
        """The keys of the rows that hold a value which one of the members needs."""
        found: dict[str, None] = {}
        for member in members:
            if member.change.record is None:
                continue
            cells = mapping.row_from_record(self._entity, member.change.record)
            for parts in self._indexes:
                wanted = {part.field: cells[part.field] for part in parts}
                if all("isNull" not in cell for cell in wanted.values()):  # NULL is equal to nothing
                    found |= dict.fromkeys(self._holding(parts, wanted))
        return list(found)

    def _holding(self, parts: Sequence[IndexedColumn], cells: Values) -> list[str]:
        where: list[str] = []
        values: Values = {}
        for number, part in enumerate(parts):
            column, value = f"`{part.column}`", f":v{number}"
            if part.prefix:
                column, value = (f"LEFT({each}, {part.prefix})" for each in (column, value))
            where.append(f"{column} = {value}")
            values[f"v{number}"] = cells[part.field]
        sql = f"{self._sql.rows(' AND '.join(where))} LIMIT {MOST_KEYS + 1}"
        return [self._sql.looked_up(row)[0] for row in self._database.query(sql, values)]

    def _exchange(self, members: Sequence[Member]) -> None:
        with self._database.transaction() as inside:
            self._lock(inside, members)
            places = Places(self._entity, inside)
            for member in members:
                sequence = member.change.sequence
                places.shift(member.change.key, member.place, self._stream, sequence, sequence - 1)
            self._delete(inside, [member for member in members if member.change.kind == ChangeKind.DELETE])
            kept = [member for member in members if member.change.kind == ChangeKind.UPSERT]
            self._free(inside, [member for member in kept if member.place.primary_key])
            for member in reversed(kept):  # who holds a value goes before who needs it
                self._write(inside, member)
            for member in members:
                _check(member, places.of(member.change.key))

    def _lock(self, inside: DataApi, members: Sequence[Member]) -> None:
        known = {member.place.primary_key: member.place.sequence for member in members if member.place.primary_key}
        if not known:
            return
        key, table = f"`{self._entity.legacy.key}`", f"`{self._entity.legacy.table}`"
        where, values = within(key, [primary_key_value(self._entity, each) for each in sorted(known)])
        sql = (
            f"SELECT {key}, COALESCE({names.SEQUENCE_COLUMN}, -1) FROM {table} WHERE {where} ORDER BY {key} FOR UPDATE"  # noqa: S608
        )
        found = {cell_text(row[0]): int(cell_text(row[1])) for row in inside.query(sql, values)}
        if found != known:
            raise RowChangedError

    def _delete(self, inside: DataApi, members: Sequence[Member]) -> None:
        for member in members:
            taken = self._taking(member)
            inside.execute(self._sql.keep_tombstone, taken)
            if member.place.primary_key:
                inside.execute(self._sql.delete(member.place.collation), taken)

    def _free(self, inside: DataApi, members: Sequence[Member]) -> None:
        freed = {part.column: part for parts in self._indexes if (part := _freed(parts))}
        if not freed:
            return
        sets = ", ".join(f"`{column}` = :v{number}" for number, column in enumerate(freed))
        legacy = self._entity.legacy
        changed = f"`{legacy.table}` SET {sets}{keeping(inside, self._entity)} WHERE `{legacy.key}` = :pk"
        sql = f"UPDATE {STRICT} {changed}"
        for member in members:
            values = {f"v{number}": _unused(part) for number, part in enumerate(freed.values())}
            place = primary_key_value(self._entity, member.place.primary_key)
            try:
                inside.execute(sql, {**values, "pk": place})
            except PermanentError as error:
                if error.code in UNIQUE_CODES:
                    raise RowChangedError from error  # the random value is not free
                raise

    def _write(self, inside: DataApi, member: Member) -> None:
        sql = self._sql.update(member.place.collation) if member.place.primary_key else self._sql.insert
        inside.execute(sql, self._taking(member))

    def _taking(self, member: Member) -> Values:
        return self._sql.taking([self._sql.cells(member.change, member.place.primary_key)])

    @property
    def _places(self) -> Places:
        return Places(self._entity, self._database)

    @cached_property
    def _indexes(self) -> list[list[IndexedColumn]]:
        """The mapped columns of each unique index, apart from the primary key and our own."""
        place = {"database": self._entity.legacy.database, "table": self._entity.legacy.table, "own": names.KEY_COLUMN}
        rows = self._database.query(INDEXES, {name: {"stringValue": value} for name, value in place.items()})
        fields = {field.column.lower(): field.name for field in self._entity.fields.values()}
        found: dict[str, list[IndexedColumn]] = {}
        for row in rows:
            field = fields.get(cell_text(row[1]).lower())
            if field:
                found.setdefault(cell_text(row[0]), []).append(_part(field, row))
        return list(found.values())


def _check(member: Member, now: Place) -> None:
    """Raise unless Aurora has the change: the statements leave rows alone that are legacy's, or of another stream."""
    sequence = member.change.sequence
    done = not now.primary_key if member.change.kind == ChangeKind.DELETE else now.sequence == sequence
    if not done:
        raise RowChangedError


def _part(field: str, row: Row) -> IndexedColumn:
    _, column, prefix, nullable, kind, length, precision, scale, unsigned = map(cell_text, row)
    return IndexedColumn(
        field=field,
        column=column,
        prefix=int(prefix),
        nullable=nullable == "YES",
        kind=kind,
        length=int(length),
        precision=int(precision),
        scale=int(scale),
        unsigned=unsigned == "1",
    )


def _freed(parts: Sequence[IndexedColumn]) -> IndexedColumn | None:
    """The column that frees the index's values: the one with the most values besides NULL."""
    usable = [part for part in parts if part.nullable or _has_others(part)]
    return max(usable, key=lambda part: (part.nullable, part.length, part.precision), default=None)


def _has_others(part: IndexedColumn) -> bool:
    return part.kind in {*TEXTS, *BYTES, *TIMES, *WHOLE_BITS, "decimal"}


def _unused(part: IndexedColumn) -> dict[str, Any]:
    """A value that hardly any row has."""
    if part.nullable:
        return {"isNull": True}
    if part.kind in TEXTS:
        return {"stringValue": secrets.token_hex(TOKEN_LENGTH)[: min(part.length, TOKEN_LENGTH)]}
    if part.kind in BYTES:
        return {"blobValue": secrets.token_bytes(min(part.length, TOKEN_LENGTH))}
    if part.kind in TIMES:
        return {"stringValue": TIMES[part.kind] % (_drawn(1971, 2037), _drawn(1, 12), _drawn(1, 28))}
    if part.kind in WHOLE_BITS:
        highest = 2 ** (WHOLE_BITS[part.kind] - (not part.unsigned and part.kind != "bigint")) - 1
        return {"longValue": _drawn(0 if part.unsigned else -highest, highest)}
    drawn = _drawn(0, 10 ** min(part.precision, MOST_DIGITS) - 1)
    return {"stringValue": str(Decimal(drawn).scaleb(-part.scale))}


def _drawn(low: int, high: int) -> int:
    return random.SystemRandom().randint(low, high)
