"""Whether a legacy table is what entities.toml says, before anything is changed."""

from dataclasses import dataclass

from functions.aws.data_api import DataApi, Row, cell_text
from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.values import Field

INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
FITTING = {
    "string": TEXTS | {"enum"},
    "integer": INTEGERS,
    "decimal": frozenset({"decimal"}),
    "boolean": frozenset({"tinyint", "bit"}),
    "datetime": frozenset({"datetime", "timestamp"}),
    "date": frozenset({"date"}),
    "bytes": frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}),
    "json": frozenset({"json", "longtext"}),  # MariaDB's JSON is LONGTEXT
}
MICROSECONDS = 6  # digits


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    kind: str
    length: int
    precision: int
    scale: int
    fraction: int
    nullable: bool
    has_default: bool
    primary: bool
    counted: bool


def problems(server: DataApi, entity: Entity) -> list[str]:
    """Every difference, each beginning with its key in entities.toml; none for a table that fits."""
    columns = _columns(server, entity)
    legacy = entity.legacy
    if not columns:
        return [f"{entity.name}.legacy.table: there is no table {legacy.database}.{legacy.table}"]
    found = _key_problems(entity, columns)
    for field in entity.fields.values():
        found += _field_problems(f"{entity.name}.fields.{field.name}", field, columns.get(field.column.lower()))
    return found + _unmapped_problems(entity, columns)


def _key_problems(entity: Entity, columns: dict[str, Column]) -> list[str]:
    path, key = f"{entity.name}.legacy.key", columns.get(entity.legacy.key.lower())
    if key is None:
        return [f"{path}: there is no column {entity.legacy.key}"]
    if not key.primary or sum(column.primary for column in columns.values()) > 1:
        return [f"{path}: {key.name} must be the whole primary key"]
    if entity.legacy.key_type == "integer" and not (key.kind in INTEGERS and key.counted):
        return [f"{path}: key_type integer expects an AUTO_INCREMENT column, {key.name} is none"]
    if entity.legacy.key_type == "string" and key.kind not in TEXTS | FITTING["bytes"]:
        return [f"{path}: key_type string expects text, {key.name} is {key.kind}"]
    return []


def _field_problems(path: str, field: Field, column: Column | None) -> list[str]:
    if column is None:
        return [f"{path}.column: there is no column {field.column}"]
    if column.kind not in FITTING[field.type]:
        return [f"{path}.type: {field.type} does not fit column {column.name}, which is {column.kind}"]
    found: list[str] = []
    if field.type in ("string", "bytes") and field.max_length and 0 < column.length < field.max_length:
        found.append(f"{path}.max_length: {field.max_length} is more than column {column.name} holds, {column.length}")
    if field.type == "decimal" and (
        field.scale > column.scale or field.precision - field.scale > column.precision - column.scale
    ):
        wide = f"DECIMAL({column.precision},{column.scale})"
        found.append(f"{path}.precision: column {column.name} is {wide}; set precision and scale to fit it")
    if field.type == "datetime" and column.fraction < MICROSECONDS:
        found.append(f"{path}.type: column {column.name} keeps {column.fraction} digits of a second, expected 6")
    if not column.nullable and not field.required:
        found.append(f"{path}.required: column {column.name} is NOT NULL; say required = true")
    return found


def _unmapped_problems(entity: Entity, columns: dict[str, Column]) -> list[str]:
    mapped = {field.column.lower() for field in entity.fields.values()} | {entity.legacy.key.lower()}
    return [
        f"{entity.name}.fields: column {column.name} is NOT NULL without a default and has no field"
        for name, column in columns.items()
        if name not in mapped
        and not name.startswith(names.RESERVED_PREFIX)
        and not column.nullable
        and not column.has_default
    ]


def _columns(server: DataApi, entity: Entity) -> dict[str, Column]:
    sql = (
        "SELECT column_name, data_type, COALESCE(character_maximum_length, 0), COALESCE(numeric_precision, 0), "
        "COALESCE(numeric_scale, 0), COALESCE(datetime_precision, 0), is_nullable, "
        "column_default IS NOT NULL OR extra LIKE '%GENERATED%', column_key, extra "
        "FROM information_schema.columns WHERE table_schema = :database AND table_name = :table"
    )
    place = {"database": entity.legacy.database, "table": entity.legacy.table}
    rows = server.query(sql, {name: {"stringValue": value} for name, value in place.items()})
    return {column.name.lower(): column for column in map(_column, rows)}


def _column(row: Row) -> Column:
    name, kind, length, precision, scale, fraction, nullable, default, key, extra = map(cell_text, row)
    return Column(
        name=name,
        kind=kind.lower(),
        length=int(length),
        precision=int(precision),
        scale=int(scale),
        fraction=int(fraction),
        nullable=nullable == "YES",
        has_default=default not in ("0", "False"),
        primary=key == "PRI",
        counted="auto_increment" in extra.lower(),
    )
