"""A foreign writer in DynamoDB: it knows nothing of the attributes that copy gives an item, so they stay."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.entities import Entity
from sandbox.chaos.foreign import other_fields
from sandbox.chaos.foreign.effects import Call, Effect
from sandbox.chaos.foreign.sql import Values
from sandbox.load import Shape
from sandbox.load.records import DELETE, GET, MAYBE, NOTHING, POST, PUT

REFUSED = "ConditionalCheckFailedException"
CANCELED = "TransactionCanceledException"
EXPIRES = "expires"  # the attribute of the table's TTL


class Items:
    """Writes items.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself.
        values: makes unique values.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # where and as what it writes
        self, client: Any, table: str, entity: Entity, shape: Shape, values: Values, rng: random.Random
    ) -> None:
        self._client = client
        self._table = table
        self._key = entity.modern.key
        self._shape = shape
        self._others = other_fields.attributes(entity, shape)
        self._values = values
        self._rng = rng

    def write(self, keys: Sequence[str]) -> Call:
        """One call of some kind on records under some of these keys."""
        kinds = (self._update, self._update, self._partiql, self._transact, self._put, self._delete, self._expire)
        if not keys or self._rng.random() < 0.2:  # noqa: PLR2004  # one in five is new
            return self._called(self._new, ())
        chosen = self._rng.sample(list(keys), min(2, len(keys)))
        return self._called(self._rng.choice(kinds), chosen)

    def read(self, key: str) -> Call:
        """Read one record, with every write that was acknowledged."""
        return self._called(self._get, [key])

    def update(self, key: str) -> Call:
        """Change the fields of one item."""
        return self._called(self._update, [key])

    def delete(self, key: str) -> Call:
        return self._called(self._delete, [key])

    def _called(self, kind: Callable[[Sequence[str], list[Effect]], None], keys: Sequence[str]) -> Call:
        """`kind` says what it is about to do before it does it."""
        begun, effects = time.monotonic(), list[Effect]()
        try:
            kind(keys, effects)
        except (ClientError, BotoCoreError) as error:
            return self._failed(effects, begun, error)
        return Call(effects, begun, time.monotonic())

    @staticmethod
    def _failed(effects: Sequence[Effect], begun: float, error: ClientError | BotoCoreError) -> Call:
        name = str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""
        if name == REFUSED:
            missing = [Effect(one.kind, one.key, one.value, found=False) for one in effects]
            return Call(missing, begun, time.monotonic())
        outcome = NOTHING if name in {CANCELED, "ThrottlingException", "AccessDeniedException"} else MAYBE
        return Call(effects, begun, time.monotonic(), outcome)

    def _update(self, keys: Sequence[str], effects: list[Effect]) -> None:
        effects.append(Effect(PUT, keys[0], self._values()))
        self._client.update_item(**self._change(effects[0]))

    def _partiql(self, keys: Sequence[str], effects: list[Effect]) -> None:
        effects.append(Effect(PUT, keys[0], self._values()))
        sets = " ".join(f'SET "{name}" = ?' for name in self._shape.fields)
        body = self._shape.body(effects[0].value)
        given = [{"S": text} for text in (*(body[name] for name in self._shape.fields), keys[0])]
        statement = f'UPDATE "{self._table}" {sets} WHERE "{self._key}" = ?'
        self._client.execute_statement(Statement=statement, Parameters=given)

    def _transact(self, keys: Sequence[str], effects: list[Effect]) -> None:
        effects += [Effect(PUT, key, self._values()) for key in keys]
        self._client.transact_write_items(TransactItems=[{"Update": self._change(one)} for one in effects])

    def _put(self, keys: Sequence[str], effects: list[Effect]) -> None:
        """An item is read, changed and put whole, with every attribute that others gave it."""
        found = self._read(keys[0])
        effects.append(Effect(PUT, keys[0], self._values(), found=bool(found)))
        if found:
            item = {**found, **self._attributes(effects[0].value)}
            there = {"ConditionExpression": "attribute_exists(#key)", "ExpressionAttributeNames": {"#key": self._key}}
            self._client.put_item(TableName=self._table, Item=item, **there)

    def _new(self, _: Sequence[str], effects: list[Effect]) -> None:
        value = self._values()
        effects.append(Effect(POST, f"item-{value}", value))
        item = {**self._others, self._key: {"S": effects[0].key}, **self._attributes(value)}
        self._client.put_item(TableName=self._table, Item=item)

    def _delete(self, keys: Sequence[str], effects: list[Effect]) -> None:
        effects.append(Effect(DELETE, keys[0]))
        found = self._client.delete_item(TableName=self._table, Key=self._place(keys[0]), ReturnValues="ALL_OLD")
        if not found.get("Attributes"):
            effects[0] = Effect(DELETE, keys[0], found=False)

    def _expire(self, keys: Sequence[str], effects: list[Effect]) -> None:
        """What TTL does: delete an item whose time has passed. MiniStack's own TTL writes no record to the stream."""
        effects.append(Effect(DELETE, keys[0]))
        names = {"#expires": EXPIRES, "#key": self._key}
        now = {":now": {"N": str(int(time.time()))}}
        self._client.update_item(
            TableName=self._table,
            Key=self._place(keys[0]),
            UpdateExpression="SET #expires = :now",
            ConditionExpression="attribute_exists(#key)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=now,
        )
        del names["#key"]
        self._client.delete_item(
            TableName=self._table,
            Key=self._place(keys[0]),
            ConditionExpression="#expires <= :now",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=now,
        )

    def _get(self, keys: Sequence[str], effects: list[Effect]) -> None:
        effects.append(Effect(GET, keys[0]))
        found = self._read(keys[0])
        attribute = found.get(self._shape.fields[0], {})
        value = str(None) if "NULL" in attribute else attribute.get("S", "")  # as a client's history has it
        effects[0] = Effect(GET, keys[0], value, found=bool(found))

    def _read(self, key: str) -> dict[str, Any]:
        return dict(
            self._client.get_item(TableName=self._table, Key=self._place(key), ConsistentRead=True).get("Item", {})
        )

    def _change(self, effect: Effect) -> dict[str, Any]:
        names = {f"#f{number}": name for number, name in enumerate(self._shape.fields)}
        values = {
            f":f{number}": {"S": self._shape.body(effect.value)[name]} for number, name in enumerate(self._shape.fields)
        }
        return {
            "TableName": self._table,
            "Key": self._place(effect.key),
            "UpdateExpression": "SET " + ", ".join(f"#f{number} = :f{number}" for number in range(len(names))),
            "ConditionExpression": "attribute_exists(#key)",
            "ExpressionAttributeNames": {**names, "#key": self._key},
            "ExpressionAttributeValues": values,
        }

    def _attributes(self, value: str) -> dict[str, Any]:
        return {name: {"S": text} for name, text in self._shape.body(value).items()}

    def _place(self, key: str) -> dict[str, Any]:
        return {self._key: {"S": key}}
