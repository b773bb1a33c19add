"""The resource types that the engine can make, and what a handler for one looks like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sandbox.engine.aws import Aws
from sandbox.engine.shape import AutoName, seen
from sandbox.engine.state import Record

TYPES: dict[str, type[Handler]] = {}


@dataclass(frozen=True)
class Made:
    """What creating a resource gave: its id, and the outputs that its inputs do not already say."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Handler(ABC):
    """Makes, changes and deletes the resources of one type. Register with `handles`.

    Class attributes, set by `handles`:
        token: the Pulumi type.
        properties: every input that this handler acts on or that means nothing to an emulator; another is an error.
        updates: those that can change in place. A change of any other replaces the resource.
        autoname: how to name it when the program does not.
        delete_first: its id is its place, so that a successor needs the place free.
        part_of: the input that names the resource it is a part of, and goes with; such a one is also `delete_first`.
        holds_data: `reset` makes it anew.
    """

    token: ClassVar[str]
    properties: ClassVar[frozenset[str]]
    updates: ClassVar[frozenset[str]]
    autoname: ClassVar[AutoName | None]
    delete_first: ClassVar[bool]
    part_of: ClassVar[str]
    holds_data: ClassVar[bool]

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    @abstractmethod
    def create(self, inputs: Mapping[str, Any]) -> Made:
        """Make the resource."""

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        """Change it in place and return the outputs that are new; `record` holds the inputs until now."""
        raise NotImplementedError(f"{self.token} has nothing that changes in place ({record.id}, {inputs}, {changed})")

    def observed(self, record: Record) -> Mapping[str, Any]:
        """What is there of the inputs, in their form; what the service does not keep is left out."""
        del record
        return {}

    def has(self, record: Record) -> bool:
        """Whether a part that the service answers for as a whole is still in it."""
        del record
        return True

    def refresh(self, record: Record) -> None:
        """Bring the record's inputs, as far as the program gave them, and its outputs to what is there."""
        for name, found in self.observed(record).items():
            if name in record.inputs and found is not None:
                record.inputs[name] = seen(record.inputs[name], found)

    def release(self, record: Record) -> None:  # noqa: B027  # most have nothing to lift
        """Lift what stands in the way of deleting it; only `reset` does that."""

    @abstractmethod
    def delete(self, record: Record) -> None:
        """Delete it; one that is gone already is an error of the service, which the engine forgives."""


def handles(  # noqa: PLR0913  # each says one thing about the type
    token: str,
    *,
    properties: str,
    updates: str = "",
    name: AutoName | None = None,
    delete_first: bool = False,
    part_of: str = "",
    holds_data: bool = False,
) -> Callable[[type[Handler]], type[Handler]]:
    """Register the class as the handler of a Pulumi type.

    Args:
        token: such as "aws:dynamodb/table:Table".
        properties: the known inputs, separated by spaces; "tags" among them can always change in place.
        updates: those that `update` can change.
        name: the property that is named automatically.
        delete_first: replace by deleting first.
        part_of: the input that names what it is a part of.
        holds_data: `reset` replaces it.
    """

    def register(cls: type[Handler]) -> type[Handler]:
        cls.token = token
        cls.updates = frozenset(updates.split())
        cls.properties = frozenset(properties.split()) | cls.updates
        cls.autoname = name
        cls.delete_first = delete_first or bool(part_of)
        cls.part_of = part_of
        cls.holds_data = holds_data
        TYPES[token] = cls
        return cls

    return register
