"""Writes an item from its row, where legacy is the source of truth and copy has not begun yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.domain import mapping, names, origin
from functions.domain.entities import Entity
from functions.domain.mapping import Record
from functions.legacy.table import LegacyStore
from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

TRIES = 5  # at a row that changes while its item is written


@dataclass(frozen=True)
class Rewriter:
    """Rewrites the items of one entity.

    Attributes:
        store: its rows as the bridge's user sees them.
        transact: writes items while the operator's lock is ours; False when a condition of theirs does not hold.
    """

    entity: Entity
    store: LegacyStore
    dynamodb: DynamoDBClient
    table: str
    transact: Callable[[Sequence[TransactWriteItemTypeDef]], bool]

    def write(self, key: str) -> None:
        """Write or delete the item as copy would.

        Its mark of origin says that it is copy's change. Attributes that are not in the mapping stay.

        Raises:
            UnmappableError: a column holds what its field cannot be.
            FailedError: the row kept changing.
            LockLostError: another operator has taken over; nothing was written since.
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

    def _present(self, key: str) -> Mapping[str, Any] | None:
        return self.dynamodb.get_item(TableName=self.table, Key=self._place(key), ConsistentRead=True).get("Item")

    def _put(self, record: Record) -> None:
        fields = list(mapping.item_from_record(self.entity, record).items())[1:]
        fields += origin.mark(record.key, self._present(record.key)).items()
        values: dict[str, Any] = {f":f{i}": value for i, (_, value) in enumerate(fields)}
        sets = ", ".join(f"#f{i} = :f{i}" for i in range(len(fields)))
        update: Any = {
            "TableName": self.table,
            "Key": self._place(record.key),
            "UpdateExpression": f"SET {sets} REMOVE #deleting",
            "ExpressionAttributeNames": {
                "#deleting": names.DELETING_ATTRIBUTE,
                **{f"#f{i}": name for i, (name, _) in enumerate(fields)},
            },
            "ExpressionAttributeValues": values,
        }
        self.transact([{"Update": update}])

    def _delete(self, key: str) -> None:
        """Mark it first: a removal has no new image to carry a mark.

        It may be gone, or written in between: `write` compares the row again.
        """
        present = self._present(key)
        if present is None:
            return
        marked = origin.marked_for_delete(key, present)
        mark: Any = {
            "TableName": self.table,
            "Key": self._place(key),
            "UpdateExpression": "SET #origin = :origin, #deleting = :deleting",
            "ConditionExpression": "attribute_exists(#key)",
            "ExpressionAttributeNames": {
                "#key": self.entity.modern.key,
                "#origin": names.ORIGIN_ATTRIBUTE,
                "#deleting": names.DELETING_ATTRIBUTE,
            },
            "ExpressionAttributeValues": {
                ":origin": marked[names.ORIGIN_ATTRIBUTE],
                ":deleting": marked[names.DELETING_ATTRIBUTE],
            },
        }
        delete: Any = {
            "TableName": self.table,
            "Key": self._place(key),
            "ConditionExpression": "attribute_exists(#deleting)",
            "ExpressionAttributeNames": {"#deleting": names.DELETING_ATTRIBUTE},
        }
        if self.transact([{"Update": mark}]):
            self.transact([{"Delete": delete}])

    def _place(self, key: str) -> dict[str, Any]:
        return {self.entity.modern.key: {"S": key}}
