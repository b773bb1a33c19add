"""What the bridge could not apply, from the quarantine table and from the failure bucket, in one shape.

The table has what can never be applied as it is, a record each. The bucket has what the stream mapping gave up, an
object a batch: Lambda's invocation record, with the whole event as text in `payload`. One entry is one key, wherever
it stands, since a key is settled by its present state and so everywhere at once. A settled key is noted in its
object, which is removed when it has no other.
"""

from __future__ import annotations

import contextlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from functions.aws.quarantine import LONGEST_REASON
from functions.domain import mapping, names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from functions.domain.entities import Entity
    from runbook.context import Context
    from runbook.target import EntityTarget

SETTLED = "streambackSettled"  # member of a failure object: keys that are done with
AT_ONCE = 8  # objects read at a time
MASKED = "'***'"
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'")


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


def prefix(entity: EntityTarget) -> str:
    """Where in the failure bucket Lambda puts what the entity's mapping gave up."""
    return f"aws/lambda/{entity.bridge_mapping_id}/"


def entries(context: Context, entity: EntityTarget) -> list[Entry]:
    """Every entry of an entity, oldest first."""
    return Parked(context, entity).entries()


class Parked:
    """The quarantine of one entity."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self._target = context.target
        self._entity = entity
        self._described = context.target.mapping[entity.name]
        self._dynamodb = context.clients.dynamodb
        self._s3 = context.clients.s3

    def entries(self) -> list[Entry]:
        """Every entry, oldest first."""
        found: dict[str, Entry] = {}
        for entry in (*self._of_table(), *self._of_bucket()):
            found[entry.key] = _merged(found[entry.key], entry) if entry.key in found else entry
        return sorted(found.values(), key=lambda entry: (entry.at, entry.sequence))

    def settle(self, done: Sequence[Entry]) -> set[str]:
        """Forget entries; returns the keys that stay because they have failed anew since they were read."""
        stay = {entry.key for entry in done if entry.noted and not self._delete(entry)}
        objects: dict[str, set[str]] = {}
        for entry in done:
            for name in entry.objects:
                objects.setdefault(name, set()).add(entry.key)
        for name, keys in objects.items():
            self._settle_object(name, keys)
        return stay

    def keep(self, entry: Entry, reason: str, code: int) -> None:
        """Note why an entry stays.

        One from the bucket goes on as a record in the table, where its reason is its own. A newer failure, if one came
        meanwhile, keeps its own reason.
        """
        text = {"reason": reason[:LONGEST_REASON], "replayed_at": _now()}
        fields = {name: {"S": value} for name, value in text.items()} | {"error_code": {"N": str(code)}}
        if entry.noted is None:
            fields |= {
                "sequence": {"S": str(entry.sequence)},
                "event_name": {"S": entry.kind.value},
                "quarantined_at": {"S": entry.at},
                "stream": {"S": entry.stream},
            }
        condition, attributes, values = _as_read(entry)
        # why: a newer failure is the one to tell of
        with contextlib.suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._target.quarantine_table,
                Key=self._key(entry),
                UpdateExpression="SET " + ", ".join(f"#s{i} = :s{i}" for i in range(len(fields))),
                ConditionExpression=condition,
                ExpressionAttributeNames=attributes | {f"#s{i}": name for i, name in enumerate(fields)},
                ExpressionAttributeValues=values | {f":s{i}": each for i, each in enumerate(fields.values())},
            )
        self.settle([replace(entry, noted=None)])

    def _delete(self, entry: Entry) -> bool:
        condition, attributes, values = _as_read(entry)
        given: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
        try:
            self._dynamodb.delete_item(
                TableName=self._target.quarantine_table,
                Key=self._key(entry),
                ConditionExpression=f"attribute_not_exists(#entity) OR ({condition})",
                ExpressionAttributeNames={**attributes, "#entity": "entity"},
                **given,
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _key(self, entry: Entry) -> dict[str, Any]:
        return {"entity": {"S": self._entity.name}, "item_key": {"S": entry.key}}

    def _of_table(self) -> Iterator[Entry]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._target.quarantine_table,
            KeyConditionExpression="entity = :entity",
            ExpressionAttributeValues={":entity": {"S": self._entity.name}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                plain = {name: str(next(iter(value.values()))) for name, value in item.items()}
                yield self._of_record(plain)

    def _of_record(self, record: Mapping[str, str]) -> Entry:
        sequence = record.get("sequence", "")
        return Entry(
            entity=self._entity.name,
            key=record["item_key"],
            kind=Kind.DELETE if record.get("event_name") == Kind.DELETE else Kind.UPSERT,
            reason=without_masked(self._described, record.get("reason", "")),
            code=int(record.get("error_code", 0)),
            sequence=int(sequence) if sequence.isdigit() else 0,
            stream=record.get("stream", ""),
            at=_instant(record.get("quarantined_at", "")),
            noted=(record.get("quarantined_at"), record.get("sequence")),
        )

    def _of_bucket(self) -> list[Entry]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._target.failure_bucket, Prefix=prefix(self._entity)
        )
        found = [object_.get("Key", "") for page in pages for object_ in page.get("Contents", [])]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [entry for some in pool.map(self._of_object, found) for entry in some]

    def _of_object(self, name: str) -> list[Entry]:
        text = self._text(name)
        if text is None:
            return []
        try:
            document = _document(text)
            found = _records(self._described, document)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"this object is no invocation record with a payload: {error!r}"
            return [self._of_odd_object(name, Kind.UNREADABLE, reason)]
        settled = set(document.get(SETTLED, ()))
        left = [self._of_stream(name, document, found[key]) for key in found if key not in settled]
        return left or [self._of_odd_object(name, Kind.EMPTY, "every record of this object is settled")]

    def _of_odd_object(self, name: str, kind: Kind, reason: str) -> Entry:
        return Entry(
            entity=self._entity.name,
            key=name,
            kind=kind,
            reason=reason,
            code=0,
            sequence=0,
            stream="",
            at="",
            objects=(name,),
        )

    def _of_stream(self, name: str, document: Mapping[str, Any], record: Mapping[str, Any]) -> Entry:
        context = document.get("requestContext", {})
        data = record["dynamodb"]
        return Entry(
            entity=self._entity.name,
            key=mapping.key_of_item(self._described, data["Keys"]),
            kind=_kind(record),
            reason=(
                f"given up by the stream mapping: {context.get('condition', 'no condition')} "
                f"after {context.get('approximateInvokeCount', '?')} tries; see the bridge function's log"
            ),
            code=0,
            sequence=int(data["SequenceNumber"]),
            stream=record.get("eventSourceARN")
            or document.get("DDBStreamBatchInfo", {}).get("streamArn", ""),
            at=_instant(document.get("timestamp", "")),
            objects=(name,),
        )

    def _text(self, name: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self._target.failure_bucket, Key=name)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None

    def _settle_object(self, name: str, keys: set[str]) -> None:
        """Lambda never writes an object twice, and the operator's lock keeps other operators out."""
        text = self._text(name)
        if text is None:
            return
        place: Any = {"Bucket": self._target.failure_bucket, "Key": name}
        if name in keys:
            self._s3.delete_object(**place)
            return
        document = _document(text)
        settled = keys | set(document.get(SETTLED, ()))
        if settled >= set(_records(self._described, document)):
            self._s3.delete_object(**place)
        else:
            document[SETTLED] = sorted(settled)
            self._s3.put_object(**place, Body=json.dumps(document).encode())


def without_masked(entity: Entity, reason: str) -> str:
    """A reason without what it quotes, where the entity has fields that are not to be shown.

    Column and field names stay, since they tell where to look.
    """
    if not any(field.masked for field in entity.fields.values()):
        return reason
    known = {f"'{name}'" for field in entity.fields.values() for name in (field.name, field.column)}
    return QUOTED.sub(lambda found: found[0] if found[0] in known else MASKED, reason)


def _document(text: bytes) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return cast("dict[str, Any]", document)


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


def _kind(record: Mapping[str, Any]) -> Kind:
    data = record["dynamodb"]
    if names.PROBE_ATTRIBUTE in (data.get("NewImage") or data.get("OldImage") or {}):
        return Kind.PROBE
    return Kind.DELETE if record.get("eventName") == "REMOVE" else Kind.UPSERT


def _merged(one: Entry, other: Entry) -> Entry:
    """Two entries of a key as one: the newer with the places of both."""
    old, new = sorted((one, other), key=lambda entry: (entry.at, entry.sequence))
    sequence = max(old.sequence, new.sequence) if old.stream == new.stream else new.sequence
    return replace(
        new, sequence=sequence, objects=(*one.objects, *other.objects), noted=one.noted or other.noted
    )


def _as_read(entry: Entry) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that an entry's record in the table is the one that was read, or is not there if none was."""
    if entry.noted is None:
        return "attribute_not_exists(#at)", {"#at": "entity"}, {}
    parts: list[str] = []
    values: dict[str, Any] = {}
    for name, value in zip(("at", "sequence"), entry.noted, strict=True):
        parts.append(f"attribute_not_exists(#{name})" if value is None else f"#{name} = :{name}")
        values |= {} if value is None else {f":{name}": {"S": value}}
    return " AND ".join(parts), {"#at": "quarantined_at", "#sequence": "sequence"}, values


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(text: str) -> str:
    """A moment in one spelling, so that moments sort; empty when it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
