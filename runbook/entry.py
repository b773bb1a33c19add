"""An entry of the quarantine: one key whose change the bridge could not apply, wherever it is parked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.domain.entities import Entity

MASKED = "'***'"
# What MySQL quotes, and what the mapping says it got, which may be cut short within its quotes.
QUOTED = re.compile(
    r"(?<=\bgot )(?!DynamoDB type).*?(?=, in the item|$)"
    r"|'(?:[^'\\]|\\.)*'"
    r'|"(?:[^"\\]|\\.)*"',
    re.DOTALL,
)


class Kind(StrEnum):
    """What is parked."""

    UPSERT = "upsert"
    DELETE = "delete"
    PROBE = "probe"
    EMPTY = "empty"  # an object that holds nothing that is not settled
    UNREADABLE = "unreadable"  # an object that is no invocation record


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key in quarantine.

    Attributes:
        key: the item's; of an object without a key, the object's own.
        reason: the newest, with the values of masked fields left out.
        code: MySQL's error number; 0 for none.
        sequence: the highest of the newest stream; 0 where none is known.
        stream: the ARN of the stream it belongs to; empty where none is known.
        at: when it was parked last, in UTC; empty where nobody noted it.
        objects: the failure objects it is in.
        noted: its record's `quarantined_at` and `sequence` in the table as they were read; None when it is not there.
    """

    entity: str
    key: str
    kind: Kind
    reason: str
    code: int
    sequence: int
    stream: str
    at: str
    objects: tuple[str, ...] = ()
    noted: tuple[str | None, str | None] | None = None


def without_masked(entity: Entity, reason: str) -> str:
    """A reason without what it quotes, where the entity has fields that are not to be shown.

    Column and field names stay, since they tell where to look.
    """
    if not any(field.masked for field in entity.fields.values()):
        return reason
    known = {f"'{name}'" for field in entity.fields.values() for name in (field.name, field.column)}
    return QUOTED.sub(lambda found: found[0] if found[0] in known else MASKED, reason)


def merged(one: Entry, other: Entry) -> Entry:
    """Two entries of a key as one: the newer with the places of both."""
    old, new = sorted((one, other), key=lambda entry: (entry.at, entry.sequence))
    sequence = max(old.sequence, new.sequence) if old.stream == new.stream else new.sequence
    return replace(
        new, sequence=sequence, objects=(*one.objects, *other.objects), noted=one.noted or other.noted
    )


def instant(text: str) -> str:
    """A moment in one spelling, so that moments sort; empty when it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
