"""Writes an item from its row, where legacy is the source of truth and copy has not begun yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.mapping import Record
from functions.legacy.table import LegacyStore
from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRIES = 5  # at a row that changes while its item is written


@dataclass(frozen=True)
class Rewriter:
    """Rewrites the items of one entity; `store` has its rows as the bridge's user sees them."""

    entity: Entity
    store: LegacyStore
    dynamodb: DynamoDBClient
    table: str

    def write(self, key: str) -> None:
        """Write or delete the item as copy would.

        Its mark of origin keeps it out of the bridge. Attributes that are not in the mapping stay.

        Raises:
            UnmappableError: a column holds what its field cannot be.
            FailedError: the row kept changing.
        """
        for _ in range(TRIES):
            record = self._row(key)
            if record is None:
                self._delete(key)
            else:
                self._put(record)
            if self._row(key) == record:
                return
        raise FailedError(f"the row of {key} changed each time its item was written", "Run the command again.")

    def _row(self, key: str) -> Record | None:
        return self.store.many([key]).get(key)

    def _put(self, record: Record) -> None:
        fields = list(mapping.item_from_record(self.entity, record).items())[1:]
        fields.append((names.ORIGIN_ATTRIBUTE, {"S": names.ORIGIN_LEGACY}))
        values: dict[str, Any] = {f":f{i}": value for i, (_, value) in enumerate(fields)}
        sets = ", ".join(f"#f{i} = :f{i}" for i in range(len(fields)))
        self.dynamodb.update_item(
            TableName=self.table,
            Key=self._place(record.key),
            UpdateExpression=f"SET {sets} REMOVE #deleting",
            ExpressionAttributeNames={
                "#deleting": names.DELETING_ATTRIBUTE,
                **{f"#f{i}": name for i, (name, _) in enumerate(fields)},
            },
            ExpressionAttributeValues=values,
        )

    def _delete(self, key: str) -> None:
        """Mark it first, because the stream's filter lets every REMOVE through, and the bridge skips marked ones."""
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=self._place(key),
                UpdateExpression="SET #origin = :origin, #deleting = :true",
                ConditionExpression="attribute_exists(#key)",
                ExpressionAttributeNames={
                    "#key": self.entity.modern.key,
                    "#origin": names.ORIGIN_ATTRIBUTE,
                    "#deleting": names.DELETING_ATTRIBUTE,
                },
                ExpressionAttributeValues={":origin": {"S": names.ORIGIN_LEGACY}, ":true": {"BOOL": True}},
            )
            self.dynamodb.delete_item(
                TableName=self.table,
                Key=self._place(key),
                ConditionExpression="attribute_exists(#deleting)",
                ExpressionAttributeNames={"#deleting": names.DELETING_ATTRIBUTE},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return  # it is gone, or it was written in between: `write` compares the row again

    def _place(self, key: str) -> dict[str, Any]:
        return {self.entity.modern.key: {"S": key}}
