"""What a stream batch says, as changes; coalesced so that each key has one, its last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from functions.domain import mapping, names, origin
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError
from functions.domain.origin import Idle


class ChangeKind(StrEnum):
    """What became of the record.

    `COPIED` is a delete by copy, `WRITTEN` an item that copy wrote: both come after legacy, so that there is nothing to
    apply.
    """

    UPSERT = "upsert"
    DELETE = "delete"
    COPIED = "copied"
    WRITTEN = "written"
    HEARTBEAT = "heartbeat"


BESIDE = frozenset({ChangeKind.HEARTBEAT, ChangeKind.COPIED, ChangeKind.WRITTEN})  # they replace no change of modern


@dataclass(frozen=True, kw_only=True)
class Change:
    """The last thing that happened to a key.

    Attributes:
        sequence: the stream's sequence number; compares within one stream only.
        record: the record as it is now; None for a delete, or when it does not fit the mapping.
        token: of a heartbeat.
        problem: why the item does not fit the mapping; empty when it does.
        created: when it was made, rounded down to the second; None where the stream does not say.
    """

    key: str
    sequence: int
    kind: ChangeKind
    record: mapping.Record | None = None
    token: str = ""
    problem: str = ""
    created: datetime | None = None


def from_stream(entity: Entity, records: Iterable[Mapping[str, Any]], idle: Idle | None = None) -> list[Change]:
    """The changes of a stream event's `Records`, in order, one per key: the one with the highest sequence.

    Heartbeats, and what copy did, stand beside what modern wrote, and do not replace it.

    Args:
        entity: whose stream it is.
        records: of the event.
        idle: when copy wrote nothing.
    """
    last: dict[tuple[ChangeKind | None, str], Change] = {}
    for change in each_from_stream(entity, records, idle):
        last[change.kind if change.kind in BESIDE else None, change.key] = change
    return sorted(last.values(), key=lambda change: change.sequence)


def each_from_stream(entity: Entity, records: Iterable[Mapping[str, Any]], idle: Idle | None = None) -> list[Change]:
    """Every change of a stream event's `Records`, in order; one that is there twice once."""
    found = (_change(entity, record, idle) for record in records)
    every = {(change.key, change.sequence): change for change in found if change is not None}
    return sorted(every.values(), key=lambda change: change.sequence)


def in_rounds(changes: Iterable[Change]) -> list[list[Change]]:
    """Changes, in order, so that a round has one of a key at most: the first of each key, then the second."""
    rounds: list[list[Change]] = []
    counts: dict[str, int] = {}
    for change in changes:
        number = counts[change.key] = counts.get(change.key, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(change)
    return rounds


def of_item(entity: Entity, key: str, sequence: int, item: Mapping[str, Any] | None) -> Change:
    """The change that brings a row to what an item is now, copy or another writer; a delete where there is none."""
    if item is None:
        return Change(key=key, sequence=sequence, kind=ChangeKind.DELETE)
    return _heartbeat(key, sequence, item) or _upsert(entity, key, sequence, item)


def _change(entity: Entity, record: Mapping[str, Any], idle: Idle | None) -> Change | None:
    data: Mapping[str, Any] = record["dynamodb"]
    sequence, key = int(data["SequenceNumber"]), mapping.key_of_item(entity, data["Keys"])
    image: Mapping[str, Any] = data.get("NewImage") or {}
    if names.HEARTBEAT_ATTRIBUTE in (image or data.get("OldImage") or {}):
        return _heartbeat(key, sequence, image)
    copied, created = origin.by_copy(key, record, idle), origin.created(record)
    if record["eventName"] == "REMOVE":
        kind = ChangeKind.COPIED if copied else ChangeKind.DELETE
        return Change(key=key, sequence=sequence, kind=kind, created=created)
    if copied:
        return Change(key=key, sequence=sequence, kind=ChangeKind.WRITTEN, created=created)
    return replace(_upsert(entity, key, sequence, image), created=created)


def _heartbeat(key: str, sequence: int, image: Mapping[str, Any]) -> Change | None:
    """None when it was removed, or is a watermark, which only the runbook reads."""
    token = str(image.get(names.HEARTBEAT_ATTRIBUTE, {}).get("S", ""))
    if not token or key != names.HEARTBEAT_KEY:
        return None
    return Change(key=key, sequence=sequence, kind=ChangeKind.HEARTBEAT, token=token)


def _upsert(entity: Entity, key: str, sequence: int, image: Mapping[str, Any]) -> Change:
    try:
        record = mapping.record_from_item(entity, image)
    except UnmappableError as error:
        return Change(key=key, sequence=sequence, kind=ChangeKind.UPSERT, problem=str(error))
    return Change(key=key, sequence=sequence, kind=ChangeKind.UPSERT, record=record)
