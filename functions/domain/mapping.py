"""A record between its four shapes: JSON body, domain record, DynamoDB item and legacy row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from functions.domain import names, values
from functions.domain.entities import Entity
from functions.domain.errors import InvalidFieldError, UnmappableError, ValueProblemError
from functions.domain.values import Attribute, RowField

Item = Mapping[str, Attribute]
ITEM_LIMIT = 400 * 1024  # bytes; DynamoDB's own


@dataclass(frozen=True)
class Record:
    """One record: its key and the value of every mapped field. Equal records compare equal."""

    key: str
    fields: Mapping[str, Any]


def fields_from_body(entity: Entity, body: object) -> dict[str, Any]:
    """The checked fields of a POST or PUT body; what is missing takes its default.

    Raises:
        InvalidFieldError: naming the bad field.
    """
    if not isinstance(body, dict):
        raise InvalidFieldError("body", "expected a JSON object")
    given = cast("dict[str, Any]", body)
    for name in given:
        if name not in entity.fields:
            raise InvalidFieldError(name, f"is not a field of {entity.name}; it has {', '.join(entity.fields)}")
    return {name: _from_body(entity, name, given) for name in entity.fields}


def _from_body(entity: Entity, name: str, given: Mapping[str, Any]) -> Any:
    field = entity.fields[name]
    try:
        value = values.from_json(field, given[name]) if name in given else field.default
    except ValueProblemError as problem:
        raise InvalidFieldError(name, str(problem)) from problem
    if value is None and _is_missing(field, given):
        raise InvalidFieldError(name, "is required")
    return value


def _is_missing(field: values.Field, given: Mapping[str, Any]) -> bool:
    """Whether null breaks the field's rule: it is required, and null is no value of it or was not given."""
    return field.required and not (field.null_is_a_value and field.name in given)


def body_from_record(entity: Entity, record: Record) -> dict[str, Any]:
    """What a client gets: the key as `id`, then every field."""
    return {
        "id": record.key,
        **{name: values.to_json(field, record.fields[name]) for name, field in entity.fields.items()},
    }


def record_from_item(entity: Entity, item: Item, *, limited: bool = True) -> Record:
    """The record of an item; an absent attribute means the field's default, unmapped attributes are left out.

    Args:
        item: in DynamoDB's typed form.
        limited: whether lengths, digits and required fields are checked; a reader shows what is there without.

    Raises:
        UnmappableError: an attribute does not fit its field, or a required one is missing.
    """
    key = key_of_item(entity, item)
    fields: dict[str, Any] = {}
    for name, field in entity.fields.items():
        try:
            value = field.default
            if name in item:
                value = values.from_attribute(field, item[name], limited=limited)
        except ValueProblemError as problem:
            raise UnmappableError(name, f"{problem}, in the item {key!r}") from problem
        if value is None and limited and _is_missing(field, item):
            raise UnmappableError(name, f"is required and missing, in the item {key!r}")
        fields[name] = value
    return Record(key, fields)


def key_of_item(entity: Entity, item: Item) -> str:
    """The partition key of an item.

    Raises:
        UnmappableError: the key is missing or not a string.
    """
    key = item.get(entity.modern.key, {}).get("S")
    if not isinstance(key, str):
        raise UnmappableError(entity.modern.key, "expected a string key")
    return key


def key_problem(entity: Entity, key: str) -> str:
    """Why a record with this key cannot be kept in both systems; empty when it can."""
    if not usable_key(key):
        return f"expected text of 1 to {names.KEY_BYTES} bytes"
    if entity.legacy.key_fixed and key.endswith(" "):
        return "expected no space at the end, which its column drops"
    return ""


def usable_key(key: str) -> bool:
    """Whether both systems can hold a key: 1 to 255 bytes of valid Unicode."""
    try:
        return 1 <= len(key.encode()) <= names.KEY_BYTES
    except UnicodeEncodeError:
        return False


def item_from_record(entity: Entity, record: Record) -> dict[str, dict[str, Any]]:
    """The item of a record in DynamoDB's typed form; null is written out, since absence means the default."""
    return {
        entity.modern.key: {"S": record.key},
        **{name: values.to_attribute(field, record.fields[name]) for name, field in entity.fields.items()},
    }


def record_from_row(entity: Entity, key: str, cells: Mapping[str, RowField]) -> Record:
    """The record of a legacy row, given its cells by field name.

    Raises:
        UnmappableError: a column holds what its field cannot be.
    """
    fields: dict[str, Any] = {}
    for name, field in entity.fields.items():
        try:
            fields[name] = values.from_row(field, cells[name])
        except ValueProblemError as problem:
            raise UnmappableError(name, str(problem)) from problem
    return Record(key, fields)


def check_limits(entity: Entity, record: Record) -> Record:
    """The same record of a row, if each value is within its field's limits, as those of an item must be.

    Raises:
        UnmappableError: one is not, or a required one is NULL.
    """
    for name, field in entity.fields.items():
        value = record.fields[name]
        try:
            values.from_json(field, value)
        except ValueProblemError as problem:
            raise UnmappableError(name, f"column {field.column}: {problem}") from problem
        if value is None and _is_missing(field, record.fields):
            raise UnmappableError(name, f"column {field.column}: expected a value, since it is required, got NULL")
    return record


def row_from_record(entity: Entity, record: Record) -> dict[str, dict[str, Any]]:
    """The Data API's parameter values of a record, by field name."""
    return {name: values.to_row(field, record.fields[name]) for name, field in entity.fields.items()}


def item_size(item: Item) -> int:
    """The size of an item in bytes, by DynamoDB's published rules."""
    return sum(len(name.encode()) + _attribute_size(attribute) for name, attribute in item.items())


def _attribute_size(attribute: Attribute) -> int:
    kind, value = next(iter(attribute.items()))
    if kind == "S":
        return len(value.encode())
    if kind == "B":
        return len(value)
    if kind == "N":
        return len(value) // 2 + 2
    if kind == "L":
        return 3 + sum(1 + _attribute_size(each) for each in value)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _attribute_size(each) for name, each in value.items())
    return 1
