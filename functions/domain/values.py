"""One value between its four shapes: the API's JSON, the domain's Python, an attribute, a column.

The domain's shapes: str, int, Decimal (normalised), bool, datetime and date as canonical text, bytes, and for
`json` any JSON value whose numbers are canonical. None is null in all of them. Equal records compare equal.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, cast

from functions.domain import documents
from functions.domain.errors import ValueProblemError, check_unicode, shown

TYPES = ("string", "integer", "decimal", "boolean", "datetime", "date", "bytes", "json")
DECIMAL_DIGITS, DECIMAL_SCALE, MOST_DIGITS = 38, 10, 38  # DynamoDB keeps 38 significant digits


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a record: its JSON and item name, its column, its type and its limits."""

    name: str
    column: str
    type: str
    required: bool = False
    default: Any = None
    max_length: int | None = None
    precision: int = DECIMAL_DIGITS
    scale: int = DECIMAL_SCALE
    masked: bool = False


Attribute = Mapping[str, Any]  # DynamoDB's typed form, e.g. {"S": "Alton"}
RowField = Mapping[str, Any]  # the Data API's typed form, e.g. {"stringValue": "Alton"}

LOWEST, HIGHEST = -(2**63), 2**63 - 1
MOST_EXPONENT = 128  # of a decimal; beyond it nothing fits 38 digits
WIDEST = 2 * MOST_EXPONENT  # digits of any decimal
FIRST_YEAR = 1000  # DATETIME and DATE begin there


@dataclass(frozen=True)
class Codec:
    """The conversions of a type; none of them sees None. `from_json` also checks and canonicalises."""

    from_json: Callable[[Field, Any], Any]
    to_json: Callable[[Any], Any]
    to_attribute: Callable[[Any], dict[str, Any]]
    from_attribute: Callable[[Attribute], Any]
    to_row: Callable[[Any], dict[str, Any]]
    from_row: Callable[[RowField], Any]


def from_json(field: Field, value: Any) -> Any:
    """The domain value of what a client sent.

    Raises:
        ValueProblemError: it does not fit the field.
    """
    if value is None:
        return None
    return CODECS[field.type].from_json(field, value)


def to_json(field: Field, value: Any) -> Any:
    """What a client gets for a domain value."""
    return None if value is None else CODECS[field.type].to_json(value)


def to_attribute(field: Field, value: Any) -> dict[str, Any]:
    """The item's attribute for a domain value, in DynamoDB's typed form."""
    return {"NULL": True} if value is None else CODECS[field.type].to_attribute(value)


def from_attribute(field: Field, attribute: Attribute, *, limited: bool = True) -> Any:
    """The domain value of an item's attribute, checked like a client's; its size only when `limited`.

    Raises:
        ValueProblemError: the attribute has another type, or does not fit the field.
    """
    if attribute.get("NULL"):
        return None
    codec = CODECS[field.type]
    checked = field if limited else replace(field, max_length=None, precision=2 * WIDEST, scale=WIDEST)
    try:
        return codec.from_json(checked, codec.from_attribute(attribute))
    except (KeyError, TypeError, binascii.Error) as error:
        kind = next(iter(attribute), "nothing")
        raise ValueProblemError(f"expected an attribute for {field.type}, got DynamoDB type {kind}") from error


def to_row(field: Field, value: Any) -> dict[str, Any]:
    """The Data API's parameter value for a domain value."""
    return {"isNull": True} if value is None else CODECS[field.type].to_row(value)


def from_row(field: Field, cell: RowField) -> Any:
    """The domain value of a column.

    Raises:
        ValueProblemError: the column holds what the field's type cannot be.
    """
    if cell.get("isNull"):
        return None
    try:
        return CODECS[field.type].from_row(cell)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueProblemError(f"column {field.column} does not hold a {field.type}") from error


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueProblemError(f"expected a string, got {shown(value)}")
    check_unicode(value)
    _check_length(field, len(value), "characters")
    return value


def _check_length(field: Field, length: int, unit: str) -> None:
    if field.max_length is not None and length > field.max_length:
        raise ValueProblemError(f"expected at most {field.max_length} {unit}, got {length}")


def _integer(_: Field, value: Any) -> int:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueProblemError(f"expected a whole number, got {shown(value)}")
    if not LOWEST <= value <= HIGHEST:
        raise ValueProblemError(f"expected a whole number from {LOWEST} to {HIGHEST}")
    return value


def _decimal(field: Field, value: Any) -> Decimal:
    number = _parsed_decimal(value)
    plain = canonical(number)
    exponent = cast("int", plain.as_tuple().exponent)
    if -exponent > field.scale:
        raise ValueProblemError(f"expected at most {field.scale} digits after the point")
    if number and plain.adjusted() + 1 > field.precision - field.scale:
        raise ValueProblemError(f"expected at most {field.precision - field.scale} digits before the point")
    return plain


def _parsed_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueProblemError(f"expected a decimal number, got {shown(value)}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise ValueProblemError(f"expected a decimal number, got {shown(value)}") from error
    if not number.is_finite() or abs(number.adjusted()) > 2 * MOST_EXPONENT:
        raise ValueProblemError(f"expected a decimal number of usual size, got {shown(value)}")
    return number


def canonical(number: Decimal) -> Decimal:
    """A decimal without trailing zeros and without a negative zero, exactly."""
    with localcontext() as context:
        context.prec = 4 * MOST_EXPONENT
        plain = number.normalize()
    return plain or Decimal(0)


def _boolean(_: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueProblemError(f"expected true or false, got {shown(value)}")
    return value


def _datetime(_: Field, value: Any) -> str:
    try:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueProblemError(f"expected an offset such as Z or +02:00, got {shown(value)}")
        moment = moment.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ValueProblemError):
            raise
        raise ValueProblemError(f"expected an ISO 8601 time, got {shown(value)}") from error
    return _instant(moment)


def _instant(moment: dt.datetime) -> str:
    if moment.year < FIRST_YEAR:
        raise ValueProblemError(f"expected a year from {FIRST_YEAR} on")
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _date(_: Field, value: Any) -> str:
    try:
        day = dt.date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueProblemError(f"expected a date such as 2026-01-31, got {shown(value)}") from error
    if day.year < FIRST_YEAR:
        raise ValueProblemError(f"expected a year from {FIRST_YEAR} on")
    return day.isoformat()


def _bytes(field: Field, value: Any) -> bytes:
    if isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except ValueError as error:
            raise ValueProblemError("expected base64") from error
    if not isinstance(value, bytes):
        raise ValueProblemError(f"expected base64 text, got {shown(value)}")
    _check_length(field, len(value), "bytes")
    return value


def _blob(value: Any) -> bytes:
    return base64.b64decode(value) if isinstance(value, str) else bytes(value)


def _cell_text(cell: RowField) -> str:
    if "blobValue" in cell:
        return _blob(cell["blobValue"]).decode()
    value = next(iter(cell.values()))
    return value if isinstance(value, str) else repr(value)


def _cell_bytes(cell: RowField) -> bytes:
    return _blob(cell["blobValue"]) if "blobValue" in cell else cell["stringValue"].encode()


def _cell_boolean(cell: RowField) -> bool:
    value = next(iter(cell.values()))
    if isinstance(value, (bytes, bytearray)):
        return any(value)
    return bool(int(value))


def _cell_datetime(cell: RowField) -> str:
    return _instant(dt.datetime.fromisoformat(cell["stringValue"].rstrip("Z")).replace(tzinfo=dt.UTC))


def _date_of(text: str) -> str:
    return dt.date.fromisoformat(text[:10]).isoformat()


def _same(value: Any) -> Any:
    return value


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _string_attribute(value: str) -> dict[str, Any]:
    return {"S": value}


def _string_cell(value: str) -> dict[str, Any]:
    return {"stringValue": value}


CODECS: Mapping[str, Codec] = {
    "string": Codec(_text, _same, _string_attribute, lambda a: a["S"], _string_cell, _cell_text),
    "integer": Codec(
        _integer,
        _same,
        lambda v: {"N": str(v)},
        lambda a: Decimal(a["N"]),
        lambda v: {"longValue": v},
        lambda c: int(next(iter(c.values()))),  # AWS's driver takes TINYINT(1) for a boolean
    ),
    "decimal": Codec(
        _decimal,
        _plain,
        lambda v: {"N": _plain(v)},
        lambda a: Decimal(a["N"]),
        lambda v: {"stringValue": _plain(v)},
        lambda c: canonical(Decimal(_cell_text(c))),
    ),
    "boolean": Codec(
        _boolean, _same, lambda v: {"BOOL": v}, lambda a: a["BOOL"], lambda v: {"longValue": int(v)}, _cell_boolean
    ),
    "datetime": Codec(
        _datetime,
        _same,
        _string_attribute,
        lambda a: a["S"],
        lambda v: {"stringValue": v.rstrip("Z").replace("T", " ")},
        _cell_datetime,
    ),
    "date": Codec(
        _date, _same, _string_attribute, lambda a: a["S"], _string_cell, lambda c: _date_of(c["stringValue"])
    ),
    "bytes": Codec(
        _bytes,
        lambda v: base64.b64encode(v).decode(),
        lambda v: {"B": v},
        lambda a: _blob(a["B"]),
        lambda v: {"blobValue": v},
        _cell_bytes,
    ),
    "json": Codec(
        lambda _, v: documents.canonical(v),
        _same,
        documents.to_attribute,
        documents.from_attribute,
        lambda v: {"stringValue": documents.dumped(v)},
        lambda c: documents.loaded(_cell_text(c)),
    ),
}
