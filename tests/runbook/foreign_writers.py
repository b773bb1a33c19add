"""What writers do to an item that copy wrote, of which none knows copy's mark. Each returns what Aurora must show.

An answer is the first name by key; None for a record that is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from writes_world import control, until, write

from runbook.aws.outputs import EntityTarget
from runbook.stack import Context

Shown = Mapping[str, str | None]
Writer = Callable[["Foreign", str], Shown]
SECOND = timedelta(seconds=1)  # the stream's times are rounded down to it


class Foreign:
    """A client of the modern table with its own code and rights."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self.context = context
        self.client, self.table = context.clients.dynamodb, entity.modern_table
        self.keys: list[str] = []

    def place(self, key: str) -> dict[str, Any]:
        return {"TableName": self.table, "Key": {"ChefId": {"S": key}}}

    def whole(self, key: str) -> dict[str, Any] | None:
        return self.client.get_item(**self.place(key), ConsistentRead=True).get("Item")

    def copied(self, first: str = "copied") -> str:
        """A record that legacy made and copy brought to DynamoDB; its key."""
        key = write(self.context, first, system="aurora")
        until(lambda: self.whole(key))
        return key

    def names(self, key: str, first: str) -> dict[str, Any]:
        """The arguments of an UpdateItem of one attribute."""
        return {
            **self.place(key),
            "UpdateExpression": "SET firstName = :first",
            "ExpressionAttributeValues": {":first": {"S": first}},
        }

    def await_idle(self) -> None:
        """Wait until a second has begun in which copy certainly writes nothing."""
        since = control(self.context).authority.modern_since
        assert since is not None
        until(lambda: datetime.now(UTC) > since + SECOND)

    def await_next_second(self) -> None:
        """Wait until the stream's next record has a later time than the last."""
        now = datetime.now(UTC)
        until(lambda: datetime.now(UTC) >= now + SECOND)


def update_item(foreign: Foreign, key: str) -> Shown:
    foreign.client.update_item(**foreign.names(key, "updated"))
    return {key: "updated"}


def partiql(foreign: Foreign, key: str) -> Shown:
    statement = f"UPDATE \"{foreign.table}\" SET firstName = 'by PartiQL' WHERE ChefId = '{key}'"
    foreign.client.execute_statement(Statement=statement)
    return {key: "by PartiQL"}


def transaction(foreign: Foreign, key: str) -> Shown:
    foreign.client.transact_write_items(TransactItems=[{"Update": foreign.names(key, "transacted")}])
    return {key: "transacted"}


def batch_put_of_a_changed_item(foreign: Foreign, key: str) -> Shown:
    item = {**(foreign.whole(key) or {}), "firstName": {"S": "changed"}}
    foreign.client.batch_write_item(RequestItems={foreign.table: [{"PutRequest": {"Item": item}}]})
    return {key: "changed"}


def batch_put_of_an_item_read_before(foreign: Foreign, key: str) -> Shown:
    item = foreign.whole(key) or {}
    foreign.client.update_item(**foreign.names(key, "between"))
    foreign.client.batch_write_item(RequestItems={foreign.table: [{"PutRequest": {"Item": item}}]})
    return {key: item["firstName"]["S"]}


def clone_to_another_key(foreign: Foreign, key: str) -> Shown:
    other = f"clone-{uuid.uuid4().hex[:8]}"
    item = {**(foreign.whole(key) or {}), "ChefId": {"S": other}}
    foreign.client.put_item(TableName=foreign.table, Item=item)
    return {key: "copied", other: "copied"}


def delete_item(foreign: Foreign, key: str) -> Shown:
    foreign.client.delete_item(**foreign.place(key))
    return {key: None}


def restore_of_a_deleted_item(foreign: Foreign, key: str) -> Shown:
    item = foreign.whole(key) or {}
    foreign.client.delete_item(**foreign.place(key))
    foreign.client.put_item(TableName=foreign.table, Item=item)
    return {key: "copied"}


def restore_over_an_item_of_a_writer_without_the_mark(foreign: Foreign, key: str) -> Shown:
    item = foreign.whole(key) or {}
    foreign.client.put_item(TableName=foreign.table, Item={"ChefId": {"S": key}, "firstName": {"S": "bare"}})
    foreign.client.put_item(TableName=foreign.table, Item=item)
    return {key: "copied"}


def replaced_by_the_api(foreign: Foreign, key: str) -> Shown:
    write(foreign.context, "by the API", key)
    return {key: "by the API"}


WRITERS: tuple[Writer, ...] = (
    update_item,
    partiql,
    transaction,
    batch_put_of_a_changed_item,
    batch_put_of_an_item_read_before,
    clone_to_another_key,
    delete_item,
    restore_of_a_deleted_item,
    restore_over_an_item_of_a_writer_without_the_mark,
    replaced_by_the_api,
)
