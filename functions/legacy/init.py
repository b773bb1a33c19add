"""GET /aurora: makes the legacy databases and tables of entities.toml where they are missing. Safe to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api import http_api
from functions.aws import environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
from functions.domain.entities import Entity
from functions.domain.values import Field

TYPES = {"boolean": "TINYINT(1)", "date": "DATE", "json": "JSON"}
INTEGERS = {8: "TINYINT", 16: "SMALLINT", 24: "MEDIUMINT", 32: "INT", 64: "BIGINT"}  # by bits
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
    if field.type == "integer":
        return INTEGERS[field.bits] + (" UNSIGNED" if field.unsigned else "")
    if field.type == "datetime":
        return f"DATETIME({field.fraction})"
    if field.type in TYPES:
        return TYPES[field.type]
    if field.fixed:
        return f"{'CHAR' if field.type == 'string' else 'BINARY'}({field.max_length})"
    short, long = ("VARCHAR", "MEDIUMTEXT") if field.type == "string" else ("VARBINARY", "MEDIUMBLOB")
    fits = field.max_length is not None and field.max_length <= WIDEST
    return f"{short}({field.max_length})" if fits else long


logger = Logger()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers 200 with the entities that are ready, as API Gateway's proxy integration wants it."""
    return http_api.guarded(_initialise)


def _initialise() -> dict[str, Any]:
    entities = environment.mapping()
    for entity in entities.values():
        for statement in statements(entity):
            environment.database().execute(statement)
    return {"initialised": list(entities)}
