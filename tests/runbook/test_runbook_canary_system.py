"""Reads by percentage on the real system: split, shared, watched and taken back."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from reads_world import ENTITY, QUICK, figures, where
from typer.testing import CliRunner
from writes_world import until

from runbook.aws.http import path
from runbook.checks import copy as copy_checks
from runbook.checks import plans
from runbook.commands.cli import app
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.cutover import canary_analysis
from runbook.cutover.canary_analysis import CanaryOptions, Figures, invocations
from runbook.status import run as status
from runbook.verify import run as verify

# The real system


@pytest.fixture(scope="module")
def live(prepared):
    """The context of the shared sandbox, with copy of every entity running, caught up and verified."""
    entities = list(prepared.target.entities.values())
    for entity in entities:
        control.start(prepared, entity, CopyLimits(), again=False)
    for entity in entities:
        until(lambda one=entity: all(check.ok for check in copy_checks.checks(prepared, one)[:-1]))
        assert verify.run(prepared, entity, verify.VerifyOptions()).clean
    yield prepared
    for entity in entities:
        control.stop(prepared, entity)


def test_no_read_goes_to_modern_before_copy_has_brought_everything_there(live, runbook, monkeypatch):
    chefs = live.target.entity(ENTITY)
    monkeypatch.setattr(copy_checks, "VERIFY_SECONDS", 0)
    refused = runbook("cutover", "reads", "--percent", "5", "--watch", "0", "--entity", ENTITY, "--execute")
    assert (refused.exit_code, where(live)) == (4, (0, 0))
    assert "last verify is clean" in refused.output
    monkeypatch.undo()
    control.stop(live, chefs)
    try:
        refused = runbook("cutover", "reads", "--percent", "5", "--watch", "0", "--entity", ENTITY, "--execute")
        assert (refused.exit_code, where(live)) == (4, (0, 0))
        assert "copy is stopped" in refused.output
    finally:
        control.start(live, chefs, CopyLimits(), again=False)
    until(lambda: all(check.ok for check in copy_checks.checks(live, chefs)))


@pytest.fixture
def runbook(live, sandbox, tmp_path):
    """Runs a command against the sandbox; afterwards no entity has reads on modern."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--outputs", str(saved)], env={"COLUMNS": "200"})

    yield run
    for name in live.target.entities:
        done = run("cutover", "reads", "--percent", "0", "--entity", name, "--execute")
        assert done.exit_code == 0, done.output


@pytest.fixture
def broken(live):
    """Chefs' modern read function, which names no table any more; corrected afterwards."""
    client, name = live.clients.functions, live.target.entity(ENTITY).read_function
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**before, "TABLE_NAME": "no-such-table"}}
    )
    yield name
    client.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def test_public_reads_are_split_by_the_percentage(live, runbook):
    """Legacy's and modern's cursors show which system answered."""
    for name in ("A", "B"):
        live.api.request("POST", path("aurora", ENTITY), {"firstName": name})
        live.api.request("POST", path("dynamo", ENTITY), {"firstName": name})
    cursors = {
        side: live.api.get(path(system, ENTITY), limit=1).body["cursor"]
        for side, system in (("legacy", "aurora"), ("modern", "dynamo"))
    }
    assert (
        runbook("cutover", "reads", "--percent", "30", "--watch", "0", "--entity", ENTITY, "--execute").exit_code == 0
    )
    # The cursor of one system is a bad request at the other.
    answers = Counter(live.api.get(path(ENTITY), limit=1, cursor=cursors["modern"]).status for _ in range(200))
    assert set(answers) == {200, 400}
    assert 26 <= answers[200] <= 95, "outside of it once in some ten million runs"
    shown = runbook("status", "--entity", ENTITY).stdout
    assert "30% on modern" in shown
    assert status(live, live.target.entity(ENTITY), send_heartbeat=False, exact=True).agree


@pytest.mark.long
def test_two_entities_share_the_percentage_on_the_real_system(live, runbook):
    percent = ("cutover", "reads", "--watch", "0", "--execute", "--percent")
    assert runbook(*percent, "20", "--entity", "specimens").exit_code == 0
    refused = runbook(*percent, "40", "--entity", ENTITY)
    assert refused.exit_code == 5
    assert "specimens at 20%" in refused.output
    assert "--shared" in refused.output
    done = runbook(*percent, "40", "--entity", ENTITY, "--shared")
    assert done.exit_code == 0, done.output
    assert "specimens" in done.stdout
    assert [where(live, name) for name in (ENTITY, "specimens")] == [(40, 40), (40, 40)]
    plan = json.loads(runbook("cutover", "reads", "--percent", "5", "--entity", ENTITY, "--json").stdout)
    assert (plan["green"], plan["checks"][-1]["value"]) == (False, "specimens at 40%")


def test_a_healthy_modern_passes_the_watch(live, runbook):
    done = runbook("cutover", "reads", "--percent", "10", "--watch", "2", "--entity", ENTITY, "--execute", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["verdict"]["passed"]
    assert said["verdict"]["requests"]["modern"]["count"] >= 2
    assert (said["percent"], where(live)) == (10, (10, 10))


def test_a_modern_that_fails_is_found_and_reads_go_back(live, runbook, broken, monkeypatch):
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    watched = runbook("cutover", "reads", "--percent", "50", "--watch", "60", "--entity", ENTITY, "--execute")
    assert watched.exit_code == 4
    assert "requests failed (100.0%, at most 1.0%); of legacy's 0 of" in watched.output
    assert where(live) == (0, 0)
    events = live.journal.events(ENTITY, 3)
    assert [event.result for event in events] == ["done", "started", "watch failed"]
    assert "failed (100.0%" in events[-1].details["reason"]


@pytest.mark.long
def test_a_modern_that_is_too_slow_is_found(live):
    verdict = canary_analysis.watch_all(
        live, [live.target.entity(ENTITY)], CanaryOptions(seconds=60, max_latency=0.001, interval=0.02)
    )
    assert not verdict.passed
    assert "90th percentile" in verdict.reason


@pytest.fixture
def forbidden(live):
    """Chefs' modern read function, which API Gateway may not call by the public path; corrected afterwards."""
    client, name = live.clients.functions, live.target.entity(ENTITY).read_function
    (own,) = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    source = own["Condition"]["ArnLike"]["AWS:SourceArn"]

    def allow(sid: str, source: str) -> None:
        client.add_permission(
            FunctionName=name,
            StatementId=sid,
            Action=own["Action"],
            Principal="apigateway.amazonaws.com",
            SourceArn=source,
        )

    allow("fixed", source.replace(f"/GET/*{ENTITY}*", "/GET/dynamo/*"))
    client.remove_permission(FunctionName=name, StatementId=own["Sid"])
    yield
    allow(own["Sid"], source)
    client.remove_permission(FunctionName=name, StatementId="fixed")


def test_a_public_path_that_cannot_reach_modern_is_found_and_reads_go_back(live, runbook, forbidden, monkeypatch):
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    watched = runbook("cutover", "reads", "--watch", "60", "--entity", ENTITY, "--execute")
    assert watched.exit_code == 4
    assert "public requests failed" in watched.output
    assert where(live) == (0, 0)
    assert live.api.get(path(ENTITY), limit=1).status == 200


def test_lambdas_own_count_is_a_witness_too(live, broken, monkeypatch):
    """What fails without any request of ours being among it."""
    monkeypatch.setattr(canary_analysis, "LAMBDA_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(
        canary_analysis, "invocations", lambda client, function, _: figures(failures=40 if function == broken else 0)
    )
    monkeypatch.setattr(canary_analysis.Requests, "send", lambda _: None)
    verdict = canary_analysis.watch_all(live, [live.target.entity(ENTITY)], QUICK)
    assert verdict.reason.startswith("40 of 100 invocations failed")


def test_lambdas_count_is_read_from_the_first_whole_minute(live):
    name = live.target.entity(ENTITY).read_function
    for _ in range(3):
        assert live.api.get(path("dynamo", ENTITY), limit=1).status == 200
    client, now = live.clients.cloudwatch, datetime.now(UTC)
    found = invocations(client, name, now - timedelta(hours=1))
    assert found.count >= 3
    assert found.p90 > 0
    assert invocations(client, name, now + timedelta(minutes=1)).count == 0
    assert invocations(client, "", now) == Figures()
