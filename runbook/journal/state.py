"""What the journal knows of an entity, as objects and as DynamoDB items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from functions.domain.phase import Phase


def now() -> str:
    """The present instant as ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One operator's hold on an entity.

    Attributes:
        process: identifies its holder, which may be dead.
        until: epoch seconds at which it is free, unless it is renewed.
        token: its number among the locks of the entity; a newer one has a higher token.
        since: epoch seconds at which it was taken.
        step: what its holder is doing.
        progress: epoch seconds at which its holder last made progress, as of the last renewal.
        bound: seconds without progress after which it is not renewed any more.
    """

    id: str
    holder: str
    command: str
    process: str
    until: float
    token: int = 0
    since: float = 0.0
    step: str = ""
    progress: float = 0.0
    bound: float = 0.0


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
        turn: the number of the phase's last change; a gate record obeys the highest.
        gated: whether the route of public writes is the gate, from `copy start` until `complete`.
        gated_since: the epoch second since when the route is surely that; 0 when it is not known.
        stream_arn: the table's stream that Aurora has adopted; while it adopts one, that and a word before it.
        streams: how many new streams were adopted. What changed before is known only by a comparison of all records.
        token: of the last lock that was taken, which may have been released.
        undrained: whether a forced rollback left changes to the bridge that no command has waited for yet.
    """

    entity: str
    phase: Phase = Phase.LEGACY
    reads: int = 0
    turn: int = 0
    gated: bool = False
    gated_since: float = 0.0
    phase_since: str = ""
    stream_arn: str = ""
    streams: int = 0
    undrained: bool = False
    token: int = 0
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


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
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


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
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


def state_from(item: Mapping[str, Any]) -> State:
    operation: dict[str, Any] | None = item.get("operation")
    lock: dict[str, Any] | None = item.get("lock")
    return State(
        entity=item["entity"],
        phase=Phase(item["phase"]),
        reads=item["reads"],
        turn=item.get("turn", 0),
        gated=bool(item.get("gated")),
        gated_since=float(item.get("gated_since", 0)),
        phase_since=item.get("phase_since", ""),
        stream_arn=item.get("stream_arn", ""),
        streams=item.get("streams", 0),
        undrained=bool(item.get("undrained")),
        operation=_operation(operation) if operation else None,
        token=item.get("token", 0),
        lock=_lock(lock) if lock else None,
    )


def _operation(stored: Mapping[str, Any]) -> Operation:
    """An operation; attributes that an earlier version stored and this one does not know are left out."""
    known = {each.name for each in fields(Operation)}
    return Operation(**{name: value for name, value in stored.items() if name in known})


def _lock(stored: Mapping[str, Any]) -> Lock:
    known = {each.name for each in fields(Lock)}
    return Lock(**{name: value for name, value in stored.items() if name in known})


def event_from(item: Mapping[str, Any]) -> Event:
    return Event(**{name: value for name, value in item.items() if name != "record"})
