"""What the bridge could not apply, from the quarantine table and from the failure bucket, in one shape.

The table has what can never be applied as it is, a record each; the bucket what the stream mapping gave up, an object a
batch. One entry is one key, wherever it stands, since a key is settled by its present state and so everywhere at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from functions.aws.quarantine import LONGEST_REASON
from runbook.aws.outputs import EntityTarget
from runbook.quarantine.entry import Entry, Kind, instant, merged, without_masked
from runbook.quarantine.failure_bucket import Failures
from runbook.stack import Context


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
        self._failures = Failures(context.clients.s3, context.target, entity)

    def entries(self) -> list[Entry]:
        """Every entry, oldest first."""
        found: dict[str, Entry] = {}
        for entry in (*self._of_table(), *self._failures.entries()):
            found[entry.key] = merged(found[entry.key], entry) if entry.key in found else entry
        return sorted(found.values(), key=lambda entry: (entry.at, entry.sequence))

    def settle(self, done: Sequence[Entry]) -> set[str]:
        """Forget entries; returns the keys that stay because they have failed anew since they were read."""
        stay = {entry.key for entry in done if entry.noted and not self._delete(entry)}
        objects: dict[str, set[str]] = {}
        for entry in done:
            for name in entry.objects:
                objects.setdefault(name, set()).add(entry.key)
        for name, keys in objects.items():
            self._failures.settle(name, keys)
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
            at=instant(record.get("quarantined_at", "")),
            noted=(record.get("quarantined_at"), record.get("sequence")),
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
