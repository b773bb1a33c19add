"""The journal: per entity one state item (phase, reads, interrupted operation, lock) and its trail of events.

Both live in one DynamoDB table, partition key `entity`, sort key `record`. Every change of a state item is
conditional on the operator's lock and is written in one transaction with its event, so the trail never says
of a change that was not made.

The state item's phase is the truth. The gate obeys copies of it (gate_records.py). A change of phase writes the state
item first, under the next number, and then each copy.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from functions.aws.dynamodb import ServerClock
from functions.domain import names
from functions.domain.phase import Phase
from runbook.errors import FailedError, LockLostError, PreconditionError
from runbook.journal import gate_records
from runbook.journal.phases import TRANSITIONS, Transition
from runbook.journal.state import Event, Lock, State, event_from, now, plain, state_from, typed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import GetItemOutputTypeDef, TransactWriteItemTypeDef

STATE = names.STATE_RECORD
EVENT = "event#"
EVENTS_READ = 100  # of the history, to find who took a lock over
CONFLICTS = 20  # tries of a transaction that meets another write of its items
CONFLICT_WAIT = 0.02  # seconds


class Journal:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._time = ServerClock()

    def time(self) -> float:
        """DynamoDB's time, in seconds since 1970, a second off at most: the operator's clock may be minutes off."""
        return self._time.now()

    def find(self, entity: str) -> State | None:
        """The entity's state, read consistently; None before `runbook init`."""
        found = self._read(_key(entity, STATE))
        return state_from(plain(found["Item"])) if "Item" in found else None

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
                "Item": typed(item),
                "ConditionExpression": "attribute_not_exists(entity)",
            }
        }
        return self._transact([put, self._event(event)])

    def take(self, lock: Lock, entity: str, instead_of: str, at: float, event: Event | None = None) -> bool:
        """Hold the entity's lock if it is free, expired at epoch second `at`, or already ours.

        Or when `instead_of` is the id of the lock that is there: one whose holder is known to be dead, or that the
        operator takes over. The state's token grows; it is the lock's. `event` is written in the same transaction.
        """
        condition = (
            "attribute_exists(entity) AND "
            "(attribute_not_exists(#lock) OR #lock.#until < :at OR #lock.#id IN (:id, :old))"
        )
        update = self._update(
            entity,
            "SET #lock = :lock, #token = if_not_exists(#token, :zero) + :one",
            condition,
            {"#lock": "lock", "#until": "until", "#id": "id", "#token": "token"},
            {":lock": vars(lock), ":at": at, ":id": lock.id, ":old": instead_of, ":zero": 0, ":one": 1},
        )
        return self._transact([update, *([self._event(event)] if event else [])])

    def release(self, lock: Lock, entity: str) -> bool:
        """Let the lock go if it is still ours; whether it was."""
        return self._transact(
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
            raise self.lost(lock, entity)

    def overtaken(self, lock: Lock, entity: str) -> LockLostError | None:
        """The error of a command whose lock another command has taken since; None when none has."""
        state = self.find(entity)
        return None if state is None or state.token == lock.token else self._overtaken_by(lock, state)

    def lost(self, lock: Lock, entity: str) -> LockLostError:
        """The error of a command whose lock is gone, with who took it."""
        return self.overtaken(lock, entity) or LockLostError(
            f"the lock on {entity} was lost while `{lock.command}` ran",
            "See `runbook status` and `runbook history`, then run the command again.",
        )

    def _overtaken_by(self, lock: Lock, state: State) -> LockLostError:
        """Found in the history, which has each lock that was taken over; else by the lock that is there now."""
        recent = self.events(state.entity, EVENTS_READ)
        by = next((event for event in recent if event.details.get("its_token") == lock.token), None)
        who, what, at = "another operator", "another command", ""
        if by:
            who, what, at = by.operator, f"`{by.command}`", f" at {by.at}"
        elif state.lock:
            who, what = state.lock.holder, f"`{state.lock.command}`"
        under_way = f", `{state.operation.command}` under way" if state.operation else ""
        return LockLostError(
            f"`{lock.command}` of {state.entity} was overtaken: {who} took over with {what}{at}. "
            f"{state.entity} is in phase {state.phase} now{under_way}",
            f"See `runbook status --entity {state.entity}` and `runbook history --entity {state.entity}`.",
        )

    def enter(self, lock: Lock, entity: str, transition: Transition) -> None:
        """Enter a phase: the state, and then every record that the gate obeys.

        Killed in between, the gate lets in by the phase before: a later command writes the records again.

        Where modern becomes the source of truth, copy's lanes lose their leases in it too.

        Args:
            transition: one of `phases.TRANSITIONS`; its condition is that of the write.

        Raises:
            ValueError: the transition is not in the table.
            LockLostError: the lock is no longer ours, or the operation is elsewhere; what was not written by then was
                not written.
            PreconditionError: the phase is not the one that the transition leaves; nothing was written.
        """
        if transition not in TRANSITIONS:
            raise ValueError(f"{transition} is not a legal transition")
        attributes = {name: name[1:] for name in ("#phase", "#lock", "#id", "#operation", "#step", "#direction")}
        attributes |= {"#arguments": "arguments", "#verb": "verb", "#since": "phase_since", "#turn": "turn"}
        before = self.state(entity).turn
        values = {
            ":phase": transition.target.value,
            ":source": transition.source.value,
            ":since": now(),
            ":id": lock.id,
            ":step": transition.step,
            ":direction": transition.direction.value,
            ":verb": transition.verb,
            ":turn": before + 1,
            ":before": before,
        }
        condition = f"#lock.#id = :id AND {transition.condition} AND (attribute_not_exists(#turn) OR #turn = :before)"
        expression = "SET #phase = :phase, #since = :since, #turn = :turn"
        state = self._update(entity, expression, condition, attributes, values)
        lanes = self._barred_lanes(entity) if transition.target in {Phase.MODERN, Phase.COMPLETE} else []
        if not self._transact([state, *lanes]):
            raise self._not_entered(lock, entity, transition)
        if not self.gate_obeys(entity, transition.target, before + 1):
            raise self.lost(lock, entity)

    def gate_obeys(self, entity: str, phase: Phase, turn: int) -> bool:
        """Have the gate obey a phase, in each of its records; False when one obeys a later change already."""
        return gate_records.obey(self._client, self._table, entity, phase, turn)

    def bar_lanes(self, lock: Lock, entity: str) -> None:
        """Refuse what copy's lanes write from now on, whatever is on its way; a lane may be taken anew.

        Raises:
            LockLostError: when the lock is no longer ours; nothing was written.
        """
        if not self._transact([self._holds(lock, entity), *self._barred_lanes(entity)]):
            raise self.lost(lock, entity)

    def write_items(self, lock: Lock, entity: str, items: Sequence[TransactWriteItemTypeDef]) -> bool:
        """Write items of other tables; False when a condition of theirs does not hold, and nothing was written.

        Raises:
            LockLostError: when the lock is no longer ours; nothing was written.
        """
        if self._transact([self._holds(lock, entity), *items]):
            return True
        held = self.state(entity).lock
        if held is None or held.id != lock.id:
            raise self.lost(lock, entity)
        return False

    def _holds(self, lock: Lock, entity: str) -> TransactWriteItemTypeDef:
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": _key(entity, STATE),
                "ConditionExpression": "#lock.#id = :id",
                "ExpressionAttributeNames": {"#lock": "lock", "#id": "id"},
                "ExpressionAttributeValues": typed({":id": lock.id}),
            }
        }

    def _barred_lanes(self, entity: str) -> list[TransactWriteItemTypeDef]:
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": _key(entity, names.lane_record(lane)),
                    "UpdateExpression": "SET #expires = :now REMOVE #token",
                    "ExpressionAttributeNames": {"#expires": "expires", "#token": names.LEASE_TOKEN},
                    "ExpressionAttributeValues": typed({":now": 0}),
                }
            }
            for lane in range(names.LANES)
        ]

    def _not_entered(self, lock: Lock, entity: str, transition: Transition) -> PreconditionError | LockLostError:
        state = self.state(entity)
        ours = state.lock is not None and state.lock.id == lock.id
        if ours and state.phase not in {transition.source, transition.target}:
            return PreconditionError(
                f"{entity} is in phase {state.phase}, and {transition.target} is entered from {transition.source} only",
                "See `runbook status` and `runbook history`.",
            )
        return self.lost(lock, entity)

    def inside(self, entity: str) -> frozenset[str]:
        """The ids of the requests that are inside a writer."""
        return gate_records.inside(self._client, self._table, entity)

    def find_record(self, entity: str, record: str) -> Mapping[str, Any] | None:
        """Another record of the entity, such as copy's; None when there is none."""
        found = self._read(_key(entity, record))
        return plain(found["Item"]) if "Item" in found else None

    def _read(self, key: Mapping[str, Any]) -> GetItemOutputTypeDef:
        return self._time.read(lambda: self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True))

    def change_record(
        self,
        entity: str,
        record: str,
        changes: Mapping[str, Any],
        expected: Mapping[str, Any],
        lock: Lock | None = None,
    ) -> bool:
        """Change another record of the entity if it is as expected; False when it is not, and nothing was written.

        Args:
            changes: attributes and their new values; None removes one.
            expected: attributes and the values that they must have before; None for one that must not be there.
            lock: must be ours still, if given.

        Raises:
            LockLostError: it is not; nothing was written.
        """
        conditions = [
            f"attribute_not_exists(#{name})" if value is None else f"#{name} = :was_{name}"
            for name, value in expected.items()
        ]
        values = {f":{name}": value for name, value in changes.items() if value is not None}
        values |= {f":was_{name}": value for name, value in expected.items() if value is not None}
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": _key(entity, record),
                "UpdateExpression": _assignments(changes),
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": {f"#{name}": name for name in {**changes, **expected}},
                "ExpressionAttributeValues": typed(values),
            }
        }
        written = self._transact([update, *self._ours(lock, entity)])
        if not written and lock:
            self._demand(lock, entity)
        return written

    def put_record(self, entity: str, record: str, values: Mapping[str, Any], lock: Lock | None = None) -> None:
        """Write another record of the entity; with `lock` only while that is ours.

        Raises:
            LockLostError: it is not; nothing was written.
        """
        put: TransactWriteItemTypeDef = {
            "Put": {"TableName": self._table, "Item": typed({"entity": entity, "record": record, **values})}
        }
        if not self._transact([put, *self._ours(lock, entity)]) and lock:
            raise self.lost(lock, entity)

    def remove_records(self, lock: Lock, entity: str, *records: str) -> None:
        """Remove other records of the entity.

        Raises:
            LockLostError: the lock is no longer ours; nothing was removed.
        """
        deletes: list[TransactWriteItemTypeDef] = [
            {"Delete": {"TableName": self._table, "Key": _key(entity, record)}} for record in records
        ]
        if not self._transact([*deletes, *self._ours(lock, entity)]):
            raise self.lost(lock, entity)

    def _demand(self, lock: Lock, entity: str) -> None:
        state = self.state(entity)
        if state.lock is None or state.lock.id != lock.id:
            raise self.lost(lock, entity)

    def _ours(self, lock: Lock | None, entity: str) -> list[TransactWriteItemTypeDef]:
        """The condition that the lock is still ours, for a transaction that does not change the state item."""
        return [self._holds(lock, entity)] if lock else []

    def record(self, event: Event, lock: Lock | None = None) -> None:
        """Add an event on its own; with `lock` only while that is ours.

        Without: something that was refused or only looked at changes no state.

        Raises:
            LockLostError: the lock is no longer ours; nothing was written.
        """
        if not self._transact([self._event(event), *self._ours(lock, event.entity)]) and lock:
            raise self.lost(lock, event.entity)

    def events(self, entity: str, limit: int) -> list[Event]:
        """The newest `limit` events of an entity, newest first."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="entity = :entity AND begins_with(#record, :event)",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues=typed({":entity": entity, ":event": EVENT}),
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )  # a page has 1 MB at most
        return [event_from(plain(item)) for page in pages for item in page["Items"]]

    def _event(self, event: Event) -> TransactWriteItemTypeDef:
        record = f"{EVENT}{event.at}#{uuid.uuid4().hex[:8]}"
        return {"Put": {"TableName": self._table, "Item": typed({**vars(event), "record": record})}}

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
                "ExpressionAttributeValues": typed(values),
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


def _key(entity: str, record: str) -> dict[str, Any]:
    return typed({"entity": entity, "record": record})
