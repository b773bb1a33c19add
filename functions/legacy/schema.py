"""The legacy tables as entities.toml describes them, for systems that begin empty."""

from functions.domain.entities import Entity
from functions.domain.fields import Field

TYPES = {
    "integer": "BIGINT",
    "boolean": "TINYINT(1)",
    "datetime": "DATETIME(6)",
    "date": "DATE",
    "json": "JSON",
}
WIDEST = 4096  # characters or bytes of a VARCHAR or VARBINARY; longer ones become TEXT or BLOB
KEYS = {
    "integer": "BIGINT NOT NULL AUTO_INCREMENT",
    "string": "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
}


def statements(entity: Entity) -> list[str]:
    """What makes an entity's database and table where they are missing; a table that is there stays as it is."""
    legacy = entity.legacy
    columns = ", ".join(
        f"`{field.column}` {column_type(field)} {'NOT NULL' if field.required else 'NULL'}"
        for field in entity.fields.values()
    )
    table = (
        f"CREATE TABLE IF NOT EXISTS `{legacy.database}`.`{legacy.table}` "
        f"(`{legacy.key}` {KEYS[legacy.key_type]} PRIMARY KEY, {columns}) CHARACTER SET utf8mb4"
    )
    return [f"CREATE DATABASE IF NOT EXISTS `{legacy.database}` CHARACTER SET utf8mb4", table]


def column_type(field: Field) -> str:
    if field.type == "decimal":
        return f"DECIMAL({field.precision}, {field.scale})"
    if field.type in TYPES:
        return TYPES[field.type]
    short, long = ("VARCHAR", "MEDIUMTEXT") if field.type == "string" else ("VARBINARY", "MEDIUMBLOB")
    fits = field.max_length is not None and field.max_length <= WIDEST
    return f"{short}({field.max_length})" if fits else long
