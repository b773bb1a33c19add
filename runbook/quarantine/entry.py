"""An entry of the quarantine: one key whose change the bridge could not apply, in the table, the bucket or both."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from functions.aws.quarantine import Version


class EntryKind(StrEnum):
    UPSERT = "upsert"
    DELETE = "delete"
    HEARTBEAT = "heartbeat"
    EMPTY = "empty"  # an object with no record left to resolve
    UNREADABLE = "unreadable"  # an object that is no invocation record


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key in quarantine.

    Attributes:
        key: the item's; of an object without a key, the object's own.
        reason: the newest, without the values of masked fields.
        code: MySQL's error number; 0 for none.
        sequence: the highest of the newest stream; 0 where none is known.
        stream: the ARN of the stream it belongs to; empty where none is known.
        at: when it was quarantined last, in UTC; empty where that is unknown.
        objects: the objects of the failure bucket that it is in.
        noted: its record's version in the table as it was read; None when it is not there.
    """

    entity: str
    key: str
    kind: EntryKind
    reason: str = ""
    code: int = 0
    sequence: int = 0
    stream: str = ""
    at: str = ""
    objects: tuple[str, ...] = ()
    noted: Version | None = None


def merged(one: Entry, other: Entry) -> Entry:
    """Two entries of a key as one: the newer with the places of both."""
    old, new = sorted((one, other), key=lambda entry: (entry.at, entry.sequence))
    sequence = max(old.sequence, new.sequence) if old.stream == new.stream else new.sequence
    return replace(new, sequence=sequence, objects=(*one.objects, *other.objects), noted=one.noted or other.noted)


def instant(text: str) -> str:
    """A moment in one spelling, so that moments sort; empty when it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
