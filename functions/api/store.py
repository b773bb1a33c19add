"""What the HTTP contract needs of a system: its records, whatever they are kept in."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from functions.domain.errors import UnmappableError
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
    """Some records, and where to go on: "" at the end.

    `unrepresentable` are the keys of records that would be on the page, but do not fit the mapping.
    """

    records: list[Record]
    after: str
    unrepresentable: list[str] = field(default_factory=list[str])


def page_of(found: Iterable[tuple[str, Callable[[], Record]]], after: str) -> Page:
    """A page of records by key, each made by a call; one that does not fit the mapping is named and hides no other."""
    records, unrepresentable = list[Record](), list[str]()
    for key, record in found:
        try:
            records.append(record())
        except UnmappableError:
            unrepresentable.append(key)
    return Page(records, after, unrepresentable)


def key_of_request(request: str) -> str:
    """The key of the record that a request creates where the client names none: one request has one key."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, request))


class Store(Protocol):
    """The records of one entity in one system.

    `request` is the token of a client's request, at most 36 characters. It is the same whenever the request is repeated
    on its way here. Without one, each call is a request of its own.
    """

    @property
    def system(self) -> str: ...

    def page(self, limit: int, after: str) -> Page:
        """At most `limit` records after the place `after`."""
        ...

    def get(self, key: str) -> Record:
        """The record of a key; NotFoundError; UnmappableError if it does not fit the mapping."""
        ...

    def create(self, key: str | None, fields: Mapping[str, Any], request: str = "") -> Record:
        """A new record; without a key the system makes one; ConflictError."""
        ...

    def replace(self, key: str, fields: Mapping[str, Any], request: str = "") -> Record:
        """Set every field; NotFoundError, ConflictError."""
        ...

    def delete(self, key: str, request: str = "") -> None:
        """Remove the record; NotFoundError."""
        ...
