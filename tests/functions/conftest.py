"""The functions' own code against the sandbox's database, without the functions: as its master user."""

from __future__ import annotations

import io
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bridge_world import Direct, Replayed
from legacy_world import STREAM, Legacy
from replay_world import make_orders

from functions.aws import environment, mysql_connections
from functions.aws.data_api import DataApi
from functions.aws.mysql_client import MySqlClient
from functions.aws.mysql_connections import Connections
from functions.aws.mysql_login import Logins
from functions.aws.session_function import SessionFunction
from functions.aws.statement_function import StatementFunction
from functions.bridge import by_function, legacy_calls, stream_guard
from functions.domain import entities, names
from functions.install import requests, tables
from functions.legacy.init import statements

EVERY_TYPE = Path(__file__).parents[1] / "entities.toml"


# How the statements go: `mysql` connects, and `function` does so in the statement function's code, as for the runbook.
TRANSPORT = os.environ.get("TRANSPORT", "data-api")


class InProcess:
    """Lambda's client, of which a call runs the statement function's code here."""

    @staticmethod
    def invoke(*, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        answer = requests.handler.__wrapped__(json.loads(Payload), None)  # pyright: ignore[reportFunctionMemberAccess]
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture(scope="session")
def statement_function(connections):
    """The statement function, on these connections."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "connections", lambda: connections)
        yield StatementFunction(InProcess(), "statements")  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="session")
def connections(sandbox):
    """Connections to the sandbox's database over TLS, as the functions in its network make them."""
    outputs = sandbox.outputs
    place = {"resourceArn": outputs["clusterArn"], "secretArn": outputs["masterSecretArn"]}
    sandbox.client("rds-data").execute_statement(**place, sql="SELECT 1")  # which makes the master user
    host, port = "127.0.0.1", sandbox.database.port
    logins = Logins(sandbox.client("secretsmanager"), host, port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql_connections, "AUTHORITIES", sandbox.database.authority)
        yield Connections(host, port, logins, mysql_connections.STATEMENT_SECONDS)


@pytest.fixture(scope="session")
def client(sandbox, request) -> Any:
    """What DataApi sends its statements with."""
    if TRANSPORT == "mysql":
        return MySqlClient(request.getfixturevalue("connections"))
    if TRANSPORT == "function":
        return request.getfixturevalue("statement_function")
    return sandbox.client("rds-data")


@pytest.fixture(scope="session")
def data_api(sandbox, client):
    """Any database as the master user sees it; what the Data API refuses, the session function runs."""
    outputs = sandbox.outputs
    secret = outputs["masterSecretArn"]
    if TRANSPORT != "data-api":
        own = client.sessions(secret) if TRANSPORT == "function" else None
        return lambda database="": DataApi(client, outputs["clusterArn"], secret, database, sessions=own)
    sessions = SessionFunction(
        sandbox.client("lambda"), outputs["sessionFunction"], sandbox.client("secretsmanager"), secret
    )

    def of(database: str = "") -> DataApi:
        return DataApi(client, outputs["clusterArn"], secret, database, sessions=sessions)

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
        for statement in statements(entity):
            server.execute(statement)
        tables.prepare(server, entity)
        stream_guard.confirm(server, entity, STREAM)
        return Legacy(entity, server, data_api(database))

    return make


@pytest.fixture(scope="session")
def make_own(data_api):
    """Makes an entity `things` of a table that has these columns, in a database of its own."""

    def make(columns: str, fields: dict[str, dict[str, object]], *, prepared: bool = False) -> Legacy:
        database = f"test_{uuid.uuid4().hex[:12]}"
        described = {
            "legacy": {"database": database, "table": "thing", "key": "id"},
            "modern": {"table": "thing", "key": "ThingId"},
            "fields": fields,
        }
        entity = entities.parse({"things": described})["things"]
        server = data_api()
        server.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
        server.execute(f"CREATE TABLE {database}.thing (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, {columns})")
        if prepared:
            tables.prepare(server, entity)
            stream_guard.confirm(server, entity, STREAM)
        return Legacy(entity, server, data_api(database))

    return make


@pytest.fixture(scope="session")
def bridge_user(sandbox, client, data_api):
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
        place = outputs["clusterArn"], outputs["bridgeSecretArn"]
        return replace(legacy, database=DataApi(client, *place, legacy.entity.legacy.database))

    return of


@pytest.fixture(scope="session")
def shared_chefs(make_legacy) -> Legacy:
    return make_legacy("chefs")


@pytest.fixture
def modern(legacy):
    """The same table while modern is the source of truth."""
    control = f"UPDATE {names.CONTROL_TABLE} SET fenced ="
    legacy.database.execute(f"{control} 1")
    yield legacy
    legacy.database.execute(f"{control} 0")


@pytest.fixture
def legacy(shared_chefs) -> Legacy:
    shared_chefs.clear()
    return shared_chefs


@pytest.fixture(scope="session")
def shared_orders(data_api, bridge_user):
    return make_orders(data_api, bridge_user)


@pytest.fixture
def replayed(shared_orders, monkeypatch):
    """An empty table in phase modern, with a bridge that calls legacy's function."""
    monkeypatch.setattr(by_function, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(legacy_calls, "back_off", lambda _: 0)
    made = Replayed(shared_orders)
    made.clear()
    return made


@pytest.fixture(params=["direct", "replay"])
def bridged(request):
    """An empty table with a bridge: one that writes by SQL, or one that calls legacy's function."""
    if request.param == "direct":
        return Direct(request.getfixturevalue("legacy"))
    return request.getfixturevalue("replayed")
