"""The failure bucket: what the stream mapping gave up, an object a batch, as entries of the quarantine.

An object is Lambda's invocation record with the whole event as text in `payload`. A settled key is noted in its object,
which is removed when it has no other.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from functions.domain import mapping, names
from runbook.entry import Entry, Kind, instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from functions.domain.entities import Entity
    from runbook.target import EntityTarget, Target

SETTLED = "streambackSettled"  # member of a failure object: keys that are done with
ROOT = "aws/lambda/"  # Lambda's own choice
AT_ONCE = 8  # objects read at a time


def prefix(mapping_id: str) -> str:
    """Where in the bucket Lambda puts what a mapping gave up."""
    return f"{ROOT}{mapping_id}/"


class Failures:
    """The failure objects of one entity: those of its mapping, and those that a mapping left which is no more.

    Args:
        s3: boto3's client.
        target: the stack.
        entity: whose.
    """

    def __init__(self, s3: S3Client, target: Target, entity: EntityTarget) -> None:
        self._s3 = s3
        self._bucket = target.failure_bucket
        self._entity = entity
        self._described = target.mapping[entity.name]
        self._mappings = {each.bridge_mapping_id for each in target.entities.values()}

    def names(self) -> list[str]:
        """The objects' keys."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=ROOT)
        found = [each.get("Key", "") for page in pages for each in page.get("Contents", [])]
        mine = prefix(self._entity.bridge_mapping_id)
        return [name for name in found if name.startswith(mine) or self._inherited(name)]

    def _inherited(self, name: str) -> bool:
        """Whether it was left by an earlier mapping of this table; one that cannot be read is everybody's."""
        if name.removeprefix(ROOT).partition("/")[0] in self._mappings:
            return False
        text = self._text(name)
        try:
            arn = str(_document(text or b"{}")["DDBStreamBatchInfo"]["streamArn"])
        except (KeyError, TypeError, ValueError):
            return text is not None
        return arn.partition(":table/")[2].partition("/")[0] == self._entity.modern_table

    def entries(self) -> list[Entry]:
        """An entry for each key of each object that is not settled, and one for an object without any."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [entry for some in pool.map(self._of_object, self.names()) for entry in some]

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
            at=instant(document.get("timestamp", "")),
            objects=(name,),
        )

    def _text(self, name: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None

    def settle(self, name: str, keys: set[str]) -> None:
        """Note keys as done with in an object, and remove it when it has no other.

        Lambda never writes an object twice, and the operator's lock keeps other operators out.
        """
        text = self._text(name)
        if text is None:
            return
        place: Any = {"Bucket": self._bucket, "Key": name}
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
