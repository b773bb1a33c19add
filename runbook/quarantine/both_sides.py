"""One record on both sides, field by field, as the operator may see it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain import values
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError, ValueProblemError
from functions.domain.mapping import Record
from functions.domain.masking import MASKED
from functions.domain.values import Field

ABSENT = "(none)"


@dataclass(frozen=True, kw_only=True)
class FieldPair:
    """A field on both sides.

    Attributes:
        legacy: what a client would see; "(none)" without a row, the problem if the row is unreadable.
        modern: the same of the item; an attribute that does not fit its field is shown in DynamoDB's typed form.
    """

    field: str
    legacy: Any
    modern: Any
    same: bool


def pairs(entity: Entity, item: Mapping[str, Any] | None, row: Record | UnmappableError | None) -> list[FieldPair]:
    """Every mapped field; one that is masked shows whether both sides are the same, and no value."""
    found: list[FieldPair] = []
    for name, field in entity.fields.items():
        legacy, modern = _of_row(field, row), _of_item(field, item)
        same = legacy == modern
        if field.masked:
            legacy, modern = (value if value == ABSENT else MASKED for value in (legacy, modern))
        found.append(FieldPair(field=name, legacy=legacy, modern=modern, same=same))
    return found


def _of_row(field: Field, row: Record | UnmappableError | None) -> Any:
    if row is None:
        return ABSENT
    if isinstance(row, UnmappableError):
        return f"(unreadable: {row})"
    return values.to_json(field, row.fields[field.name])


def _of_item(field: Field, item: Mapping[str, Any] | None) -> Any:
    if item is None:
        return ABSENT
    if field.name not in item:
        return values.to_json(field, field.default)
    try:
        return values.to_json(field, values.from_attribute(field, item[field.name], limited=False))
    except ValueProblemError:
        return json.loads(json.dumps(item[field.name], default=_encoded))


def _encoded(value: Any) -> str | list[Any]:
    """Bytes as base64, a set as a list."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else sorted(value)
