"""Records for the smoke test, made for any mapping.

Text fields take the article's names in turn, the others a value of their type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from functions.domain.entities import Entity
from functions.domain.fields import Field
from functions.domain.mapping import Record, body_from_record, fields_from_body

FIRST = ("Alton", "Brown")
SECOND = ("Bobby", "Flay")
CHANGED = ("Roberto", "Flay")
VALUES: Mapping[str, Any] = {
    "integer": 7,
    "decimal": "0",  # fits any precision and scale
    "boolean": True,
    "datetime": "2020-02-29T12:34:56.000000Z",
    "date": "2020-02-29",
    "bytes": "c21va2U=",
    "json": {"smoke": [1, None, "é"]},
}


def body(entity: Entity, words: tuple[str, ...]) -> dict[str, Any]:
    """A request body with every field of the entity; text fields take the words in turn."""
    texts = [field.name for field in entity.fields.values() if field.type == "string"]
    turn = {name: words[number % len(words)] for number, name in enumerate(texts)}
    return {name: _value(field, turn.get(name, "")) for name, field in entity.fields.items()}


def _value(field: Field, word: str) -> Any:
    value = word if field.type == "string" else VALUES[field.type]
    return value[: field.max_length] if field.type == "string" and field.max_length else value


def answer(entity: Entity, identity: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What the API must answer for a body that was stored under `identity`."""
    fields = {name: value for name, value in sent.items() if name != "id"}
    return body_from_record(entity, Record(identity, fields_from_body(entity, fields)))
