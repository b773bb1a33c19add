"""The failure bucket: what the stream mapping gave up, an object a batch, as entries of the quarantine.

An object is Lambda's invocation record with the whole event as text in `payload`. A settled key is noted in its object,
which is removed when it has no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from functions.domain import mapping, names
from functions.domain.entities import Entity
from runbook.aws.outputs import EntityTarget, Target
from runbook.quarantine.entry import Entry, EntryKind, instant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
        self._mappings = {prefix(each.bridge_mapping_id) for each in target.entities.values()}
        self._owners: dict[str, str] = {}  # table by mapping that is no more; empty where no object of it tells

    def names(self) -> list[str]:
        """The objects' keys."""
        found = self._under(prefix(self._entity.bridge_mapping_id))
        loose, folders = self._others()
        found += [name for name in loose if self._mine(name, [name])]
        for folder in folders:
            if self._owners.get(folder) in {None, "", self._entity.modern_table}:
                left = self._under(folder)
                found += left if self._mine(folder, left) else []
        return found

    def _others(self) -> tuple[list[str], list[str]]:
        """Objects in no mapping's folder, and the folders of mappings that no entity has now."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=ROOT, Delimiter="/")
        loose, folders = list[str](), list[str]()
        for page in pages:
            loose += [each.get("Key", "") for each in page.get("Contents", [])]
            folders += [each.get("Prefix", "") for each in page.get("CommonPrefixes", [])]
        return loose, [folder for folder in folders if folder not in self._mappings]

    def _under(self, folder: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
        return [each.get("Key", "") for page in pages for each in page.get("Contents", [])]

    def _mine(self, folder: str, objects: Sequence[str]) -> bool:
        """Whether an earlier mapping of this table left them. A mapping has one table for good, so one object tells.

        Where none does, they are everybody's.
        """
        if not self._owners.get(folder):
            self._owners[folder] = next((table for name in objects if (table := self._told(name))), "")
        return self._owners[folder] in {"", self._entity.modern_table}

    def _told(self, name: str) -> str:
        """The table whose stream an object came from; empty when it does not say."""
        try:
            arn = str(_document(self._text(name) or b"{}")["DDBStreamBatchInfo"]["streamArn"])
        except (KeyError, TypeError, ValueError):
            return ""
        return arn.partition(":table/")[2].partition("/")[0]

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
            return [self._of_odd_object(name, EntryKind.UNREADABLE, reason)]
        settled = set(document.get(SETTLED, ()))
        left = [self._of_stream(name, document, found[key]) for key in found if key not in settled]
        return left or [self._of_odd_object(name, EntryKind.EMPTY, "every record of this object is settled")]

    def _of_odd_object(self, name: str, kind: EntryKind, reason: str) -> Entry:
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
            stream=record.get("eventSourceARN") or document.get("DDBStreamBatchInfo", {}).get("streamArn", ""),
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


def _kind(record: Mapping[str, Any]) -> EntryKind:
    data = record["dynamodb"]
    if names.PROBE_ATTRIBUTE in (data.get("NewImage") or data.get("OldImage") or {}):
        return EntryKind.HEARTBEAT
    return EntryKind.DELETE if record.get("eventName") == "REMOVE" else EntryKind.UPSERT
