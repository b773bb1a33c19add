"""Between the Data API's typed JSON and MySQL: named parameters in, typed fields and column metadata out."""

# pyright: basic
# MiniStack, uvicorn and PyMySQL's inner parts have no types that a strict check could use.
import base64
import decimal
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG

from sandbox.emulator.behaviour.data_api_traits import Trait, Traits
from sandbox.emulator.behaviour.sql_text import QUOTED

BINARY = 63  # the character set number of bytes
UNKNOWN_SCALE = 31
LONGEST_SIGNED = 2**63
ROW_LIMIT = 64 * 1024  # bytes of one row in an answer, as on AWS
ANSWER_LIMIT = 2**20  # bytes of an answer, as on AWS

# Quoted text and comments are left alone; :name outside of them is a parameter; % must be doubled for PyMySQL.
TOKENS = re.compile(rf"({QUOTED})|(?<![:\w]):([A-Za-z_]\w*)|(%)", re.DOTALL)
# MySQL's type name and JDBC's type number, as the Data API's metadata has them.
TYPE_NAMES: Mapping[int, tuple[str, int]] = {
    FIELD_TYPE.TINY: ("TINYINT", -6),
    FIELD_TYPE.SHORT: ("SMALLINT", 5),
    FIELD_TYPE.INT24: ("MEDIUMINT", 4),
    FIELD_TYPE.LONG: ("INT", 4),
    FIELD_TYPE.LONGLONG: ("BIGINT", -5),
    FIELD_TYPE.FLOAT: ("FLOAT", 7),
    FIELD_TYPE.DOUBLE: ("DOUBLE", 8),
    FIELD_TYPE.NEWDECIMAL: ("DECIMAL", 3),
    FIELD_TYPE.DATE: ("DATE", 91),
    FIELD_TYPE.TIME: ("TIME", 92),
    FIELD_TYPE.DATETIME: ("DATETIME", 93),
    FIELD_TYPE.TIMESTAMP: ("TIMESTAMP", 93),
    FIELD_TYPE.YEAR: ("YEAR", 91),
    FIELD_TYPE.BIT: ("BIT", -7),
    FIELD_TYPE.STRING: ("CHAR", 1),
    FIELD_TYPE.VAR_STRING: ("VARCHAR", 12),
    FIELD_TYPE.BLOB: ("BLOB", -4),
    FIELD_TYPE.NULL: ("NULL", 0),
}


class RefusedError(Exception):
    """The Data API itself refuses the request."""

    def __init__(self, text: str, name: str = "BadRequestException") -> None:
        super().__init__(text)
        self.name = name


def parameters(given: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """The Python values of a request's parameters."""
    return {one["name"]: _value(one.get("value", {})) for one in given or ()}


def _value(value: Mapping[str, Any]) -> Any:
    if value.get("isNull"):
        return None
    if "arrayValue" in value:
        raise RefusedError("Array parameters are not supported.", "ValidationException")
    if "blobValue" in value:
        return base64.b64decode(value["blobValue"])
    return next(iter(value.values()), None)


def statement(sql: str, names: Mapping[str, Any]) -> str:
    """The statement with PyMySQL's marks in place of `:name`."""

    def mark(found: re.Match[str]) -> str:
        if found[1]:
            return found[1].replace("%", "%%")
        if found[3]:
            return "%%"
        if found[2] not in names:
            raise RefusedError(f"Cannot find parameter: {found[2]}")
        return f"%({found[2]})s"

    return TOKENS.sub(mark, sql)


def answer(
    request: Mapping[str, Any], columns: Sequence[Any], rows: Sequence[Sequence[Any]], traits: Traits
) -> dict[str, Any]:
    """The result set of a SELECT.

    Raises:
        RefusedError: a row or the answer is larger than AWS allows.
    """
    found: dict[str, Any] = {"numberOfRecordsUpdated": 0, **generated([], traits)}
    if request.get("formatRecordsAs") == "JSON":
        found["formattedRecords"] = json.dumps(
            [{column.name: _plain(value) for column, value in zip(columns, row, strict=True)} for row in rows],
            ensure_ascii=False,
        )
    else:
        found["records"] = [_row(columns, row, traits) for row in rows]
        if request.get("includeResultMetadata"):
            found["columnMetadata"] = [_described(column) for column in columns]
    if len(json.dumps(found)) > ANSWER_LIMIT:
        raise RefusedError("Database returned more than the allowed response size limit")
    return found


def generated(fields: list[dict[str, Any]], traits: Traits) -> dict[str, Any]:
    """The part of an answer that has the keys which the database counted."""
    return {} if Trait.NO_GENERATED_FIELDS in traits else {"generatedFields": fields}


def _row(columns: Sequence[Any], row: Sequence[Any], traits: Traits) -> list[dict[str, Any]]:
    fields = [_field(value, column, traits) for value, column in zip(row, columns, strict=True)]
    if len(json.dumps(fields)) > ROW_LIMIT:
        raise RefusedError("Database returned a row larger than the allowed size limit of 64 KB")
    return fields


def _field(value: Any, column: Any, traits: Traits) -> dict[str, Any]:  # noqa: PLR0911  # one line a type
    if value is None:
        return {"isNull": True}
    if column.type_code == FIELD_TYPE.BIT and column.length == 1:
        return {"booleanValue": value != b"\x00"}
    if column.type_code == FIELD_TYPE.TINY and column.length == 1 and Trait.INTEGER_BOOLEANS not in traits:
        return {"booleanValue": bool(value)}  # AWS's driver takes TINYINT(1) for a boolean
    if isinstance(value, bytes):
        return {"blobValue": base64.b64encode(value).decode()}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, int) and value < LONGEST_SIGNED:
        return {"longValue": value}
    return {"stringValue": str(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def _described(column: Any) -> dict[str, Any]:
    name, kind = TYPE_NAMES.get(column.type_code, ("VARCHAR", 12))
    text = column.charsetnr != BINARY
    if column.type_code == FIELD_TYPE.BLOB and text:
        name, kind = "TEXT", -1
    return {
        "arrayBaseColumnType": 0,
        "isAutoIncrement": bool(column.flags & FLAG.AUTO_INCREMENT),
        "isCaseSensitive": not text,
        "isCurrency": False,
        "isSigned": not column.flags & FLAG.UNSIGNED,
        "label": _text(column.name),
        "name": _text(column.org_name) or _text(column.name),
        "nullable": 0 if column.flags & FLAG.NOT_NULL else 1,
        "precision": column.length,
        "scale": 0 if column.scale == UNKNOWN_SCALE else column.scale,
        "schemaName": _text(column.db),
        "tableName": _text(column.table_name),
        "type": kind,
        "typeName": name,
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else (value or "")
