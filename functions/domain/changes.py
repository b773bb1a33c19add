"""What a stream batch says, as changes; coalesced so that each key has one, its last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError


class ChangeKind(StrEnum):
    """What became of the record; `COPIED` is a delete by copy, after legacy, so that there is nothing to apply."""

    UPSERT = "upsert"
    DELETE = "delete"
    COPIED = "copied"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, kw_only=True)
class Change:
    """The last thing that happened to a key.

    Attributes:
        sequence: the stream's sequence number; compares within one stream only.
        record: the record as it is now; None for a delete, or when it does not fit the mapping.
        token: of a heartbeat.
        problem: why the item does not fit the mapping; empty when it does.
    """

    key: str
    sequence: int
    kind: ChangeKind
    record: mapping.Record | None = None
    token: str = ""
    problem: str = ""


def from_stream(entity: Entity, records: Iterable[Mapping[str, Any]]) -> list[Change]:
    """The changes of a stream event's `Records`, in order, one per key: the one with the highest sequence.

    Heartbeats, and deletes by copy, stand beside what modern wrote, and do not replace it.
    """
    last: dict[tuple[ChangeKind | None, str], Change] = {}
    for record in records:
        change = _change(entity, record)
        if change is None:
            continue
        slot = (change.kind if change.kind in {ChangeKind.HEARTBEAT, ChangeKind.COPIED} else None, change.key)
        if slot not in last or last[slot].sequence < change.sequence:
            last[slot] = change
    return sorted(last.values(), key=lambda change: change.sequence)


def _change(entity: Entity, record: Mapping[str, Any]) -> Change | None:
    data: Mapping[str, Any] = record["dynamodb"]
    sequence, key = int(data["SequenceNumber"]), mapping.key_of_item(entity, data["Keys"])
    image: Mapping[str, Any] = data.get("NewImage") or {}
    if names.HEARTBEAT_ATTRIBUTE in (image or data.get("OldImage") or {}):
        token = str(image.get(names.HEARTBEAT_ATTRIBUTE, {}).get("S", ""))
        if not token or key != names.HEARTBEAT_KEY:
            return None  # it was removed, or it is a watermark, which only the runbook reads
        return Change(key=key, sequence=sequence, kind=ChangeKind.HEARTBEAT, token=token)
    if record["eventName"] == "REMOVE":
        copied = names.DELETING_ATTRIBUTE in (data.get("OldImage") or {})
        return Change(key=key, sequence=sequence, kind=ChangeKind.COPIED if copied else ChangeKind.DELETE)
    return _upsert(entity, key, sequence, image)


def _upsert(entity: Entity, key: str, sequence: int, image: Mapping[str, Any]) -> Change:
    try:
        record = mapping.record_from_item(entity, image)
    except UnmappableError as error:
        return Change(key=key, sequence=sequence, kind=ChangeKind.UPSERT, problem=str(error))
    return Change(key=key, sequence=sequence, kind=ChangeKind.UPSERT, record=record)
