"""The SQL of the bridge for one entity: how an item key, a UUID too, finds its row or becomes one.

A statement takes all its changes at once, as rows of one parameter (`functions.aws.json_rows`). It uses only what
Aurora MySQL 3 and MariaDB share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.aws import json_rows
from functions.aws.data_api import Row, Values, cell_text
from functions.aws.json_rows import Cells
from functions.bridge import ownership, stream_guard
from functions.domain import mapping, names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from functions.domain.values import Field
from functions.legacy.table import is_counted_key, key_as_bytes, within

# Text compared with DECIMAL would be compared as doubles, which cannot keep two sequences apart.
SEQUENCE = "CAST(:sequence AS DECIMAL(40,0))"
OF_ROW = f"CAST({json_rows.cell('sequence')} AS DECIMAL(40,0))"
ITEM = json_rows.binary("item_key")
TOMBSTONE_AGE = "48 HOUR"  # twice what a stream keeps
EXPIRED_AT_ONCE = 500
# Legacy's current epoch, 0 where modern is the source of truth.
EPOCH = f"SELECT legacy_stamp FROM {names.CONTROL_TABLE} WHERE entity = :entity"  # noqa: S608  # names of ours
# Whatever mode the server has, MySQL refuses a value that does not fit. MariaDB reads it as a comment.
STRICT = "/*+ SET_VAR(sql_mode = 'STRICT_TRANS_TABLES') */"
MARKS = ("item_key", "sequence", "created", "primary_key")  # the columns of every change, before its values


@dataclass(frozen=True)
class Present:
    """A row that exists.

    Attributes:
        primary_key: its cell's value.
        sequence: -1 for none.
        epoch: in which legacy last wrote it; 0 for none.
        made: whether modern made it.
        collation: of the primary key; empty where it is a number.
    """

    primary_key: str
    sequence: int
    epoch: int
    made: bool
    collation: str


class Statements:
    """The statements of one entity.

    Args:
        stream: whose sequences they carry. When Aurora knows another one, they change nothing (docs/adr/0009); without
            it only the lookups are of use.
    """

    def __init__(self, entity: Entity, stream: str = "") -> None:
        self._entity = entity
        self._stream = {"stream": {"stringValue": stream}}
        self._natural = entity.legacy.key_type == "string"
        self._table = f"`{entity.legacy.table}`"
        self._key = f"`{entity.legacy.key}`"
        self._marks = json_rows.source(MARKS)
        self._records = json_rows.source([*MARKS, *(f"f{i}" for i in range(len(entity.fields)))])
        self._values = [_value(field, f"f{i}") for i, field in enumerate(entity.fields.values())]
        self._followed = stream_guard.follows(":stream")
        self._changeable = self._older("<")
        self.insert = self._insert()
        self.keep_tombstone = (
            f"INSERT INTO {names.DELETES_TABLE} (entity, item_key, sequence, deleted_at) "  # noqa: S608
            f"SELECT :entity, {ITEM}, {OF_ROW}, UTC_TIMESTAMP(6) FROM {self._marks} WHERE {self._followed} "
            f"ON DUPLICATE KEY UPDATE deleted_at = VALUES(deleted_at), "
            f"sequence = GREATEST({names.DELETES_TABLE}.sequence, VALUES(sequence))"
        )
        self.expire_tombstones = (
            f"DELETE FROM {names.DELETES_TABLE} WHERE deleted_at < UTC_TIMESTAMP(6) - INTERVAL {TOMBSTONE_AGE} "  # noqa: S608
            f"LIMIT {EXPIRED_AT_ONCE}"
        )
        self.heartbeat = (
            f"INSERT INTO {names.HEARTBEATS_TABLE} (entity, token, sequence, applied_at) "  # noqa: S608
            f"SELECT :entity, :token, {SEQUENCE}, UTC_TIMESTAMP(6) FROM DUAL WHERE {self._followed} "
            "ON DUPLICATE KEY UPDATE "
            "token = IF(VALUES(sequence) > sequence, VALUES(token), token), applied_at = VALUES(applied_at), "
            "sequence = GREATEST(sequence, VALUES(sequence))"  # set from left to right, so the token first
        )

    def _older(self, than: str) -> str:
        older = f"({names.SEQUENCE_COLUMN} IS NULL OR {names.SEQUENCE_COLUMN} {than} {OF_ROW})"
        return f"{older} AND {self._followed} AND {ownership.changeable(self._entity, json_rows.cell('created'))}"

    def _insert(self) -> str:
        """A COUNT, since NOT EXISTS may become a join that reads, and so locks, every tombstone."""
        columns = [f"`{field.column}`" for field in self._entity.fields.values()]
        key = f"{self._key}, {names.KEY_COLUMN}" if self._natural else names.KEY_COLUMN
        item = f"{json_rows.cell('item_key')}, {ITEM}" if self._natural else ITEM
        return (
            f"INSERT {STRICT} INTO {self._table} ({', '.join(columns)}, {key}, {names.SEQUENCE_COLUMN}) "  # noqa: S608
            f"SELECT {', '.join(self._values)}, {item}, {OF_ROW} FROM {self._records} "
            f"WHERE {ownership.bridged(json_rows.cell('created'))} AND {self._followed} AND ("
            f"SELECT COUNT(*) FROM {names.DELETES_TABLE} d WHERE d.entity = :entity AND d.item_key = {ITEM} "
            f"AND (d.sequence >= {OF_ROW} OR d.legacy_stamp = ({EPOCH}))) = 0"
        )

    def update(self, collation: str) -> str:
        """The UPDATE of rows that are there.

        Args:
            collation: of their primary key, as a lookup found it; so do the other methods.
        """
        return self._update(collation, self._changeable)

    def complete(self, collation: str) -> str:
        """The UPDATE of rows that legacy's own function has written under the same sequence."""
        return self._update(collation, self._older("<="))

    def _update(self, collation: str, condition: str) -> str:
        columns = [f"{self._table}.`{field.column}`" for field in self._entity.fields.values()]
        sets = ", ".join(f"{column} = {value}" for column, value in zip(columns, self._values, strict=True))
        return (
            f"UPDATE {STRICT} {self._by_primary_key('primary_key', collation, self._records)} SET {sets}, "  # noqa: S608
            f"{names.SEQUENCE_COLUMN} = {OF_ROW} WHERE {condition}"
        )

    def delete(self, collation: str) -> str:
        """The DELETE of rows that are there."""
        rows = self._by_primary_key("primary_key", collation)
        return f"DELETE {self._table} FROM {rows} WHERE {self._changeable}"

    def pass_over(self, keeping: str) -> str:
        """The UPDATE that notes one change as seen, without its content.

        It joins nothing: MariaDB then would refuse a column with a zero date that is set to itself.

        Args:
            keeping: as `functions.bridge.kept_columns` says.
        """
        older = f"({names.SEQUENCE_COLUMN} IS NULL OR {names.SEQUENCE_COLUMN} < {SEQUENCE})"
        return (
            f"UPDATE {self._table} SET {names.SEQUENCE_COLUMN} = {SEQUENCE}{keeping} "  # noqa: S608  # checked names
            f"WHERE {self._key} = :pk AND {older} AND {self._followed}"
        )

    def _by_primary_key(self, column: str, collation: str = "", changes: str = "") -> str:
        """Changes with their rows, found by the primary key alone: a scan of the table would lock all of it."""
        key = f"{self._table}.{self._key}"
        if not collation:
            place = f"CAST({json_rows.cell(column)} AS SIGNED)"
        else:  # a collation may take two keys for one, such as those that differ in spaces at the end
            exact = f"{key_as_bytes(self._entity)} = {json_rows.binary(column)}"
            place = f"{json_rows.collated(column, collation)} AND {exact}"
        return f"{changes or self._marks} STRAIGHT_JOIN {self._table} FORCE INDEX (PRIMARY) ON {key} = {place}"

    def free_key(self, keeping: str) -> str:
        """The UPDATE that frees the key of a row that modern made and that legacy has moved to another key since."""
        return (
            f"UPDATE {self._table} SET {names.KEY_COLUMN} = NULL{keeping} "  # noqa: S608  # checked names
            f"WHERE {names.KEY_COLUMN} = :item AND {names.KEY_COLUMN} <> {key_as_bytes(self._entity)}"
        )

    def moved(self, keys: Sequence[str]) -> tuple[str, Values]:
        """The SELECT of those item keys that a row has which legacy has moved to another key since."""
        where, values = within(names.KEY_COLUMN, [{"stringValue": key} for key in keys])
        key = names.KEY_COLUMN
        return f"SELECT {key} FROM {self._table} WHERE {where} AND {key} <> {key_as_bytes(self._entity)}", values  # noqa: S608

    def rows(self, where: str) -> str:
        """The SELECT of what `looked_up` reads of some rows."""
        return f"SELECT {self._known} FROM {self._table} WHERE {where}"  # noqa: S608  # checked names

    def lookups(self, keys: Sequence[str]) -> list[tuple[str, Values]]:
        """The SELECTs that find which of these keys have a row; plain reads, since locking ones would deadlock."""
        if self._natural:
            where, values = within(self._key, [{"stringValue": key} for key in keys])
            return [(self.rows(where), values)]
        by_key = (
            f"{self._marks} STRAIGHT_JOIN {self._table} FORCE INDEX ({names.KEY_COLUMN}) ON {names.KEY_COLUMN} = {ITEM}"
        )
        places = [(by_key, json_rows.parameter([[key] for key in keys]))]
        numbers = [[key] for key in keys if is_counted_key(key)]
        if numbers:
            by_number = f"{self._by_primary_key('item_key')} AND {names.KEY_COLUMN} IS NULL"
            places.append((by_number, json_rows.parameter(numbers)))
        return [(f"SELECT {self._known} FROM {place}", values) for place, values in places]  # noqa: S608  # checked names

    def standing(self, marks: Sequence[Cells], collation: str) -> tuple[str, Values]:
        """The SELECT of how many changes have their row, and how many of these rows are behind their change."""
        behind = f"COALESCE(SUM(COALESCE({names.SEQUENCE_COLUMN}, -1) < {OF_ROW}), 0)"
        rows = self._by_primary_key("primary_key", collation)
        return f"SELECT COUNT(*), {behind} FROM {rows}", json_rows.parameter(marks)  # noqa: S608  # checked names

    @property
    def _known(self) -> str:
        """What a lookup answers of a row: one text, since an answer's cells cost more than what is in them."""
        key = "''" if self._natural else f"HEX(COALESCE({names.KEY_COLUMN}, ''))"
        marks = (
            f"COALESCE({names.SEQUENCE_COLUMN}, -1), COALESCE({names.EPOCH_COLUMN}, 0), {ownership.made(self._entity)}"
        )
        primary_key = f"{self._table}.{self._key}"
        collation = f"COLLATION({primary_key})" if self._natural else "''"
        return f"CONCAT_WS(' ', {marks}, {collation}, {key}, {primary_key})"

    def looked_up(self, row: Row) -> tuple[str, Present]:
        """The item key of a row, and what is known of it."""
        sequence, epoch, made, collation, key, primary_key = cell_text(row[0]).split(" ", 5)
        found = Present(primary_key, int(sequence), int(epoch), made == "1", collation)
        return bytes.fromhex(key).decode() if key else primary_key, found

    def tombstones(self, keys: Sequence[str], epoch: int) -> tuple[str, Values]:
        """The SELECT of keys that legacy deleted in an epoch, with the sequence that each showed then."""
        where, values = within("item_key", [{"stringValue": key} for key in keys])
        sql = (
            f"SELECT item_key, sequence FROM {names.DELETES_TABLE} "  # noqa: S608
            f"WHERE entity = :entity AND legacy_stamp = {int(epoch)} AND {where}"
        )
        return sql, {**values, **self.entity_value}

    @property
    def entity_value(self) -> Values:
        """The parameter `:entity`."""
        return {"entity": {"stringValue": self._entity.name}}

    def cells(self, change: Change, primary_key: str = "") -> Cells:
        """A change as one row of what a statement takes: its marks, then its values, if it has any."""
        marks = [change.key, str(change.sequence), ownership.text(change.created), primary_key]
        if change.record is None:
            return marks
        values = mapping.row_from_record(self._entity, change.record).values()
        return [*marks, *map(json_rows.written, values)]

    def marks_of(self, cells: Cells) -> Cells:
        """The same row without its values."""
        return cells[: len(MARKS)]

    def taking(self, rows: Sequence[Cells]) -> Values:
        """The parameters of a statement that takes changes."""
        return {**json_rows.parameter(rows), **self.entity_value, **self._stream}

    def pass_over_values(self, change: Change, primary_key: str) -> Values:
        """The parameters of `pass_over`."""
        place = {"stringValue": primary_key} if self._natural else {"longValue": int(primary_key)}
        return {"pk": place, "sequence": {"stringValue": str(change.sequence)}, **self.entity_value, **self._stream}

    def heartbeat_values(self, change: Change) -> Values:
        """The parameters of `heartbeat`."""
        return {
            **self.entity_value,
            **self._stream,
            "token": {"stringValue": change.token},
            "sequence": {"stringValue": str(change.sequence)},
        }


def _value(field: Field, column: str) -> str:
    """What a column is set to; its cell is written by `json_rows.written`."""
    if field.type == "bytes":
        return json_rows.decoded(column)
    if field.type in {"boolean", "integer"}:
        return json_rows.whole_number(column)
    return json_rows.cell(column)
