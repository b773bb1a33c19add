"""A migration on a whole system, with a bridge that is healthy and one that is not."""

from __future__ import annotations

import json
import os
import time

import pytest
from typer.testing import CliRunner
from writes_world import bridge_checks

from functions.domain import names
from functions.domain.phase import Phase
from runbook import init as init_service
from runbook.aws import outputs as targets
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.checks import heartbeat
from runbook.checks.check import green
from runbook.commands.cli import app
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import OperationKind
from runbook.errors import FailedError, PreconditionError
from runbook.smoke import own as smoke_service
from runbook.smoke.own import Smoke
from runbook.stack import Context
from runbook.status import run as status
from sandbox import lifecycle

ENTITY = "chefs"
BACK = Routes(reads=Side.LEGACY, writes=Side.LEGACY)


@pytest.fixture(scope="module")
def live(prepared):
    """The context of the shared sandbox, initialised."""
    return prepared


@pytest.fixture
def chefs(live):
    return live.target.entity(ENTITY)


@pytest.fixture
def runbook(sandbox, tmp_path, live):
    """Runs a command against the sandbox."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        command = [*arguments, "--outputs", str(saved)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return run


def _items(live, chefs) -> int:
    return live.clients.dynamodb.scan(TableName=chefs.modern_table, Select="COUNT")["Count"]


def _rows(live) -> int:
    table = live.target.mapping[ENTITY].legacy
    return int(live.aurora.query(table.database, f"SELECT COUNT(*) FROM {table.table}")[0][0])


def _named(checks, name):
    return next(check for check in checks if check.name == name)


def test_init_again_changes_nothing_of_routes_and_journal(live):
    results = {line.name: line.result for line in init_service.run(live)}
    assert results["routes of chefs"] == results["journal of chefs"] == "unchanged"


def test_init_sets_a_variable_that_names_a_function_that_is_gone(live, chefs):
    live.routing.set({chefs.writes_variable: "a-function-that-is-gone"})
    init_service.run(live)
    assert live.routing.routes(chefs) == BACK


def test_smoke_passes_for_an_entity_with_every_type_and_leaves_nothing_behind(live):
    smoke = Smoke(live, live.target.entity("specimens"))
    results = smoke.run()
    assert [(result.step, result.detail) for result in results if not result.ok] == []
    assert len(results) == 10
    _await_gone(live, smoke)


def test_smoke_on_a_system_in_use_looks_for_its_own_records(live, chefs):
    kept = live.api.request("POST", path("dynamo", ENTITY), {"firstName": "Julia", "lastName": "Child"})
    try:
        assert all(result.ok for result in Smoke(live, chefs).run())
        assert live.api.get(path("dynamo", ENTITY, kept.body["id"])).status == 200
    finally:
        live.api.request("DELETE", path("dynamo", ENTITY, kept.body["id"]))


@pytest.mark.parametrize("fault", [FailedError("forced"), KeyboardInterrupt()])
def test_smoke_cleans_up_when_it_fails_or_is_interrupted(live, chefs, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(Smoke, "_updates", fail)
    smoke = Smoke(live, chefs)
    try:
        results = smoke.run()
    except KeyboardInterrupt:
        results = []
    assert [result.ok for result in results[8:]] in ([False, None], [])
    assert len(smoke.created) == 2
    _await_gone(live, smoke)


def test_smoke_reports_which_step_failed(live, chefs, monkeypatch):
    real = Smoke._item

    def lost(self, system, identity=None):
        return real(self, system, "nowhere" if system == "aurora" else identity)

    monkeypatch.setattr(smoke_service, "BRIDGE_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(Smoke, "_item", lost)
    failed = [result for result in Smoke(live, chefs).run() if result.ok is False]
    assert [result.step for result in failed] == [8]
    assert "runbook status" in failed[0].detail


def _await_gone(live, smoke):
    """The item's deletion may still be on its way through the bridge."""
    deadline = time.monotonic() + 30
    for _, identity in smoke.created:
        for system in ("aurora", "dynamo"):
            while live.api.get(path(system, smoke.entity.name, identity)).status != 404:
                assert time.monotonic() < deadline, f"{identity} is still in {system}"
                time.sleep(0.05)


def test_a_heartbeat_arrives_and_its_item_is_removed(live, chefs):
    assert heartbeat.send(live, chefs).arrived
    key = {live.target.mapping[ENTITY].modern.key: {"S": names.HEARTBEAT_KEY}}
    assert "Item" not in live.clients.dynamodb.get_item(TableName=chefs.modern_table, Key=key)


def test_a_heartbeat_is_in_no_listing_and_in_no_table(live, chefs):
    key = {live.target.mapping[ENTITY].modern.key: {"S": names.HEARTBEAT_KEY}}
    token = {names.HEARTBEAT_ATTRIBUTE: {"S": "seen"}}
    live.clients.dynamodb.put_item(TableName=chefs.modern_table, Item={**key, **token})
    listed = [item["id"] for item in live.api.get(path("dynamo", ENTITY), limit=1000).body["items"]]
    assert names.HEARTBEAT_KEY not in listed
    assert heartbeat.send(live, chefs).arrived
    assert live.api.get(path("aurora", ENTITY, names.HEARTBEAT_KEY)).status == 404


def test_the_bridge_of_the_sandbox_is_healthy(live, chefs):
    found = bridge_checks(live, chefs)
    assert [(check.name, check.value) for check in found if not check.ok] == []
    assert {check.name for check in found} == {
        "adopted stream",
        "mapping",
        "stream",
        "stream view",
        "filter",
        "last batch",
        "quarantine",
        "dead-lettered",
    }


def test_a_paused_mapping_is_named(live, chefs):
    live.clients.functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    try:
        check = _named(bridge_checks(live, chefs), "mapping")
        assert not check.ok
        assert chefs.bridge_mapping_id in check.remedy
    finally:
        live.clients.functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)


def test_another_filter_is_named(live, chefs):
    functions = live.clients.functions
    wrong = {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, FilterCriteria=wrong)
    try:
        assert not _named(bridge_checks(live, chefs), "filter").ok
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, FilterCriteria={"Filters": []})
    assert _named(bridge_checks(live, chefs), "filter").ok


def test_a_quarantined_record_and_a_batch_given_up_are_named(live, chefs):
    key = {"entity": {"S": ENTITY}, "item_key": {"S": "of-a-test"}}
    file = {"Bucket": live.target.failure_bucket, "Key": f"aws/lambda/{chefs.bridge_mapping_id}/of-a-test"}
    live.clients.dynamodb.put_item(TableName=live.target.quarantine_table, Item=key)
    live.clients.s3.put_object(**file, Body=b"{}")
    try:
        found = bridge_checks(live, chefs)
        assert _named(found, "quarantine").value == "1 waiting"
        assert _named(found, "dead-lettered").value == "1 waiting"
        assert not green(found)
    finally:
        live.clients.dynamodb.delete_item(TableName=live.target.quarantine_table, Key=key)
        live.clients.s3.delete_object(**file)


def test_status_reports_phase_routes_health_and_counts(live, chefs, runbook):
    rows, items = {_rows(live)}, {_items(live, chefs)}
    found = status(live, chefs, send_heartbeat=True, exact=False)
    rows, items = rows | {_rows(live)}, items | {_items(live, chefs)}
    assert (found.healthy, found.agree, found.routes, found.state.phase) == (True, True, BACK, Phase.LEGACY)
    assert found.legacy.records in rows, "bridged changes of other tests may arrive meanwhile"
    assert found.modern.records in items
    said = json.loads(runbook("status", "--json").stdout)
    assert {entity["entity"] for entity in said["entities"]} == set(live.target.entities)
    shown = runbook("status", "--entity", ENTITY).stdout
    for part in ("phase", "legacy", "healthy", "records"):
        assert part in shown


def test_init_shows_what_it_saw_to(runbook):
    assert "routes of chefs" in runbook("init").stdout


def test_smoke_looks_a_record_up_where_the_list_is_too_long(runbook, monkeypatch):
    monkeypatch.setattr(smoke_service, "PAGES", 0)
    result = runbook("smoke", "--entity", ENTITY)
    assert result.exit_code == 0, result.output
    assert "10." in result.stdout


def test_with_only_the_legacy_part_deployed_init_and_smoke_do_their_part_and_a_cutover_is_refused():
    alone = lifecycle.up(f"test-{os.getpid()}-alone", {"parts": ["legacy"]}, current=False)
    try:
        context = Context.of(targets.parse(alone.outputs, "the sandbox"))
        entity = context.target.entity(ENTITY)
        assert {line.name: line.result for line in init_service.run(context, create_tables=True)}["bridge"] == "skipped"
        assert [result.ok for result in Smoke(context, entity).run()] == [True] * 4 + [None] * 6
        found = status(context, entity, send_heartbeat=True, exact=True)
        assert (found.routes, found.agree, found.legacy.records, found.modern) == (BACK, True, 0, None)
        switch = Switch(context, entity, OperationKind.CUTOVER, Scope.WRITES)
        closed = [(check.name, check.value) for check in switch.plan().checks if not check.ok]
        assert closed[0] == ("bridge", "not deployed")
        with pytest.raises(PreconditionError, match="bridge is not deployed"):
            switch.execute()
    finally:
        alone.down()
