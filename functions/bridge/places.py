"""What Aurora knows of an item's key: its row or the tombstone of its delete, and the sequence noted there."""

from dataclasses import dataclass
from typing import Any

from functions.aws.data_api import DataApi, Values, cell_text
from functions.bridge import stream_guard
from functions.bridge.kept_columns import keeping
from functions.bridge.rows import Rows
from functions.bridge.statements import SEQUENCE, Statements
from functions.domain import names
from functions.domain.entities import Entity

NONE = -1  # in place of a sequence


@dataclass(frozen=True)
class Place:
    """What Aurora knows of a key.

    Attributes:
        primary_key: of its row; empty when there is none.
        sequence: of its row; -1 for none.
        deleted: the sequence of the tombstone; -1 for none.
        epoch: the one in which legacy deleted it; 0 when it did not.
        collation: of the primary key; empty where it is a number, or where there is no row.
    """

    primary_key: str = ""
    sequence: int = NONE
    deleted: int = NONE
    epoch: int = 0
    collation: str = ""

    @property
    def highest(self) -> int:
        return max(self.sequence, self.deleted, 0)


class Places:
    """The places of one entity.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
    """

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database
        self._sql = Statements(entity)

    def of(self, key: str) -> Place:
        """What Aurora knows of a key now."""
        row = Rows(self._database, self._sql).present([key]).get(key)
        sql = (
            "SELECT sequence, COALESCE(legacy_stamp, 0) "  # noqa: S608  # names of ours
            f"FROM {names.DELETES_TABLE} WHERE entity = :entity AND item_key = :item"
        )
        tombstone = self._database.query(sql, self._item_values(key))
        deleted, epoch = (int(cell_text(cell)) for cell in tombstone[0]) if tombstone else (NONE, 0)
        if row is None:
            return Place(deleted=deleted, epoch=epoch)
        return Place(row.primary_key, row.sequence, deleted, epoch, row.collation)

    def shift(self, key: str, place: Place, stream: str, old: int, new: int) -> None:
        """Change the sequence that is noted at the row, or at the tombstone of a delete, if it is this one."""
        noted = max(old, new)
        values = {"old": {"stringValue": str(old)}, "sequence": {"stringValue": str(new)}}
        values |= {"stream": {"stringValue": stream}}
        held = f"CAST(:old AS DECIMAL(40,0)) AND {stream_guard.follows(':stream')}"
        if place.primary_key and place.sequence == noted:
            legacy, column = self._entity.legacy, names.SEQUENCE_COLUMN
            self._database.execute(
                f"UPDATE `{legacy.table}` SET {column} = {SEQUENCE}{keeping(self._database, self._entity)} "  # noqa: S608
                f"WHERE `{legacy.key}` = :pk AND {column} = {held}",
                {**values, **self._sql.entity_value, "pk": primary_key_value(self._entity, place.primary_key)},
            )
        if place.deleted == noted:
            self._database.execute(
                f"UPDATE {names.DELETES_TABLE} SET sequence = {SEQUENCE} "  # noqa: S608  # names of ours
                f"WHERE entity = :entity AND item_key = :item AND sequence = {held}",
                {**values, **self._item_values(key)},
            )

    def _item_values(self, key: str) -> Values:
        return {**self._sql.entity_value, "item": {"stringValue": key}}


def primary_key_value(entity: Entity, primary_key: str) -> dict[str, Any]:
    """The parameter's value of a row's primary key."""
    return {"stringValue": primary_key} if entity.legacy.key_type == "string" else {"longValue": int(primary_key)}
