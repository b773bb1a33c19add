"""Whether a legacy table is what entities.toml says, before anything is changed."""

import json
import re
from dataclasses import dataclass, replace

from functions.aws.data_api import DataApi, Row, cell_text
from functions.domain import mapping, moments, names
from functions.domain.entities import Entity
from functions.domain.values import MOST_DIGITS, NULL, Field

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}  # bits
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
MEASURED_IN_BYTES = frozenset({"tinytext", "text", "mediumtext", "longtext"})
FIXED = frozenset({"char", "binary"})  # they drop or add what is at the end of a value
FITTING = {
    "string": TEXTS | {"enum"},
    "integer": frozenset(INTEGERS),
    "decimal": frozenset({"decimal"}),
    "boolean": frozenset({"tinyint", "bit"}),
    "datetime": frozenset({"datetime", "timestamp"}),
    "date": frozenset({"date"}),
    "bytes": frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}),
    "json": frozenset({"json", "longtext"}),  # MariaDB's JSON is LONGTEXT
}

MEMBER = re.compile(r"'((?:[^']|'')*)'")  # of an ENUM's type


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    `length` is in characters or bytes, `width` the most bytes of a character, `choices` the members of an ENUM.
    """

    name: str
    kind: str
    length: int
    width: int
    choices: tuple[str, ...]
    precision: int
    scale: int
    fraction: int
    unsigned: bool
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
    if key.kind == "char" and not entity.legacy.key_fixed:
        return [f"{path}: {key.name} is a CHAR, which drops spaces at the end; write key_fixed = true"]
    return []


def _field_problems(path: str, field: Field, column: Column | None) -> list[str]:
    if column is None:
        return [f"{path}.column: there is no column {field.column}"]
    if column.kind not in FITTING[field.type]:
        return [f"{path}.type: {field.type} does not fit column {column.name}, which is {column.kind}"]
    found = _text_problems(path, field, column) if field.type in ("string", "bytes") else []
    if field.type == "decimal" and (
        field.scale > column.scale or field.precision - field.scale > column.precision - column.scale
    ):
        digits = min(column.precision, MOST_DIGITS)
        write = f"precision = {digits}, scale = {min(column.scale, digits)}"
        wide = f"DECIMAL({column.precision},{column.scale})"
        found.append(f"{path}.precision: column {column.name} is {wide}; write {write}")
    if field.type == "decimal" and column.unsigned and not field.unsigned:
        found.append(f"{path}.unsigned: column {column.name} is UNSIGNED; write unsigned = true")
    if field.type == "integer":
        found += _integer_problems(path, field, column)
    if field.type == "datetime" and column.fraction < field.fraction:
        keeps = f"column {column.name} keeps {column.fraction} digits of a second"
        found.append(f"{path}.fraction: {keeps}; write fraction = {column.fraction}")
    if column.kind == "timestamp" and field.type == "datetime" and not field.timestamp:
        ends = f"from {moments.FIRST_TIMESTAMP} to {moments.LAST_TIMESTAMP}"
        found.append(f"{path}.timestamp: column {column.name} is a TIMESTAMP, {ends}; write timestamp = true")
    if not column.nullable and field.zero_date == NULL:
        found.append(f"{path}.zero_date: column {column.name} is NOT NULL, so that null cannot be written to it")
    elif not column.nullable and not field.required:
        found.append(f"{path}.required: column {column.name} is NOT NULL; write required = true")
    return found


def _text_problems(path: str, field: Field, column: Column) -> list[str]:
    """What the column cannot hold, or would change.

    A TEXT is measured in bytes, so that it holds fewer characters. None needs to hold more than an item.
    """
    wanted, name = field.max_length or mapping.ITEM_LIMIT, f"column {column.name}"
    if column.kind == "enum":
        write = json.dumps(column.choices, ensure_ascii=False)
        wrong = not field.choices or not set(field.choices) <= set(column.choices)
        return [f"{path}.choices: {name} is an ENUM; write choices = {write}, or fewer of them"] if wrong else []
    if column.kind in FIXED and not field.fixed:
        changes = "drops spaces at the end" if column.kind == "char" else "adds zero bytes at the end"
        write = f"fixed = true, max_length = {column.length}"
        return [f"{path}.fixed: {name} is {column.kind.upper()}({column.length}), which {changes}; write {write}"]
    if column.kind == "binary" and wanted != column.length:
        return [f"{path}.max_length: {name} is BINARY({column.length}); write max_length = {column.length}"]
    held = column.length
    if column.kind in MEASURED_IN_BYTES:
        held, wanted = held // column.width, min(wanted, mapping.ITEM_LIMIT)
    if wanted <= held:
        return []
    longer = f"{field.max_length} is more than {name} holds" if field.max_length else f"{name} holds no longer value"
    return [f"{path}.max_length: {longer}; write max_length = {held}"]


def _integer_problems(path: str, field: Field, column: Column) -> list[str]:
    fitting = replace(field, bits=INTEGERS[column.kind], unsigned=column.unsigned)
    (lowest, highest), (least, most) = field.whole_numbers, fitting.whole_numbers
    if least <= lowest and highest <= most:
        return []
    kind = f"{column.kind.upper()}{' UNSIGNED' if column.unsigned else ''}"
    setting = f"bits = {fitting.bits}, unsigned = {str(column.unsigned).lower()}"
    return [f"{path}.bits: column {column.name} is {kind}, from {least} to {most}; write {setting}"]


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
        "SELECT c.column_name, c.data_type, COALESCE(c.character_maximum_length, 0), COALESCE(s.maxlen, 1), "
        "c.column_type, COALESCE(c.numeric_precision, 0), COALESCE(c.numeric_scale, 0), "
        "COALESCE(c.datetime_precision, 0), c.is_nullable, "
        "c.column_default IS NOT NULL OR c.extra LIKE '%GENERATED%', c.column_key, c.extra "
        "FROM information_schema.columns c "
        "LEFT JOIN information_schema.character_sets s ON s.character_set_name = c.character_set_name "
        "WHERE c.table_schema = :database AND c.table_name = :table"
    )
    place = {"database": entity.legacy.database, "table": entity.legacy.table}
    rows = server.query(sql, {name: {"stringValue": value} for name, value in place.items()})
    return {column.name.lower(): column for column in map(_column, rows)}


def _column(row: Row) -> Column:
    name, kind, length, width, full, precision, scale, fraction, nullable, default, key, extra = map(cell_text, row)
    members = MEMBER.findall(full) if kind.lower() == "enum" else []
    return Column(
        name=name,
        kind=kind.lower(),
        length=int(length),
        width=int(width),
        choices=tuple(member.replace("''", "'") for member in members),
        precision=int(precision),
        scale=int(scale),
        fraction=int(fraction),
        unsigned="unsigned" in full.lower(),
        nullable=nullable == "YES",
        has_default=default not in ("0", "False"),
        primary=key == "PRI",
        counted="auto_increment" in extra.lower(),
    )
