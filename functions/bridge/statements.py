"""The SQL of the bridge for one entity: how an item key, a UUID too, finds its row or becomes one.

It uses only what Aurora MySQL 3 and MariaDB share.
"""

from collections.abc import Sequence
from typing import Any

from functions.aws.data_api import Row, Values, cell_text
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
    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self._natural = entity.legacy.key_type == "string"
        self._table = f"`{entity.legacy.table}`"
        self._key = f"`{entity.legacy.key}`"
        columns = [f"`{field.column}`" for field in entity.fields.values()]
        older = f"({names.SEQUENCE_COLUMN} IS NULL OR {names.SEQUENCE_COLUMN} < {SEQUENCE})"
        older_by_bridge = f"{older} AND ({names.EPOCH_COLUMN} IS NULL OR {names.EPOCH_COLUMN} <> ({EPOCH}))"
        sets = ", ".join(f"{column} = :f{i}" for i, column in enumerate(columns))
        self.update = (
            f"UPDATE {self._table} SET {sets}, {names.SEQUENCE_COLUMN} = {SEQUENCE} "  # noqa: S608  # checked names
            f"WHERE {self._key} = :pk AND {older_by_bridge}"
        )
        self.pass_over = (
            f"UPDATE {self._table} SET {names.SEQUENCE_COLUMN} = {SEQUENCE} "  # noqa: S608
            f"WHERE {self._key} = :pk AND {older}"
        )
        key = self._key if self._natural else names.KEY_COLUMN
        marks = ", ".join(f":f{i}" for i in range(len(columns)))
        self.insert = (
            f"INSERT INTO {self._table} ({', '.join(columns)}, {key}, {names.SEQUENCE_COLUMN}) "  # noqa: S608
            f"SELECT {marks}, :item, {SEQUENCE} FROM DUAL WHERE NOT EXISTS ("
            f"SELECT 1 FROM {names.DELETES_TABLE} WHERE entity = :entity AND item_key = :item "
            f"AND (sequence >= {SEQUENCE} OR legacy_stamp = ({EPOCH})))"
        )
        self.delete = f"DELETE FROM {self._table} WHERE {self._key} = :pk AND {older_by_bridge}"  # noqa: S608
        self.epoch = EPOCH
        self.keep_tombstone = (
            f"INSERT INTO {names.DELETES_TABLE} (entity, item_key, sequence, deleted_at) "  # noqa: S608
            f"VALUES (:entity, :item, {SEQUENCE}, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE "
            "deleted_at = VALUES(deleted_at), sequence = GREATEST(sequence, VALUES(sequence))"
        )
        self.expire_tombstones = (
            f"DELETE FROM {names.DELETES_TABLE} WHERE deleted_at < UTC_TIMESTAMP(6) - INTERVAL {TOMBSTONE_AGE} "  # noqa: S608
            f"LIMIT {EXPIRED_AT_ONCE}"
        )
        self.heartbeat = (
            f"INSERT INTO {names.HEARTBEATS_TABLE} (entity, token, sequence, applied_at) "  # noqa: S608
            f"VALUES (:entity, :token, {SEQUENCE}, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE "
            "token = IF(VALUES(sequence) > sequence, VALUES(token), token), applied_at = VALUES(applied_at), "
            "sequence = GREATEST(sequence, VALUES(sequence))"  # set from left to right, so the token first
        )

    def lookups(self, keys: Sequence[str]) -> list[tuple[str, Values]]:
        """The SELECTs that find which of these keys have a row; plain reads, since locking ones would deadlock."""
        select = f"SELECT {self._key}, {{}}, {names.SEQUENCE_COLUMN}, {names.EPOCH_COLUMN} FROM {self._table} WHERE "  # noqa: S608
        texts = [{"stringValue": key} for key in keys]
        if self._natural:
            where, values = within(self._key, texts)
            return [(select.format("NULL") + where, values)]
        where, values = within(names.KEY_COLUMN, texts)
        found = [(select.format(names.KEY_COLUMN) + where, values)]
        counted = [{"longValue": int(key)} for key in keys if is_counted_key(key)]
        if counted:
            where, values = within(self._key, counted)
            found.append((select.format("NULL") + f"{where} AND {names.KEY_COLUMN} IS NULL", values))
        return found

    def looked_up(self, row: Row) -> tuple[str, str, int, int]:
        """Item key, primary key, sequence (-1 for none) and legacy's epoch (0 for none) of a looked-up row."""
        primary_key = cell_text(row[0])
        key = primary_key if row[1].get("isNull") else cell_text(row[1])
        sequence = -1 if row[2].get("isNull") else int(cell_text(row[2]))
        return key, primary_key, sequence, 0 if row[3].get("isNull") else int(cell_text(row[3]))

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
        return {**self._fields(change), **self.tombstone_values(change)}

    def delete_values(self, change: Change, primary_key: str) -> Values:
        """The parameters of `delete`."""
        place = {"stringValue": primary_key} if self._natural else {"longValue": int(primary_key)}
        return {"pk": place, "sequence": _sequence(change), **self.entity_value}

    def tombstone_values(self, change: Change) -> Values:
        """The parameters of `keep_tombstone`."""
        return {**self.entity_value, "item": {"stringValue": change.key}, "sequence": _sequence(change)}

    def heartbeat_values(self, change: Change) -> Values:
        """The parameters of `heartbeat`."""
        return {**self.entity_value, "token": {"stringValue": change.token}, "sequence": _sequence(change)}

    def _fields(self, change: Change) -> dict[str, dict[str, Any]]:
        if change.record is None:
            raise ValueError(f"the change of {change.key} has no record to write")
        cells = mapping.row_from_record(self._entity, change.record).values()
        return {f"f{i}": cell for i, cell in enumerate(cells)}


def _sequence(change: Change) -> dict[str, str]:
    return {"stringValue": str(change.sequence)}
