"""A legacy table with the bridge's own code on it, and stream records for it: the words that these tests share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sweep
from hypothesis import HealthCheck, settings

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import TransientError
from functions.bridge import stream_guard
from functions.bridge.apply import Applier
from functions.domain import changes, names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from functions.legacy.table import LegacyStore

BASE = 4_421_584_500_000_000_017_450_439_091  # a sequence that a double cannot distinguish from the next one
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/chef/stream/now"
DELIVERIES = 20  # of one batch, before a test fails
EXAMPLES = settings(
    max_examples=sweep.EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Quarantined:
    """A quarantine that remembers in memory; the real one is tested through the deployed bridge."""

    changes: dict[str, tuple[str, int]] = field(default_factory=dict)

    def put(self, _entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        self.changes[change.key] = (reason, code)


@dataclass
class Legacy:
    """One entity with a table of its own, prepared for the bridge."""

    entity: Entity
    server: DataApi
    database: DataApi
    quarantined: Quarantined = field(default_factory=Quarantined)
    items: dict[str, tuple[int, Mapping[str, Any] | None]] = field(default_factory=dict)

    @property
    def store(self) -> LegacyStore:
        return LegacyStore(self.entity, self.database)

    def apply(self, *records: dict[str, Any]) -> Any:
        """Apply records as the bridge does; the items are what the newest records so far left."""
        self.written(*records)
        found = changes.from_stream(self.entity, records)
        return self.applier().apply(found)

    def deliver(self, *records: dict[str, Any], database: DataApi | None = None) -> Any:
        """Apply records as Lambda does: again while the bridge asks for them."""
        self.written(*records)
        for _ in range(DELIVERIES):
            with contextlib.suppress(TransientError):
                return self.applier(database).apply(changes.from_stream(self.entity, records))
        raise AssertionError("the bridge asks for the batch for ever")

    def applier(self, database: DataApi | None = None, stream: str = "") -> Applier:
        """The bridge's, for records of the stream that Aurora knows, or of another."""
        stream = stream or stream_guard.known(self.server, self.entity)
        return Applier(self.entity, database or self.database, self.quarantined, stream, self.read)

    def written(self, *records: dict[str, Any]) -> None:
        """Have the items be what these records say, or newer ones before."""
        for each in records:
            data = each["dynamodb"]
            key, sequence = data["Keys"][self.entity.modern.key]["S"], int(data["SequenceNumber"])
            if self.items.get(key, (-1, None))[0] <= sequence:
                self.items[key] = sequence, data.get("NewImage")

    def read(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any] | None]:
        """The items of some keys."""
        return {key: self.items.get(key, (-1, None))[1] for key in keys}

    def everything(self) -> dict[str, Any]:
        return {record.key: record.fields for record in self.store.page(1000, "").records}

    def clear(self) -> None:
        self.database.execute(f"DELETE FROM `{self.entity.legacy.table}`")
        self.database.execute("DELETE FROM streamback_deletes")
        self.quarantined.changes.clear()
        self.items.clear()


def record(key: str, sequence: int, event: str = "INSERT", **attributes: Any) -> dict[str, Any]:
    """A stream record of a chef; text attributes are given plain."""
    keys = {"ChefId": {"S": key}}
    image = {name: value if isinstance(value, dict) else {"S": value} for name, value in attributes.items()}
    data = {"Keys": keys, "SequenceNumber": str(sequence)}
    if event != "REMOVE":
        data["NewImage"] = {**keys, **image}
    return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": data}


def set_control(legacy: Legacy, **values: int) -> None:
    """Change columns of the entity's control row."""
    sets = ", ".join(f"{name} = {value}" for name, value in values.items())
    legacy.database.execute(f"UPDATE {names.CONTROL_TABLE} SET {sets} WHERE entity = '{legacy.entity.name}'")
