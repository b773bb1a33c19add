"""Records for the smoke test, made for any mapping.

The article's names where text is asked for, else a value of the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.domain.entities import Entity, Field

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


def record(entity: Entity, words: tuple[str, ...]) -> dict[str, Any]:
    """A record with every field of the entity; text fields take the words in turn."""
    texts = [field for field in entity.fields.values() if field.type == "string"]
    return {
        name: _text(field, words[texts.index(field) % len(words)])
        if field.type == "string"
        else VALUES[field.type]
        for name, field in entity.fields.items()
    }


def _text(field: Field, word: str) -> str:
    return word[: field.max_length] if field.max_length else word
