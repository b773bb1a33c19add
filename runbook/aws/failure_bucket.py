"""The failure bucket: one object for each batch that a stream mapping dead-lettered, as Lambda wrote it.

An object is Lambda's invocation record, with the whole event as text in `payload`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from runbook.aws.outputs import EntityTarget, Target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = "aws/lambda/"  # Lambda's own choice


def prefix(mapping_id: str) -> str:
    """Where in the bucket Lambda puts what a mapping dead-lettered."""
    return f"{ROOT}{mapping_id}/"


class DeadLetterObjects:
    """The objects of one entity: those of its mapping, and those of its earlier mappings that no longer exist."""

    def __init__(self, s3: S3Client, target: Target, entity: EntityTarget) -> None:
        self._s3 = s3
        self._bucket = target.failure_bucket
        self._entity = entity
        self._mappings = {prefix(each.bridge_mapping_id) for each in target.entities.values()}
        self._owners: dict[str, str] = {}  # table by earlier mapping; empty where no object of it shows the table

    def names(self) -> list[str]:
        found = self._under(prefix(self._entity.bridge_mapping_id))
        loose, folders = self._others()
        found += [name for name in loose if self._ours(name, [name])]
        for folder in folders:
            if self._owners.get(folder) in {None, "", self._entity.modern_table}:
                left = self._under(folder)
                found += left if self._ours(folder, left) else []
        return found

    def read(self, name: str) -> dict[str, Any] | None:
        """An object's document; None when it is not there.

        Raises:
            TypeError, ValueError: it is no JSON object.
        """
        try:
            text = self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("not a JSON object")
        return cast("dict[str, Any]", document)

    def write(self, name: str, document: Mapping[str, Any]) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=json.dumps(document).encode())

    def delete(self, name: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=name)

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

    def _ours(self, folder: str, objects: Sequence[str]) -> bool:
        """Whether an earlier mapping of this table left them. A mapping keeps its table, so one object shows it.

        Where none does, every entity lists them.
        """
        if not self._owners.get(folder):
            self._owners[folder] = next((table for name in objects if (table := self._table(name))), "")
        return self._owners[folder] in {"", self._entity.modern_table}

    def _table(self, name: str) -> str:
        """The table whose stream an object came from; empty when it does not say."""
        try:
            arn = str((self.read(name) or {})["DDBStreamBatchInfo"]["streamArn"])
        except (KeyError, TypeError, ValueError):
            return ""
        return arn.partition(":table/")[2].partition("/")[0]
