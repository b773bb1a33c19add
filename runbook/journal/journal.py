"""The journal: per entity one state item (phase, reads, interrupted operation, lock) and its trail of events.

Both live in one DynamoDB table, partition key `entity`, sort key `record`. Every change of a state item is
conditional on the operator's lock and is written in one transaction with its event, so the trail never says
of a change that was not made.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from functions.domain import names
from functions.domain.phase import Phase
from runbook.errors import FailedError, LockLostError, PreconditionError
from runbook.journal.phases import TRANSITIONS, Transition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

STATE = names.STATE_RECORD
EVENT = "event#"
CONFLICTS = 20  # tries of a transaction that meets another write of its items
CONFLICT_WAIT = 0.02  # seconds


def now() -> str:
    """The present instant as ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One operator's hold on an entity.

    `until` is in epoch seconds, `process` identifies its holder, which may be dead.
    """

    id: str
    holder: str
    command: str
    process: str
    until: float


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A sequence of steps that is under way. Which one was begun or ended last, and in which direction it runs."""

    id: str
    command: str
    arguments: Mapping[str, str]
    operator: str
    started_at: str
    step: str
    direction: str = "do"  # do | undo
    reason: str = ""
    urgent: bool = False  # copy's lanes read it

    def at(self, step: str, direction: str, reason: str = "", *, urgent: bool = False) -> Operation:
        return replace(self, step=step, direction=direction, reason=reason or self.reason, urgent=urgent)


@dataclass(frozen=True, kw_only=True)
class State:
    """What the journal knows of one entity.

    Attributes:
        reads: the percentage of public reads that modern answers.
        undrained: whether a forced rollback left changes to the bridge that no command has waited for yet.
    """

    entity: str
    phase: Phase = Phase.LEGACY
    reads: int = 0
    phase_since: str = ""
    stream_arn: str = ""
    undrained: bool = False
    operation: Operation | None = None
    lock: Lock | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the audit trail: who did what, with which result."""

    entity: str
    command: str
    result: str
    operator: str
    at: str = field(default_factory=now)
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Journal:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def find(self, entity: str) -> State | None:
        """The entity's state, read consistently; None before `runbook init`."""
        found = self._client.get_item(TableName=self._table, Key=_key(entity, STATE), ConsistentRead=True)
        return _state(_plain(found["Item"])) if "Item" in found else None

    def state(self, entity: str) -> State:
        """The entity's state.

        Raises:
            PreconditionError: when `runbook init` has not been run for it.
        """
        found = self.find(entity)
        if found is None:
            raise PreconditionError(f"{entity} is not in the journal yet", "Run `runbook init` first.")
        return found

    def create(self, entity: str, stream_arn: str, event: Event) -> bool:
        """Begin an entity in phase legacy; False when it is there already."""
        item = {"entity": entity, "record": STATE, "phase": Phase.LEGACY.value, "reads": 0}
        item |= {"phase_since": now(), "stream_arn": stream_arn}
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table,
                "Item": _typed(item),
                "ConditionExpression": "attribute_not_exists(entity)",
            }
        }
        return self._transact([put, self._event(event)])

    def take(self, lock: Lock, entity: str, instead_of: str, at: float) -> bool:
        """Hold the entity's lock if it is free, expired at epoch second `at`, or already ours.

        Or when `instead_of` is the id of the lock that is there: one whose holder is known to be dead.
        """
        condition = (
            "attribute_exists(entity) AND "
            "(attribute_not_exists(#lock) OR #lock.#until < :at OR #lock.#id IN (:id, :old))"
        )
        update = self._update(
            entity,
            "SET #lock = :lock",
            condition,
            {"#lock": "lock", "#until": "until", "#id": "id"},
            {":lock": vars(lock), ":at": at, ":id": lock.id, ":old": instead_of},
        )
        return self._transact([update])

    def release(self, lock: Lock, entity: str) -> None:
        """Let the lock go if it is still ours."""
        self._transact(
            [self._update(entity, "REMOVE #lock", "#lock.#id = :id", {"#lock": "lock", "#id": "id"}, {":id": lock.id})]
        )

    def write(self, lock: Lock, entity: str, changes: Mapping[str, Any], event: Event | None = None) -> None:
        """Change attributes of the state item (None removes one), with the event that reports it.

        Raises:
            LockLostError: when the lock is no longer ours; nothing was written.
        """
        expression = _assignments(changes)
        attributes = {f"#{name}": name for name in changes} | {"#lock": "lock", "#id": "id"}
        values = {f":{name}": value for name, value in changes.items() if value is not None} | {":id": lock.id}
        update = self._update(entity, expression, "#lock.#id = :id", attributes, values)
        if not self._transact([update, *([self._event(event)] if event else [])]):
            raise _lock_lost(entity)

    def enter(self, lock: Lock, entity: str, transition: Transition, *, empty: bool = False) -> None:
        """Enter a phase: the state, and in the same transaction the record that the gate reads.

        Args:
            transition: one of `phases.TRANSITIONS`; its condition is that of the write.
            empty: no request can be inside modern's writer, whatever was not counted out before.

        Raises:
            ValueError: the transition is not in the table.
            LockLostError: the lock is no longer ours, or the operation is elsewhere; nothing was written.
            PreconditionError: the phase is not the one that the transition leaves; nothing was written.
        """
        if transition not in TRANSITIONS:
            raise ValueError(f"{transition} is not a legal transition")
        attributes = {name: name[1:] for name in ("#phase", "#lock", "#id", "#operation", "#step", "#direction")}
        attributes |= {"#arguments": "arguments", "#verb": "verb", "#since": "phase_since"}
        values = {
            ":phase": transition.target.value,
            ":source": transition.source.value,
            ":since": now(),
            ":id": lock.id,
            ":step": transition.step,
            ":direction": transition.direction.value,
            ":verb": transition.verb,
        }
        condition = f"#lock.#id = :id AND {transition.condition}"
        state = self._update(entity, "SET #phase = :phase, #since = :since", condition, attributes, values)
        if not self._transact([state, self._gate_phase(entity, transition.target, empty=empty)]):
            raise self._not_entered(lock, entity, transition)

    def _gate_phase(self, entity: str, phase: Phase, *, empty: bool) -> TransactWriteItemTypeDef:
        changes: dict[str, Any] = {"phase": phase.value, **({"inflight": 0} if empty else {})}
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(entity, names.GATE_RECORD),
                "UpdateExpression": _assignments(changes),
                "ExpressionAttributeNames": {f"#{name}": name for name in changes},
                "ExpressionAttributeValues": _typed({f":{name}": value for name, value in changes.items()}),
            }
        }

    def _not_entered(self, lock: Lock, entity: str, transition: Transition) -> PreconditionError | LockLostError:
        state = self.state(entity)
        ours = state.lock is not None and state.lock.id == lock.id
        if ours and state.phase not in {transition.source, transition.target}:
            return PreconditionError(
                f"{entity} is in phase {state.phase}, and {transition.target} is entered from {transition.source} only",
                "See `runbook status` and `runbook history`.",
            )
        return _lock_lost(entity)

    def inflight(self, entity: str) -> int:
        """How many requests the gate has let into modern's writer that have not come out."""
        found = self._client.get_item(TableName=self._table, Key=_key(entity, names.GATE_RECORD), ConsistentRead=True)
        return int(_plain(found.get("Item", {})).get("inflight", 0))

    def find_record(self, entity: str, record: str) -> Mapping[str, Any] | None:
        """Another record of the entity, such as copy's; None when there is none."""
        found = self._client.get_item(TableName=self._table, Key=_key(entity, record), ConsistentRead=True)
        return _plain(found["Item"]) if "Item" in found else None

    def change_record(self, entity: str, record: str, changes: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
        """Change another record of the entity if it is as expected; False when it is not, and nothing was written.

        Args:
            changes: attributes and their new values; None removes one.
            expected: attributes and the values that they must have before; None for one that must not be there.
        """
        conditions = [
            f"attribute_not_exists(#{name})" if value is None else f"#{name} = :was_{name}"
            for name, value in expected.items()
        ]
        values = {f":{name}": value for name, value in changes.items() if value is not None}
        values |= {f":was_{name}": value for name, value in expected.items() if value is not None}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(entity, record),
                UpdateExpression=_assignments(changes),
                ConditionExpression=" AND ".join(conditions),
                ExpressionAttributeNames={f"#{name}": name for name in {**changes, **expected}},
                ExpressionAttributeValues=_typed(values),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def put_record(self, entity: str, record: str, values: Mapping[str, Any]) -> None:
        item = _typed({"entity": entity, "record": record, **values})
        self._client.put_item(TableName=self._table, Item=item)

    def remove_record(self, entity: str, record: str) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(entity, record))

    def record(self, event: Event) -> None:
        """Add an event on its own: something that was refused or only looked at changes no state."""
        self._transact([self._event(event)])

    def events(self, entity: str, limit: int) -> list[Event]:
        """The newest `limit` events of an entity, newest first."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="entity = :entity AND begins_with(#record, :event)",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues=_typed({":entity": entity, ":event": EVENT}),
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )  # a page has 1 MB at most
        return [_event(_plain(item)) for page in pages for item in page["Items"]]

    def _event(self, event: Event) -> TransactWriteItemTypeDef:
        record = f"{EVENT}{event.at}#{uuid.uuid4().hex[:8]}"
        return {"Put": {"TableName": self._table, "Item": _typed({**vars(event), "record": record})}}

    def _update(
        self, entity: str, expression: str, condition: str, attributes: dict[str, str], values: Mapping[str, Any]
    ) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(entity, STATE),
                "UpdateExpression": expression,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": attributes,
                "ExpressionAttributeValues": _typed(values),
            }
        }

    def _transact(self, items: Sequence[TransactWriteItemTypeDef]) -> bool:
        """Write all or nothing; False when a condition did not hold."""
        for _ in range(CONFLICTS):
            try:
                self._client.transact_write_items(TransactItems=items)
            except self._client.exceptions.TransactionCanceledException as error:
                codes = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in codes:
                    return False
                if "TransactionConflict" not in codes:
                    raise
            else:
                return True
            time.sleep(random.uniform(CONFLICT_WAIT / 2, CONFLICT_WAIT))  # noqa: S311  # jitter
        raise FailedError("the journal is being written by too many at once", "Run the command again.")


def _assignments(changes: Mapping[str, Any]) -> str:
    """An update expression; None removes an attribute."""
    sets = ", ".join(f"#{name} = :{name}" for name, value in changes.items() if value is not None)
    removes = ", ".join(f"#{name}" for name, value in changes.items() if value is None)
    return " ".join([*([f"SET {sets}"] if sets else []), *([f"REMOVE {removes}"] if removes else [])])


def _lock_lost(entity: str) -> LockLostError:
    return LockLostError(
        f"another operator took over {entity} while this command ran", "See `runbook status` and `runbook history`."
    )


def _key(entity: str, record: str) -> dict[str, Any]:
    return _typed({"entity": entity, "record": record})


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    serialize = cast("Any", TypeSerializer()).serialize
    return {name: serialize(_storable(value)) for name, value in values.items()}


def _storable(value: Any) -> Any:
    """The value with dataclasses as maps and floats as decimals, which is what DynamoDB takes."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Operation | Lock):
        return _storable(vars(value))
    if isinstance(value, dict):
        return {str(key): _storable(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in cast("list[Any]", value)]
    return value


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    deserialize = cast("Any", TypeDeserializer()).deserialize
    return {name: _number(deserialize(value)) for name, value in item.items()}


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _number(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_number(item) for item in cast("list[Any]", value)]
    return value


def _state(item: Mapping[str, Any]) -> State:
    operation: dict[str, Any] | None = item.get("operation")
    lock: dict[str, Any] | None = item.get("lock")
    return State(
        entity=item["entity"],
        phase=Phase(item["phase"]),
        reads=item["reads"],
        phase_since=item.get("phase_since", ""),
        stream_arn=item.get("stream_arn", ""),
        undrained=bool(item.get("undrained")),
        operation=_operation(operation) if operation else None,
        lock=Lock(**lock) if lock else None,
    )


def _operation(stored: Mapping[str, Any]) -> Operation:
    """An operation; attributes that an earlier version stored and this one does not know are left out."""
    known = {each.name for each in fields(Operation)}
    return Operation(**{name: value for name, value in stored.items() if name in known})


def _event(item: Mapping[str, Any]) -> Event:
    return Event(**{name: value for name, value in item.items() if name != "record"})
