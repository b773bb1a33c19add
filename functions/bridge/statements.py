"""The SQL of the bridge for one entity: how an item key, a UUID too, finds its row or becomes one.

It uses only what Aurora MySQL 3 and MariaDB share.
"""

from collections.abc import Sequence
from typing import Any

from functions.aws.data_api import Row, Values, cell_text
from functions.bridge import ownership, stream_guard
from functions.domain import mapping, names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from functions.legacy.table import is_counted_key, within

# Text compared with DECIMAL would be compared as doubles, which cannot keep two sequences apart.
SEQUENCE = "CAST(:sequence AS DECIMAL(40,0))"
TOMBSTONE_AGE = "48 HOUR"  # twice what a stream keeps
EXPIRED_AT_ONCE = 500
# Legacy's current epoch, 0 where modern is the source of truth.
EPOCH = f"SELECT legacy_stamp FROM {names.CONTROL_TABLE} WHERE entity = :entity"  # noqa: S608  # names of ours


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
        columns = [f"`{field.column}`" for field in entity.fields.values()]
        older = f"({names.SEQUENCE_COLUMN} IS NULL OR {names.SEQUENCE_COLUMN} < {SEQUENCE})"
        followed = stream_guard.follows(":stream")
        changeable = f"{older} AND {followed} AND {ownership.changeable(entity)}"
        sets = ", ".join(f"{column} = :f{i}" for i, column in enumerate(columns))
        self.update = (
            f"UPDATE {self._table} SET {sets}, {names.SEQUENCE_COLUMN} = {SEQUENCE} "  # noqa: S608  # checked names
            f"WHERE {self._key} = :pk AND {changeable}"
        )
        self._passing_over = f"WHERE {self._key} = :pk AND {older} AND {followed}"
        key = f"{self._key}, {names.KEY_COLUMN}" if self._natural else names.KEY_COLUMN
        item = ":item, :item" if self._natural else ":item"
        marks = ", ".join(f":f{i}" for i in range(len(columns)))
        self.insert = (
            f"INSERT INTO {self._table} ({', '.join(columns)}, {key}, {names.SEQUENCE_COLUMN}) "  # noqa: S608
            f"SELECT {marks}, {item}, {SEQUENCE} FROM DUAL WHERE {ownership.bridged()} AND {followed} AND NOT EXISTS ("
            f"SELECT 1 FROM {names.DELETES_TABLE} WHERE entity = :entity AND item_key = :item "
            f"AND (sequence >= {SEQUENCE} OR legacy_stamp = ({EPOCH})))"
        )
        self.delete = f"DELETE FROM {self._table} WHERE {self._key} = :pk AND {changeable}"  # noqa: S608
        self.keep_tombstone = (
            f"INSERT INTO {names.DELETES_TABLE} (entity, item_key, sequence, deleted_at) "  # noqa: S608
            f"SELECT :entity, :item, {SEQUENCE}, UTC_TIMESTAMP(6) FROM DUAL WHERE {followed} ON DUPLICATE KEY UPDATE "
            "deleted_at = VALUES(deleted_at), sequence = GREATEST(sequence, VALUES(sequence))"
        )
        self.expire_tombstones = (
            f"DELETE FROM {names.DELETES_TABLE} WHERE deleted_at < UTC_TIMESTAMP(6) - INTERVAL {TOMBSTONE_AGE} "  # noqa: S608
            f"LIMIT {EXPIRED_AT_ONCE}"
        )
        self.heartbeat = (
            f"INSERT INTO {names.HEARTBEATS_TABLE} (entity, token, sequence, applied_at) "  # noqa: S608
            f"SELECT :entity, :token, {SEQUENCE}, UTC_TIMESTAMP(6) FROM DUAL WHERE {followed} ON DUPLICATE KEY UPDATE "
            "token = IF(VALUES(sequence) > sequence, VALUES(token), token), applied_at = VALUES(applied_at), "
            "sequence = GREATEST(sequence, VALUES(sequence))"  # set from left to right, so the token first
        )

    def pass_over(self, keeping: str) -> str:
        """The UPDATE that notes a change as seen, without its content.

        Args:
            keeping: as `functions.bridge.kept_columns` says.
        """
        return f"UPDATE {self._table} SET {names.SEQUENCE_COLUMN} = {SEQUENCE}{keeping} {self._passing_over}"  # noqa: S608

    def free_key(self, keeping: str) -> str:
        """The UPDATE that frees the key of a row that modern made and that legacy has moved to another key since."""
        return (
            f"UPDATE {self._table} SET {names.KEY_COLUMN} = NULL{keeping} "  # noqa: S608  # checked names
            f"WHERE {names.KEY_COLUMN} = :item AND {names.KEY_COLUMN} <> {ownership.own_key(self._entity)}"
        )

    def rows(self, where: str) -> str:
        """The SELECT of what `looked_up` reads of some rows."""
        return self._lookup("NULL" if self._natural else names.KEY_COLUMN, where)

    def _lookup(self, key: str, where: str) -> str:
        columns = f"{names.SEQUENCE_COLUMN}, {names.EPOCH_COLUMN}, {ownership.made(self._entity)}"
        return f"SELECT {self._key}, {key}, {columns} FROM {self._table} WHERE {where}"  # noqa: S608  # checked names

    def lookups(self, keys: Sequence[str]) -> list[tuple[str, Values]]:
        """The SELECTs that find which of these keys have a row; plain reads, since locking ones would deadlock."""
        texts = [{"stringValue": key} for key in keys]
        if self._natural:
            where, values = within(self._key, texts)
            return [(self._lookup("NULL", where), values)]
        where, values = within(names.KEY_COLUMN, texts)
        found = [(self._lookup(names.KEY_COLUMN, where), values)]
        counted = [{"longValue": int(key)} for key in keys if is_counted_key(key)]
        if counted:
            where, values = within(self._key, counted)
            found.append((self._lookup("NULL", f"{where} AND {names.KEY_COLUMN} IS NULL"), values))
        return found

    def looked_up(self, row: Row) -> tuple[str, str, int, int, bool]:
        """Item key, primary key, sequence (-1: none), legacy's epoch (0: none) of a row, and whether modern made it."""
        primary_key = cell_text(row[0])
        key = primary_key if row[1].get("isNull") else cell_text(row[1])
        sequence = -1 if row[2].get("isNull") else int(cell_text(row[2]))
        epoch = 0 if row[3].get("isNull") else int(cell_text(row[3]))
        return key, primary_key, sequence, epoch, cell_text(row[4]) == "1"

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

    def update_values(self, change: Change, primary_key: str) -> Values:
        """The parameters of `update`."""
        return {**self._fields(change), **self.delete_values(change, primary_key)}

    def insert_values(self, change: Change) -> Values:
        """The parameters of `insert`."""
        return {**self._fields(change), **self.tombstone_values(change), "created": _created(change)}

    def delete_values(self, change: Change, primary_key: str) -> Values:
        """The parameters of `delete`."""
        return {**self.pass_over_values(change, primary_key), "created": _created(change)}

    def pass_over_values(self, change: Change, primary_key: str) -> Values:
        """The parameters of `pass_over`, and the first of others."""
        place = {"stringValue": primary_key} if self._natural else {"longValue": int(primary_key)}
        return {"pk": place, "sequence": _sequence(change), **self.entity_value, **self._stream}

    def tombstone_values(self, change: Change) -> Values:
        """The parameters of `keep_tombstone`."""
        return {**self.entity_value, **self._stream, "item": {"stringValue": change.key}, "sequence": _sequence(change)}

    def heartbeat_values(self, change: Change) -> Values:
        """The parameters of `heartbeat`."""
        return {
            **self.entity_value,
            **self._stream,
            "token": {"stringValue": change.token},
            "sequence": _sequence(change),
        }

    def _fields(self, change: Change) -> dict[str, dict[str, Any]]:
        if change.record is None:
            raise ValueError(f"the change of {change.key} has no record to write")
        cells = mapping.row_from_record(self._entity, change.record).values()
        return {f"f{i}": cell for i, cell in enumerate(cells)}


def _sequence(change: Change) -> dict[str, str]:
    return {"stringValue": str(change.sequence)}


def _created(change: Change) -> dict[str, str]:
    return {"stringValue": ownership.text(change.created)}
