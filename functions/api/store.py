"""What the HTTP contract needs of a system: its records, whatever they are kept in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from functions.domain.mapping import Record


class NotFoundError(Exception):
    """There is no record of that key."""


class ConflictError(Exception):
    """The key, or a value that must be unique, exists already."""


class TooLargeError(Exception):
    """The record is larger than a DynamoDB item can be."""


class UnavailableError(Exception):
    """The system cannot answer now.

    Attributes:
        retry_after: seconds after which it is worth asking again.
        fenced: writes are held while the source of truth changes; nothing was written.
        maybe_written: whether a write may have happened all the same.
    """

    def __init__(self, retry_after: int = 1, *, fenced: bool = False, maybe_written: bool = False) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.fenced = fenced
        self.maybe_written = maybe_written


@dataclass(frozen=True)
class Page:
    """Some records, and where to go on: "" at the end."""

    records: list[Record]
    after: str


class Store(Protocol):
    """The records of one entity in one system."""

    @property
    def system(self) -> str: ...

    def page(self, limit: int, after: str) -> Page:
        """At most `limit` records after the place `after`."""
        ...

    def get(self, key: str) -> Record:
        """The record of a key; NotFoundError."""
        ...

    def create(self, key: str | None, fields: Mapping[str, Any]) -> Record:
        """A new record; without a key the system makes one; ConflictError."""
        ...

    def replace(self, key: str, fields: Mapping[str, Any]) -> Record:
        """Set every field; NotFoundError, ConflictError."""
        ...

    def delete(self, key: str) -> None:
        """Remove the record; NotFoundError."""
        ...
