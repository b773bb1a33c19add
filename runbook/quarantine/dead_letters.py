"""Dead-lettered batches as entries of the quarantine.

A resolved key is noted in its object, which is deleted when it has no other.
"""

import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from functions.domain import mapping, names
from functions.domain.entities import Entity
from runbook.aws.failure_bucket import DeadLetterObjects
from runbook.quarantine.entry import Entry, EntryKind, instant

RESOLVED = "streambackSettled"  # member of a failure object: keys that are resolved
AT_ONCE = 8  # objects read at a time


class DeadLetters:
    def __init__(self, bucket: DeadLetterObjects, entity: Entity) -> None:
        self._bucket = bucket
        self._entity = entity

    def entries(self) -> list[Entry]:
        """An entry for each key of each object that is not resolved, and one for an object without any."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [entry for some in pool.map(self._of_object, self._bucket.names()) for entry in some]

    def remove(self, name: str, keys: Collection[str]) -> None:
        """Note keys as resolved in an object, and delete it when it has no other; its own name is for all of it.

        Lambda never writes an object twice, and the operator's lock keeps other operators out.
        """
        if name in keys:
            self._bucket.delete(name)
            return
        document = self._bucket.read(name)
        if document is None:
            return
        resolved = {*keys, *document.get(RESOLVED, ())}
        if resolved >= set(_records(self._entity, document)):
            self._bucket.delete(name)
        else:
            self._bucket.write(name, {**document, RESOLVED: sorted(resolved)})

    def _of_object(self, name: str) -> list[Entry]:
        try:
            document = self._bucket.read(name)
            if document is None:
                return []
            found = _records(self._entity, document)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"this object is no invocation record with a payload: {error!r}"
            return [self._entry(name, EntryKind.UNREADABLE, reason, name)]
        resolved = set(document.get(RESOLVED, ()))
        left = [self._of_record(name, document, found[key]) for key in found if key not in resolved]
        return left or [self._entry(name, EntryKind.EMPTY, "every record of this object is resolved", name)]

    def _of_record(self, name: str, document: Mapping[str, Any], record: Mapping[str, Any]) -> Entry:
        context = document.get("requestContext", {})
        return self._entry(
            mapping.key_of_item(self._entity, record["dynamodb"]["Keys"]),
            _kind(record),
            f"dead-lettered by the stream mapping: {context.get('condition', 'no condition')} "
            f"after {context.get('approximateInvokeCount', '?')} tries; see the bridge function's log",
            name,
            sequence=_sequence(record),
            stream=record.get("eventSourceARN") or document.get("DDBStreamBatchInfo", {}).get("streamArn", ""),
            at=instant(document.get("timestamp", "")),
        )

    def _entry(self, key: str, kind: EntryKind, reason: str, name: str, **more: Any) -> Entry:
        return Entry(entity=self._entity.name, key=key, kind=kind, reason=reason, objects=(name,), **more)


def _records(entity: Entity, document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The last record of each key of a failure object.

    Raises:
        KeyError, TypeError, ValueError: it has no such payload.
    """
    payload = document["payload"]
    event = json.loads(payload) if isinstance(payload, str) else payload
    last: dict[str, Mapping[str, Any]] = {}
    for record in event["Records"]:
        key = mapping.key_of_item(entity, record["dynamodb"]["Keys"])
        if key not in last or _sequence(last[key]) < _sequence(record):
            last[key] = record
    return last


def _sequence(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _kind(record: Mapping[str, Any]) -> EntryKind:
    data = record["dynamodb"]
    if names.HEARTBEAT_ATTRIBUTE in (data.get("NewImage") or data.get("OldImage") or {}):
        return EntryKind.HEARTBEAT
    return EntryKind.DELETE if record.get("eventName") == "REMOVE" else EntryKind.UPSERT
