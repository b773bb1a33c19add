"""The functions' own code against the sandbox's database, without the functions: as its master user."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from functions.aws.data_api import DataApi
from functions.bridge import tables
from functions.domain import changes, entities, names
from functions.legacy import schema
from functions.legacy.apply import Applier
from functions.legacy.rows import LegacyStore

if TYPE_CHECKING:
    from functions.domain.changes import Change
    from functions.domain.entities import Entity

EVERY_TYPE = Path(__file__).parents[1] / "entities.toml"
BASE = 4_421_584_500_000_000_017_450_439_091  # a sequence that a double could not tell from the next one
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Parked:
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
    parked: Parked = field(default_factory=Parked)

    @property
    def store(self) -> LegacyStore:
        return LegacyStore(self.entity, self.database)

    def apply(self, *records: dict[str, Any]) -> Any:
        found = changes.from_stream(self.entity, records)
        return Applier(self.entity, self.database, self.parked).apply(found)

    def everything(self) -> dict[str, Any]:
        return {record.key: record.fields for record in self.store.page(1000, "").records}

    def clear(self) -> None:
        self.database.execute(f"DELETE FROM `{self.entity.legacy.table}`")
        self.database.execute("DELETE FROM streamback_deletes")
        self.parked.changes.clear()


@pytest.fixture(scope="session")
def data_api(sandbox):
    """A Data API of any database, as the master user."""
    client, outputs = sandbox.client("rds-data"), sandbox.outputs

    def of(database: str = "") -> DataApi:
        return DataApi(client, outputs["clusterArn"], outputs["masterSecretArn"], database)

    return of


@pytest.fixture(scope="session")
def make_legacy(data_api):
    """Makes an entity's table in a database of its own."""

    def make(name: str, **legacy: str) -> Legacy:
        raw = entities.load(EVERY_TYPE).raw[name]
        database = f"test_{uuid.uuid4().hex[:12]}"
        described = {**raw, "legacy": {**raw["legacy"], "database": database, **legacy}}
        entity = entities.parse({name: described})[name]
        server = data_api()
        for statement in schema.statements(entity):
            server.execute(statement)
        tables.prepare(server, entity)
        return Legacy(entity, server, data_api(database))

    return make


@pytest.fixture(scope="session")
def bridge_user(sandbox, data_api):
    """Makes the bridge's own view of a legacy table: its user, its rights, the sandbox's secret."""
    functions, outputs = sandbox.client("lambda"), sandbox.outputs
    for name, event in (
        ("legacyInitFunction", {"httpMethod": "GET", "path": "/aurora"}),
        ("bridgeInstallFunction", {"action": "install"}),
    ):
        answer = functions.invoke(FunctionName=outputs[name], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def of(legacy):
        for grant in tables.grants(legacy.entity):
            data_api().execute(f"GRANT {grant} TO '{names.BRIDGE_USER}'@'%'")
        client, place = sandbox.client("rds-data"), (outputs["clusterArn"], outputs["bridgeSecretArn"])
        return replace(legacy, database=DataApi(client, *place, legacy.entity.legacy.database))

    return of


@pytest.fixture(scope="session")
def shared_chefs(make_legacy) -> Legacy:
    return make_legacy("chefs")


@pytest.fixture
def legacy(shared_chefs) -> Legacy:
    shared_chefs.clear()
    return shared_chefs


def record(key: str, sequence: int, event: str = "INSERT", **attributes: Any) -> dict[str, Any]:
    """A stream record of a chef; text attributes are given plain."""
    keys = {"ChefId": {"S": key}}
    image = {name: value if isinstance(value, dict) else {"S": value} for name, value in attributes.items()}
    data = {"Keys": keys, "SequenceNumber": str(sequence)}
    if event != "REMOVE":
        data["NewImage"] = {**keys, **image}
    return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": data}
