"""The fields of a record that hold no unique value: what a foreign writer gives those that a record must have."""

from typing import Any

from functions.domain import mapping
from functions.domain.entities import Entity
from functions.domain.mapping import Record
from runbook.smoke.own import sample
from sandbox.load import Shape

WORDS = ("foreign",)  # in the text fields among them


def attributes(entity: Entity, shape: Shape) -> dict[str, Any]:
    """As attributes of an item, by name."""
    item = mapping.item_from_record(entity, _record(entity))
    return {name: item[name] for name in _names(entity, shape)}


def columns(entity: Entity, shape: Shape) -> dict[str, Any]:
    """As SQL values, by column."""
    row = mapping.row_from_record(entity, _record(entity))
    return {entity.fields[name].column: _value(row[name]) for name in _names(entity, shape)}


def _record(entity: Entity) -> Record:
    return Record("", mapping.fields_from_body(entity, sample(entity, WORDS)))


def _names(entity: Entity, shape: Shape) -> list[str]:
    return [name for name in entity.fields if name not in shape.fields]


def _value(parameter: dict[str, Any]) -> Any:
    """A value of the Data API as a driver takes it."""
    return None if "isNull" in parameter else next(iter(parameter.values()))
