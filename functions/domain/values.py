"""One value between its four shapes: the API's JSON, the domain's Python, an attribute, a column.

The domain's shapes: str, int, Decimal (normalised), bool, datetime and date as canonical text, bytes, and for
`json` any JSON value whose numbers are canonical. None is null in all of them. Equal records compare equal.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, cast

from functions.domain import documents, moments
from functions.domain.errors import ValueProblemError, check_unicode, shown

TYPES = ("string", "integer", "decimal", "boolean", "datetime", "date", "bytes", "json")
DECIMAL_DIGITS, DECIMAL_SCALE, MOST_DIGITS = 38, 10, 38  # DynamoDB keeps 38 significant digits
LONGEST_BITS = 64  # of a BIGINT
REFUSE, NULL, HALF_UP = "refuse", "null", "half_up"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a record: its JSON and item name, its column, its type and its limits.

    `fixed` is of a CHAR, which drops spaces at the end, and of a BINARY, which adds zero bytes. `choices` are the texts
    that a string may be; empty for any. `bits` and `unsigned` say which whole numbers an integer has; a decimal may be
    `unsigned`, too. `fraction` is how many digits of a second a datetime has, `rounding` what becomes of more: an
    error, or rounded half up. A `timestamp` has only the times that a TIMESTAMP holds. `zero_date` says what a zero
    date of the column means: an error of its record, or null. `json_null` says the same of a JSON null in a column that
    may also be NULL.
    """

    name: str
    column: str
    type: str
    required: bool = False
    default: Any = None
    max_length: int | None = None
    fixed: bool = False
    choices: tuple[str, ...] = ()
    precision: int = DECIMAL_DIGITS
    scale: int = DECIMAL_SCALE
    bits: int = LONGEST_BITS
    unsigned: bool = False
    fraction: int = moments.MICROSECONDS
    timestamp: bool = False
    rounding: str = REFUSE
    zero_date: str = REFUSE
    json_null: str = REFUSE
    masked: bool = False

    @property
    def whole_numbers(self) -> tuple[int, int]:
        """The lowest and the highest of an integer."""
        return (0, 2**self.bits - 1) if self.unsigned else (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1)

    @property
    def null_is_a_value(self) -> bool:
        """Whether null is the JSON document null, in a column that is never NULL."""
        return self.type == "json" and self.required


Attribute = Mapping[str, Any]  # DynamoDB's typed form, e.g. {"S": "Alton"}
RowField = Mapping[str, Any]  # the Data API's typed form, e.g. {"stringValue": "Alton"}

HIGHEST_LONG = 2**63 - 1  # of the Data API's longValue
WIDEST_BITS = 120  # of any integer; DynamoDB keeps 38 digits
MOST_EXPONENT = 128  # of a decimal; beyond it nothing fits 38 digits
WIDEST = 2 * MOST_EXPONENT  # digits of any decimal


@dataclass(frozen=True)
class Codec:
    """The conversions of a type; none of them sees None. `from_json` also checks and canonicalises."""

    from_json: Callable[[Field, Any], Any]
    to_json: Callable[[Any], Any]
    to_attribute: Callable[[Any], dict[str, Any]]
    from_attribute: Callable[[Attribute], Any]
    to_row: Callable[[Any], dict[str, Any]]
    from_row: Callable[[Field, RowField], Any]


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
    checked = field if limited else _unlimited(field)
    try:
        return codec.from_json(checked, codec.from_attribute(attribute))
    except (KeyError, TypeError, binascii.Error) as error:
        kind = next(iter(attribute), "nothing")
        raise ValueProblemError(f"expected an attribute for {field.type}, got DynamoDB type {kind}") from error


def _unlimited(field: Field) -> Field:
    """The same field without its limits; what it rounds is still rounded."""
    fraction = field.fraction if field.rounding == HALF_UP else moments.MICROSECONDS
    digits: dict[str, Any] = {"precision": 2 * WIDEST, "scale": WIDEST, "fraction": fraction}
    texts: dict[str, Any] = {"max_length": None, "fixed": False, "choices": ()}
    return replace(field, bits=WIDEST_BITS, unsigned=False, timestamp=False, **digits, **texts)


def to_row(field: Field, value: Any) -> dict[str, Any]:
    """The Data API's parameter value for a domain value."""
    if value is None and not field.null_is_a_value:
        return {"isNull": True}
    return CODECS[field.type].to_row(value)


def from_row(field: Field, cell: RowField) -> Any:
    """The domain value of a column.

    Raises:
        ValueProblemError: the column holds what the field's type cannot be; names the column and the value.
    """
    if cell.get("isNull"):
        if field.null_is_a_value:
            raise ValueProblemError(f"column {field.column}: expected a JSON document, got NULL")
        return None
    try:
        return CODECS[field.type].from_row(field, cell)
    except ValueProblemError as problem:
        raise ValueProblemError(f"column {field.column}: {problem}") from problem
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        value = shown(next(iter(cell.values())))
        raise ValueProblemError(f"column {field.column}: expected a value for {field.type}, got {value}") from error


def same(field: Field, one: Any, other: Any) -> bool:
    """Whether two domain values are one. As Python values, the JSON documents true and 1 would be equal."""
    return one == other and to_attribute(field, one) == to_attribute(field, other)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueProblemError(f"expected a string, got {shown(value)}")
    check_unicode(value)
    _check_length(field, len(value), "characters")
    if field.fixed and value.endswith(" "):
        raise ValueProblemError(f"expected no space at the end, which its column drops, got {shown(value)}")
    if field.choices and value not in field.choices:
        raise ValueProblemError(f"expected one of {', '.join(field.choices)}, got {shown(value)}")
    return value


def _check_length(field: Field, length: int, unit: str) -> None:
    if field.max_length is not None and length > field.max_length:
        raise ValueProblemError(f"expected at most {field.max_length} {unit}, got {length}")


def _integer(field: Field, value: Any) -> int:
    lowest, highest = field.whole_numbers
    number = value
    if isinstance(value, Decimal) and lowest <= value <= highest and value == value.to_integral_value():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, (int, Decimal)):
        raise ValueProblemError(f"expected a whole number, got {shown(value)}")
    if not isinstance(number, int) or not lowest <= number <= highest:
        raise ValueProblemError(f"expected a whole number from {lowest} to {highest}, got {shown(value)}")
    return number


def _decimal(field: Field, value: Any) -> Decimal:
    number = _parsed_decimal(value)
    plain = canonical(number)
    exponent = cast("int", plain.as_tuple().exponent)
    if -exponent > field.scale:
        raise ValueProblemError(f"expected at most {field.scale} digits after the point")
    if number and plain.adjusted() + 1 > field.precision - field.scale:
        raise ValueProblemError(f"expected at most {field.precision - field.scale} digits before the point")
    if field.unsigned and plain < 0:
        raise ValueProblemError(f"expected no negative number, got {shown(value)}")
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


def _datetime(field: Field, value: Any) -> str:
    found = moments.instant(value, field.fraction, rounds=field.rounding == HALF_UP)
    if field.timestamp and not moments.is_timestamp(found):
        first, last = moments.FIRST_TIMESTAMP, moments.LAST_TIMESTAMP
        raise ValueProblemError(f"expected a time from {first}Z to {last}Z, got {shown(value)}")
    return found


def _bytes(field: Field, value: Any) -> bytes:
    if isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except ValueError as error:
            raise ValueProblemError("expected base64") from error
    if not isinstance(value, bytes):
        raise ValueProblemError(f"expected base64 text, got {shown(value)}")
    _check_length(field, len(value), "bytes")
    if field.fixed and len(value) != field.max_length:
        raise ValueProblemError(f"expected exactly {field.max_length} bytes, got {len(value)}")
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


def _cell_integer(cell: RowField) -> int:
    return int(_cell_text(cell))


def _cell_decimal(cell: RowField) -> Decimal:
    number = canonical(Decimal(_cell_text(cell)))
    if len(number.as_tuple().digits) > MOST_DIGITS:
        raise ValueProblemError(f"expected at most {MOST_DIGITS} digits, got {shown(number)}")
    return number


def _cell_boolean(cell: RowField) -> bool:
    text = _cell_text(cell)
    if text not in ("0", "1"):
        raise ValueProblemError(f"expected 0 or 1, got {shown(text)}")
    return text == "1"


def _cell_datetime(field: Field, cell: RowField) -> str | None:
    text = _cell_text(cell)
    return None if _is_null(field, text) else moments.instant_of_column(text, field.fraction)


def _cell_date(field: Field, cell: RowField) -> str | None:
    text = _cell_text(cell)
    return None if _is_null(field, text) else moments.day(text)


def _is_null(field: Field, text: str) -> bool:
    return field.zero_date == NULL and moments.is_zero(text)


def _cell_document(field: Field, cell: RowField) -> Any:
    document = documents.loaded(_cell_text(cell))
    if document is None and not field.null_is_a_value and field.json_null != NULL:
        raise ValueProblemError("expected NULL, or a document other than a JSON null, got 'null'")
    return document


def _same(value: Any) -> Any:
    return value


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _integer_cell(value: int) -> dict[str, Any]:
    """As text past 2^63, which a longValue cannot be."""
    return {"longValue": value} if value <= HIGHEST_LONG else {"stringValue": str(value)}


def _string_attribute(value: str) -> dict[str, Any]:
    return {"S": value}


def _string_cell(value: str) -> dict[str, Any]:
    return {"stringValue": value}


CODECS: Mapping[str, Codec] = {
    "string": Codec(_text, _same, _string_attribute, lambda a: a["S"], _string_cell, lambda _, c: _cell_text(c)),
    "integer": Codec(
        _integer,
        _same,
        lambda v: {"N": str(v)},
        lambda a: Decimal(a["N"]),
        _integer_cell,
        lambda _, c: _cell_integer(c),
    ),
    "decimal": Codec(
        _decimal,
        _plain,
        lambda v: {"N": _plain(v)},
        lambda a: Decimal(a["N"]),
        lambda v: {"stringValue": _plain(v)},
        lambda _, c: _cell_decimal(c),
    ),
    "boolean": Codec(
        _boolean,
        _same,
        lambda v: {"BOOL": v},
        lambda a: a["BOOL"],
        lambda v: {"longValue": int(v)},
        lambda _, c: _cell_boolean(c),
    ),
    "datetime": Codec(
        _datetime,
        _same,
        _string_attribute,
        lambda a: a["S"],
        lambda v: {"stringValue": moments.to_column(v)},
        _cell_datetime,
    ),
    "date": Codec(lambda _, v: moments.day(v), _same, _string_attribute, lambda a: a["S"], _string_cell, _cell_date),
    "bytes": Codec(
        _bytes,
        lambda v: base64.b64encode(v).decode(),
        lambda v: {"B": v},
        lambda a: _blob(a["B"]),
        lambda v: {"blobValue": v},
        lambda _, c: _cell_bytes(c),
    ),
    "json": Codec(
        lambda _, v: documents.canonical(v),
        _same,
        documents.to_attribute,
        documents.from_attribute,
        lambda v: {"stringValue": documents.dumped(v)},
        _cell_document,
    ),
}
