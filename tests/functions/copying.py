"""One entity with copy on both real databases, a round at a time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from functions.copy.lane import CopyLane, LaneTargets, Round
from functions.copy.queue import ChangeQueue
from functions.domain import mapping, names
from functions.install import triggers

START = "2026-01-01T00:00:00Z"


class KilledError(BaseException):
    """What stands for kill -9: nothing catches it."""


@dataclass
class Copying:
    """Copy of one legacy table into a DynamoDB table of its own."""

    legacy: Any  # conftest's Legacy
    writers: Any  # the same, as an unmodified writer has them
    dynamodb: Any
    table: str
    journal: str
    quarantined: dict[str, str] = field(default_factory=dict)

    @property
    def entity(self):
        return self.legacy.entity

    def lane(self, lane: int, dynamodb: Any = None, **given: Any) -> CopyLane:
        targets = LaneTargets(
            database=given.pop("database", self.legacy.database),
            dynamodb=dynamodb or self.dynamodb,
            table=self.table,
            journal=self.journal,
            quarantine=given.pop("quarantine", lambda key, reason, _held: self.quarantined.__setitem__(key, reason)),
        )
        return CopyLane(self.entity, lane, targets, owner=uuid.uuid4().hex, **given)

    def lanes(self) -> list[CopyLane]:
        return [self.lane(n) for n in range(names.LANES)]

    def once(self) -> None:
        """Every lane does one round."""
        for lane in self.lanes():
            self.round(lane)

    def round(self, lane: CopyLane) -> Round:
        assert lane.lease.take()
        done = lane.round()
        lane.report()  # as a worker does in the end
        lane.lease.release()
        return done

    def forget_leases(self) -> None:
        """As if the leases of dead workers had ended."""
        for n in range(names.LANES):
            self.dynamodb.delete_item(TableName=self.journal, Key=self._lane_key(n))

    def let_lease_end(self, lane: int, seconds: float) -> None:
        """Have a lane's lease end in so many seconds."""
        self.dynamodb.update_item(
            TableName=self.journal,
            Key=self._lane_key(lane),
            UpdateExpression="SET expires = :expires",
            ExpressionAttributeValues={":expires": {"N": f"{time.time() + seconds:.3f}"}},
        )

    def lane_record(self, lane: int) -> dict[str, Any]:
        """What the journal has of a lane."""
        found = self.dynamodb.get_item(TableName=self.journal, Key=self._lane_key(lane), ConsistentRead=True)
        return found["Item"]

    def _lane_key(self, lane: int) -> dict[str, Any]:
        return {"entity": {"S": self.entity.name}, "record": {"S": names.lane_record(lane)}}

    def catch_up(self) -> None:
        """Rounds until the backfill and the queue are through."""
        for _ in range(50):
            self.once()
            if not ChangeQueue(self.legacy.database, self.entity).length(1) and self.record()["backfilled"]["BOOL"]:
                return
        raise AssertionError("copy does not come to an end")

    def begin(self, phase: str = "legacy", **attributes: Any) -> None:
        """A first start, as the operator's command writes it."""
        typed = {
            name: {"BOOL": value}
            if isinstance(value, bool)
            else ({"S": value} if isinstance(value, str) else {"N": str(value)})
            for name, value in {"state": "running", "backfilled": False, "started_at": START, **attributes}.items()
        }
        self._journal_put(names.STATE_RECORD, {"phase": {"S": phase}, "reads": {"N": "0"}})
        self._journal_put(names.COPY_RECORD, typed)

    def record(self, record: str = names.COPY_RECORD) -> dict[str, Any]:
        key = {"entity": {"S": self.entity.name}, "record": {"S": record}}
        return self.dynamodb.get_item(TableName=self.journal, Key=key, ConsistentRead=True)["Item"]

    def number(self, name: str, record: str = names.COPY_RECORD) -> float:
        return float(self.record(record).get(name, {"N": "0"})["N"])

    def items(self) -> dict[str, dict[str, Any]]:
        found, start = {}, {}
        while True:
            page = self.dynamodb.scan(TableName=self.table, ConsistentRead=True, **start)
            found |= {item[self.entity.modern.key]["S"]: item for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def modern(self) -> dict[str, Any]:
        """The records that DynamoDB has."""
        return {
            key: mapping.record_from_item(self.entity, item, limited=False).fields
            for key, item in self.items().items()
            if names.HEARTBEAT_ATTRIBUTE not in item
        }

    def converged(self) -> bool:
        return self.modern() == self.legacy.everything()

    def put(self, key: str, **attributes: Any) -> None:
        """Put an item; text attributes are given plain."""
        typed = {name: value if isinstance(value, dict) else {"S": value} for name, value in attributes.items()}
        item = {self.entity.modern.key: {"S": key}, **typed}
        self.dynamodb.put_item(TableName=self.table, Item=item)

    def created(self, first: str = "Ana", last: str = "Ro\u0161", key: str | None = None) -> str:
        """A chef whom a legacy writer adds."""
        return self.writers.store.create(key, {"firstName": first, "lastName": last}).key

    def changed(self, key: str, first: str) -> None:
        self.writers.store.replace(key, {"firstName": first, "lastName": "x"})

    def queued(self) -> int:
        return len(self.legacy.database.query(f"SELECT 1 FROM {names.CHANGES_TABLE}"))

    def clear(self) -> None:
        self.writers.clear()
        self.legacy.database.execute(f"DELETE FROM {names.CHANGES_TABLE}")
        for key in self.items():
            self.dynamodb.delete_item(TableName=self.table, Key={self.entity.modern.key: {"S": key}})
        self.forget_leases()
        self.quarantined.clear()

    def _journal_put(self, record: str, attributes: dict[str, Any]) -> None:
        key = {"entity": {"S": self.entity.name}, "record": {"S": record}}
        self.dynamodb.put_item(TableName=self.journal, Item={**key, **attributes})


def make_table(dynamodb: Any, *key: str, stream: bool = False) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in key],
        KeySchema=[
            {"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"), strict=False)
        ],
        BillingMode="PAY_PER_REQUEST",
        **({"StreamSpecification": view} if stream else {}),
    )
    return name


def make_copying(legacy: Any, bridge_database: Any, dynamodb: Any) -> Copying:
    """Capture on, and tables on the other side."""
    triggers.install(legacy.server, legacy.entity)
    return Copying(
        legacy=replace(legacy, database=bridge_database),
        writers=legacy,
        dynamodb=dynamodb,
        table=make_table(dynamodb, legacy.entity.modern.key, stream=True),
        journal=make_table(dynamodb, "entity", "record"),
    )


class Faulty:
    """A client or a Data API whose calls go through a fault: it gets the call's name, and the call.

    The real one does the work.
    """

    def __init__(self, real: Any, fault: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._real, self._fault = real, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return lambda *given, **named: self._fault(name, lambda: found(*given, **named))


def killed_after(calls: int) -> Callable[[str, Callable[[], Any]], Any]:
    """The fault of a process that dies when its n-th call has been answered."""
    left = [calls]

    def fault(_name: str, call: Callable[[], Any]) -> Any:
        answer = call()
        left[0] -= 1
        if not left[0]:
            raise KilledError
        return answer

    return fault


def failing(*wanted: str, times: int, error: str = "ThrottlingException") -> Callable[..., Any]:
    """The fault of a service that refuses some calls for a while."""
    left = [times]

    def fault(name: str, call: Callable[[], Any]) -> Any:
        if name in wanted and left[0]:
            left[0] -= 1
            raise ClientError({"Error": {"Code": error, "Message": "forced"}}, name)
        return call()

    return fault
