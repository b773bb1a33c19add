"""Two worlds: a bare MiniStack with a journal and a stage, where faults are forced and no whole system is needed,
and the shared sandbox with copy running, where writes move to modern and back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
from runbook_outputs import ENTITY, outputs
from writes_world import bring_back, start_copy, until

from runbook import init as init_service
from runbook.aws import lambda_calls
from runbook.aws import outputs as targets
from runbook.aws.outputs import EntityTarget
from runbook.checks import heartbeat, plans
from runbook.copy import control
from runbook.cutover import steps
from runbook.journal.state import Event
from runbook.stack import Context
from runbook.verify import run
from sandbox import lifecycle

OWN_ENTITIES = Path(__file__).parents[1] / "entities.toml"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("MiniStack did not start")


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory):
    """The address of a MiniStack of these tests' own."""
    port, folder = _free_port(), tmp_path_factory.mktemp("ministack")
    environment = {**os.environ, "GATEWAY_PORT": str(port), "PERSIST_STATE": "0", "AUTH": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _await_answer(f"http://127.0.0.1:{port}/_ministack/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def bare(ministack: str, tmp_path: Path):
    """The context of a stack with a fresh stage and journal; `tmp_path` holds its outputs.json."""
    first = Context.of(targets.parse(outputs(ministack), "a test"))
    api = first.clients.apigateway.create_rest_api(name=uuid.uuid4().hex)
    _method(first.clients.apigateway, api["id"], api["rootResourceId"])
    first.clients.apigateway.create_deployment(
        restApiId=api["id"],
        stageName="prod",
        variables={"chefs_reads": "legacy-read-1", "chefs_writes": "legacy-write-1", "another": "stays"},
    )
    table = f"journal-{uuid.uuid4().hex[:8]}"
    _journal(first.clients.dynamodb, table)
    raw = outputs(ministack, apiId=api["id"], journalTable=table)
    (tmp_path / "outputs.json").write_text(json.dumps(raw))
    context = Context.of(targets.parse(raw, "a test"))
    context.journal.create(ENTITY, "", Event(entity=ENTITY, command="init", result="done", operator="a test"))
    return context


def _method(client, api: str, resource: str) -> None:
    where = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    client.put_method(**where, authorizationType="NONE")
    client.put_integration(**where, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})


def _journal(client, table: str) -> None:
    keys = ("entity", "HASH"), ("record", "RANGE")
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )


@pytest.fixture(scope="module")
def live(prepared):
    """The context of the shared sandbox, with copy running and caught up."""
    start_copy(prepared)
    with pytest.MonkeyPatch.context() as patch:
        # why: no request of these tests stays past the gate for as long as one may
        patch.setattr(steps, "API_SECONDS", 1.0)
        patch.setattr(lambda_calls, "timeout_of", lambda *_: 1.0)
        yield prepared
        bring_back(prepared)
    control.stop(prepared, prepared.target.entity(ENTITY))


@pytest.fixture
def chefs(live):
    """The entity on legacy, both sides found equal; it is back there at the end, whatever happened."""
    entity = live.target.entity(ENTITY)
    bring_back(live)
    assert run.run(live, entity, run.VerifyOptions()).clean
    yield entity
    bring_back(live)


@pytest.fixture(scope="module")
def system(request):
    """A sandbox of the file's own, where what the file does is for good."""
    name = request.module.__name__.rpartition("_runbook_")[2].replace("_", "-")
    made = lifecycle.up(f"test-{os.getpid()}-{name}", entities=OWN_ENTITIES, current=False)
    yield made
    made.down()


@pytest.fixture(scope="module")
def own_live(system):
    """Its context, with the legacy tables but before `runbook init`."""
    context = Context.of(targets.parse(system.outputs, "the sandbox"))
    context.invoke(context.target.legacy_init_function, {"httpMethod": "GET", "path": "/aurora"})
    return context


@pytest.fixture
def bridge_off(live):
    """A stretch in which the bridge receives no record of chefs."""
    functions, uuid_ = live.clients.functions, live.target.entity(ENTITY).bridge_mapping_id

    def state() -> str:
        return functions.get_event_source_mapping(UUID=uuid_)["State"]

    @contextlib.contextmanager
    def off():
        functions.update_event_source_mapping(UUID=uuid_, Enabled=False)
        try:
            until(lambda: state() == "Disabled")
            yield
        finally:
            functions.update_event_source_mapping(UUID=uuid_, Enabled=True)
        until(lambda: state() == "Enabled")

    return off


@pytest.fixture
def open_checks(monkeypatch):
    """Checks and heartbeats that pass, for tests of something else."""
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


@pytest.fixture
def two(bare, open_checks):
    """The bare stack with a second entity, menus, whose reads share the stage."""
    legacy = {"legacy_read_function": "legacy-read-1", "legacy_write_function": "legacy-write-1"}
    menus = EntityTarget(name="menus", read_function="menus-read-1", write_function="menus-write-1", **legacy)
    target = dataclasses.replace(bare.target, entities={**bare.target.entities, "menus": menus})
    context = Context.of(target)
    context.routing.set({"menus_reads": "legacy-read-1", "menus_writes": "legacy-write-1"})
    init_service._journal(context, menus)
    return context
