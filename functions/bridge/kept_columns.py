"""Columns with ON UPDATE CURRENT_TIMESTAMP, in an UPDATE of ours that changes nothing of the record.

MySQL sets such a column to the present time unless the statement sets it. Copy would then bring that time to the item.
"""

from functions.aws.data_api import DataApi, cell_text
from functions.domain.entities import Entity

ON_UPDATE = (
    "SELECT column_name FROM information_schema.columns "
    "WHERE table_schema = :database AND table_name = :table AND LOWER(extra) LIKE '%on update%'"
)


def keeping(database: DataApi, entity: Entity) -> str:
    """What follows the last value that the UPDATE sets: each such column is set to itself. Empty where none is."""
    place = {"database": entity.legacy.database, "table": entity.legacy.table}
    rows = database.query(ON_UPDATE, {name: {"stringValue": value} for name, value in place.items()})
    columns = (f"`{entity.legacy.table}`.`{cell_text(row[0])}`" for row in rows)
    return "".join(f", {column} = {column}" for column in columns)
