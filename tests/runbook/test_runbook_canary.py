"""Reads by percentage: sent, shared, watched and taken back, on the real system and on a bare API Gateway."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner
from writes_world import until

from runbook import init as init_service
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.aws.outputs import EntityTarget
from runbook.checks import copy as copy_checks
from runbook.checks import heartbeat, plans
from runbook.commands.cli import app
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.cutover import canary, canary_analysis
from runbook.cutover import reads as service
from runbook.cutover.canary import Move
from runbook.cutover.canary_analysis import CanaryOptions, CanaryVerdict, Figures, Witness, invocations, percentile
from runbook.cutover.command import Scope, Switch
from runbook.cutover.reads import Reads
from runbook.errors import FailedError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.stack import Context
from runbook.status import run as status
from runbook.verify import run as verify

ENTITY = "chefs"
UNWATCHED = CanaryOptions(seconds=0)
QUICK = CanaryOptions(seconds=30, interval=0.05)


@pytest.fixture
def open_gates(monkeypatch):
    """Gates and probes that pass: these tests are about the canary."""
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


@pytest.fixture
def two(bare, open_gates):
    """The bare stack with a second entity, menus, whose reads share the stage."""
    menus = EntityTarget(name="menus", read_function="menus-read-1", write_function="menus-write-1")
    target = dataclasses.replace(bare.target, entities={**bare.target.entities, "menus": menus})
    context = Context.of(target)
    context.routing.set({"menus_reads": "legacy-read-1", "menus_writes": "legacy-write-1"})
    init_service._journal(context, menus)
    return context


def _reads(context, percent, entity=ENTITY, **more):
    return Reads(context, context.target.entity(entity), percent, **{"watch": UNWATCHED, **more})


def _where(context, entity=ENTITY):
    return context.journal.state(entity).reads, context.routing.reads_percent(context.target.entity(entity))


def _settings(context):
    stage = context.clients.apigateway.get_stage(restApiId=context.target.api_id, stageName="prod")
    return stage.get("canarySettings")


def _history(context, entity=ENTITY):
    return [(event.command, event.result) for event in context.journal.events(entity, 100)]


# Routing


@pytest.mark.parametrize("first", [0, 1, 40, 100])
@pytest.mark.parametrize("then", [0, 7, 99, 100])
def test_from_any_percentage_to_any_other(bare, first, then):
    chefs = bare.target.entity(ENTITY)
    bare.routing.send_reads(chefs, first)
    bare.routing.send_reads(chefs, then)
    assert bare.routing.reads_percent(chefs) == then
    assert bare.routing.routes(chefs).reads == {0: Side.LEGACY, 100: Side.MODERN}.get(then, Side.SPLIT)
    assert bare.routing.variables()["another"] == "stays"
    assert (_settings(bare) is None) == (then in {0, 100}), "a canary with nothing to override is taken away"


def test_the_share_is_sent_by_one_call_and_a_second_time_by_none(bare):
    chefs, calls = bare.target.entity(ENTITY), []
    bare.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", lambda **_: calls.append(1))
    for percent in (10, 20, 100, 30, 0):
        calls.clear()
        assert bare.routing.send_reads(chefs, percent)
        assert not bare.routing.send_reads(chefs, percent)
        assert len(calls) == 1


def test_a_busy_stage_is_tried_again(bare):
    told = []

    def fail(**_):
        if not told:
            told.append(1)
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "forced"}}, "UpdateStage")

    bare.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", fail)
    bare.routing.send_reads(bare.target.entity(ENTITY), 10)
    assert told
    assert bare.routing.reads_percent(bare.target.entity(ENTITY)) == 10


def test_sending_reads_to_a_side_takes_them_out_of_the_canary(bare):
    chefs = bare.target.entity(ENTITY)
    bare.routing.send_reads(chefs, 10)
    bare.routing.route(chefs, Routes(writes=Side.MODERN))
    assert bare.routing.reads_percent(chefs) == 10
    bare.routing.route(chefs, Routes(reads=Side.LEGACY, writes=Side.LEGACY))
    assert bare.routing.routes(chefs) == Routes(reads=Side.LEGACY, writes=Side.LEGACY)
    assert _settings(bare) is None


def test_a_fraction_is_never_told_as_nothing_or_all(bare):
    chefs = bare.target.entity(ENTITY)
    for raw, told in (("0.2", 1), ("33.4", 33), ("99.9", 99)):
        bare.routing.send_reads(chefs, 10)
        operation = {"op": "replace", "path": "/canarySettings/percentTraffic", "value": raw}
        bare.clients.apigateway.update_stage(
            restApiId=bare.target.api_id, stageName="prod", patchOperations=[operation]
        )
        assert bare.routing.reads_percent(chefs) == told


def test_after_a_deploy_the_canary_serves_the_new_deployment(bare):
    client, api = bare.clients.apigateway, bare.target.api_id
    old = client.get_stage(restApiId=api, stageName="prod")["deploymentId"]
    bare.routing.send_reads(bare.target.entity(ENTITY), 10)
    new = client.create_deployment(restApiId=api)["id"]
    operations = [("/canarySettings/deploymentId", old), ("/deploymentId", new)]
    for place, value in operations:
        client.update_stage(
            restApiId=api,
            stageName="prod",
            patchOperations=[{"op": "replace", "path": place, "value": value}],
        )
    assert bare.routing.renew_canary()
    assert _settings(bare)["deploymentId"] == new
    assert not bare.routing.renew_canary()


# The command


def test_a_share_is_in_the_journal_and_status_agrees(bare, open_gates):
    done = _reads(bare, 10).execute()
    assert (done.changed, done.percent, _where(bare)) == (True, 10, (10, 10))
    assert _history(bare)[:2] == [
        ("cutover reads --percent 10", "done"),
        ("cutover reads --percent 10", "started"),
    ]
    assert not _reads(bare, 10).execute().changed
    state = bare.journal.state(ENTITY)
    assert (state.operation, state.lock) == (None, None)


@pytest.mark.parametrize("percent", [10, 100])
def test_a_share_that_only_the_journal_has_is_sent_again(bare, open_gates, percent):
    _reads(bare, percent).execute()
    bare.routing.send_reads(bare.target.entity(ENTITY), 0)
    assert _reads(bare, percent).execute().changed
    assert _where(bare) == (percent, percent)


def test_a_plan_changes_nothing(bare, open_gates):
    plan = _reads(bare, 10).plan()
    assert plan.green
    assert next(step.says for step in plan.steps) == "10% of public reads → modern"
    assert _where(bare) == (0, 0)
    assert _reads(bare, 0).plan().steps == []


def test_a_closed_gate_refuses_and_nothing_changes(bare):
    with pytest.raises(PreconditionError):
        _reads(bare, 10).execute()
    assert _where(bare) == (0, 0)
    assert _history(bare)[0] == ("cutover reads --percent 10", "refused")


def test_an_error_of_the_stage_puts_everything_back(bare, open_gates, monkeypatch):
    _reads(bare, 10).execute()
    real = bare.routing.send_reads

    def fail(entity, percent, others=None):
        real(entity, percent, others)
        if percent == 50:
            raise FailedError("the stage is on fire")

    monkeypatch.setattr(bare.routing, "send_reads", fail)
    with pytest.raises(PreconditionError, match="on fire"):
        _reads(bare, 50).execute()
    assert _where(bare) == (10, 10)


def _killed_at(count, context, percent):
    """Run the command in a child that kills itself with -9 before its `count`-th request."""
    child = os.fork()
    if child == 0:
        left = [count]

        def tick(**_):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        for client in (context.clients.dynamodb, context.clients.apigateway, context.clients.sts):
            client._endpoint.http_session.close()  # the connections are the parent's
            client.meta.events.register("before-send.*", tick)
        try:
            _reads(context, percent).execute()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(ended) or os.WEXITSTATUS(ended) == 0
    return os.WIFSIGNALED(ended)


@pytest.mark.parametrize(("before", "percent"), [(0, 30), (30, 0)])
def test_killed_anywhere_the_same_command_again_ends_as_one_clean_run(bare, open_gates, before, percent):
    count, killed = 0, True
    while killed:
        count += 1
        _reads(bare, before).execute()
        killed = _killed_at(count, bare, percent)
        plan, done = _reads(bare, percent).plan(), _reads(bare, percent).execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.resumed.result if done.resumed else None)
        assert bool(plan.steps) == done.changed
        state = bare.journal.state(ENTITY)
        assert (_where(bare), state.operation, state.lock) == ((percent, percent), None, None), count
    assert count > 8, "it was killed at all its boundaries"


# Entities that share the percentage


def test_the_percentage_of_another_entity_is_not_changed_unasked(two):
    _reads(two, 20, "menus").execute()
    with pytest.raises(RefusedError, match="menus at 20%") as refused:
        _reads(two, 10).execute()
    assert "--shared" in refused.value.remedy
    assert (_where(two), _where(two, "menus")) == ((0, 0), (20, 20))
    gate = _reads(two, 10).plan().checks[-1]
    assert (gate.name, gate.ok, gate.value) == ("canary", False, "menus at 20%")


def test_the_same_percentage_as_another_entity_needs_no_permission(two):
    _reads(two, 20, "menus").execute()
    done = _reads(two, 20).execute()
    assert done.shares_with == ["menus"]
    assert (_where(two), _where(two, "menus")) == ((20, 20), (20, 20))


def test_shared_takes_the_others_along_in_their_journals_too(two):
    _reads(two, 20, "menus").execute()
    _reads(two, 30, shared=True).execute()
    assert (_where(two), _where(two, "menus")) == ((30, 30), (30, 30))
    assert _history(two, "menus")[0] == ("cutover reads --shared", "done")


@pytest.mark.parametrize("percent", [0, 100])
def test_leaving_the_canary_leaves_the_others_in_it(two, percent):
    for entity in (ENTITY, "menus"):
        _reads(two, 20, entity).execute()
    _reads(two, percent).execute()
    assert (_where(two), _where(two, "menus")) == ((percent, percent), (20, 20))
    assert _settings(two)["stageVariableOverrides"] == {"menus_reads": "menus-read-1"}


@pytest.mark.parametrize("before", [0, 20])
def test_a_shared_change_that_fails_puts_all_of_them_back(two, monkeypatch, before):
    _reads(two, 20, "menus").execute()
    _reads(two, before).execute()
    real = two.routing.send_reads

    def fail(entity, percent, others=None):
        real(entity, percent, others)
        if percent == 30:
            raise FailedError("the stage is on fire")

    monkeypatch.setattr(two.routing, "send_reads", fail)
    with pytest.raises(PreconditionError, match="on fire"):
        _reads(two, 30, shared=True).execute()
    assert (_where(two), _where(two, "menus")) == ((before, before), (20, 20))


def test_shared_does_not_touch_an_entity_that_another_operator_holds(two):
    _reads(two, 20, "menus").execute()
    with (
        locks.held(two.journal, "menus", "another", "something"),
        pytest.raises(PreconditionError, match="locked"),
    ):
        _reads(two, 30, shared=True).execute()
    assert (_where(two), _where(two, "menus")) == ((0, 0), (20, 20))


def test_two_operators_at_once_cannot_overlook_each_other(two):
    """Each looks under the canary's lock, so that whoever is second sees the first."""
    endings = {}

    def run(entity, percent):
        context = Context.of(two.target)
        try:
            endings[entity] = _reads(context, percent, entity).execute().percent
        except (RefusedError, PreconditionError) as error:
            endings[entity] = error.message

    threads = [threading.Thread(target=run, args=each) for each in ((ENTITY, 10), ("menus", 60))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moved = {name for name, ending in endings.items() if isinstance(ending, int)}
    assert len(moved) == 1, endings
    for name, percent in ((ENTITY, 10), ("menus", 60)):
        assert _where(two, name) == ((percent, percent) if name in moved else (0, 0))


def test_two_who_leave_the_canary_at_once_take_it_along(two):
    """A rollback of reads and writes takes no lock but its entity's."""
    for entity in (ENTITY, "menus"):
        two.routing.send_reads(two.target.entity(entity), 20)
    other, left = Context.of(two.target), []

    def leave(**_):
        if not left:
            left.append("menus")
            other.routing.route(other.target.entity("menus"), Routes(reads=Side.LEGACY))

    two.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", leave)
    two.routing.route(two.target.entity(ENTITY), Routes(reads=Side.LEGACY))
    assert left == ["menus"]
    assert _settings(two) is None


@pytest.mark.parametrize("gone", [True, False])
def test_a_patch_that_is_refused_counts_only_while_the_stage_is_as_it_was_read(two, gone):
    chefs, told = two.target.entity(ENTITY), []
    two.routing.send_reads(chefs, 20)
    other = Context.of(two.target)

    def refuse(**_):
        if not told:
            told.append("refused")
            if gone:
                other.routing.route(chefs, Routes(reads=Side.LEGACY))
            raise ClientError({"Error": {"Code": "BadRequestException", "Message": "forced"}}, "UpdateStage")

    two.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", refuse)
    if gone:
        assert not two.routing.route(chefs, Routes(reads=Side.LEGACY))
    else:
        with pytest.raises(ClientError, match="forced"):
            two.routing.route(chefs, Routes(reads=Side.LEGACY))


def test_a_canary_that_is_not_the_runbooks_is_left_alone(bare, open_gates):
    operation = {"op": "replace", "path": "/canarySettings/stageVariableOverrides/another", "value": "x"}
    bare.clients.apigateway.update_stage(restApiId=bare.target.api_id, stageName="prod", patchOperations=[operation])
    with pytest.raises(RefusedError, match="another"):
        _reads(bare, 10).execute()
    _reads(bare, 100).execute()
    assert _settings(bare)["stageVariableOverrides"] == {"another": "x"}


# What a watch objects to


def _figures(count=100, failures=0, p90=50.0):
    return Figures(count=count, failures=failures, p90=p90)


@pytest.mark.parametrize(
    ("modern", "legacy", "options", "objects"),
    [
        (_figures(), _figures(), CanaryOptions(), ""),
        (_figures(failures=2), _figures(), CanaryOptions(), "2 of 100 requests failed (2.0%, at most 1.0%)"),
        (_figures(count=20, failures=1), _figures(), CanaryOptions(), ""),
        (_figures(failures=1), _figures(), CanaryOptions(max_errors=0), "1 of 100"),
        (_figures(failures=4), _figures(), CanaryOptions(max_errors=0.05), ""),
        (_figures(p90=499), _figures(p90=20), CanaryOptions(), ""),
        (_figures(p90=501), _figures(p90=20), CanaryOptions(), "501 ms, at most 500 ms; legacy's is 20 ms"),
        (_figures(p90=1000), _figures(p90=400), CanaryOptions(), ""),
        (_figures(p90=1300), _figures(p90=400), CanaryOptions(), "at most 1200 ms"),
        (_figures(p90=60), _figures(), CanaryOptions(max_latency=55), "at most 55 ms"),
        (_figures(count=9, p90=9000), _figures(), CanaryOptions(), ""),
        (_figures(p90=600), Figures(), CanaryOptions(), "legacy's is unknown"),
    ],
)
def test_what_modern_is_held_to(modern, legacy, options, objects):
    told = Witness(name="requests", modern=modern, legacy=legacy).objection(options)
    assert (objects in told) if objects else told == ""


def test_the_90th_percentile():
    assert percentile([]) is None
    assert percentile([7.0]) == 7.0
    assert percentile([float(each) for each in range(101)]) == 90.0


# The watch's ending, without a system to watch


def _verdict(passed, reason=""):
    witness = Witness(name="requests", modern=_figures(), legacy=_figures())
    return CanaryVerdict(entity=ENTITY, passed=passed, reason=reason, seconds=1, requests=witness, functions=witness)


def _watch(monkeypatch, ending):
    def watch_all(*_):
        if isinstance(ending, BaseException):
            raise ending
        return ending

    monkeypatch.setattr(service, "watch_all", watch_all)


def test_a_watch_that_passes_keeps_the_share(bare, open_gates, monkeypatch):
    _watch(monkeypatch, _verdict(True))
    assert _reads(bare, 10, watch=QUICK).execute().verdict.passed
    assert _where(bare) == (10, 10)
    assert _history(bare)[0][1] == "watch passed"


@pytest.mark.parametrize("ending", [_verdict(False, "too slow"), OSError("no network")])
@pytest.mark.parametrize("percent", [10, 100])
def test_a_watch_that_fails_takes_all_reads_back(bare, open_gates, monkeypatch, ending, percent):
    _watch(monkeypatch, ending)
    with pytest.raises(PreconditionError, match=r"too slow|no network"):
        _reads(bare, percent, watch=QUICK).execute()
    assert _where(bare) == (0, 0)
    assert [result for _, result in _history(bare)][:4] == ["done", "started", "watch failed", "watching"]


def test_a_shared_watch_that_fails_takes_everybody_back(two, monkeypatch):
    _reads(two, 20, "menus").execute()
    _watch(monkeypatch, _verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="too slow"):
        _reads(two, 30, shared=True, watch=QUICK).execute()
    assert (_where(two), _where(two, "menus"), _settings(two)) == ((0, 0), (0, 0), None)


def test_an_interrupted_watch_leaves_the_share_and_the_journal_says_so(bare, open_gates, monkeypatch):
    _watch(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        _reads(bare, 10, watch=QUICK).execute()
    assert _where(bare) == (10, 10)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == ("watch interrupted", "10% of reads stay on modern")
    assert bare.journal.state(ENTITY).lock is None


def test_a_watch_that_is_killed_leaves_the_share_and_the_journal_has_said_so(bare, open_gates, monkeypatch):
    child = os.fork()
    if child == 0:
        for client in (bare.clients.dynamodb, bare.clients.apigateway, bare.clients.sts):
            client._endpoint.http_session.close()
        monkeypatch.setattr(service, "watch_all", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        _reads(bare, 10, watch=QUICK).execute()
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert _where(bare) == (10, 10)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == (
        "watching",
        "10% of reads stay on modern should the watch be killed",
    )
    _watch(monkeypatch, _verdict(True))
    assert _reads(bare, 10, watch=QUICK).execute().verdict.passed, "the same command watches again"


def test_what_is_under_way_elsewhere_is_waited_for_before_reads_go_back(bare, open_gates, monkeypatch):
    monkeypatch.setattr(canary, "RETRY_SECONDS", 0.01)
    held, real = [], locks.held

    def busy_at_first(journal, entity, holder, command):
        if command == service.TAKE_BACK and len(held) < 3:
            held.append(1)
            raise RefusedError("chefs is locked")
        return real(journal, entity, holder, command)

    monkeypatch.setattr(canary, "held", busy_at_first)
    _watch(monkeypatch, _verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="too slow"):
        _reads(bare, 10, watch=QUICK).execute()
    assert (_where(bare), len(held)) == ((0, 0), 3)


@pytest.mark.parametrize("fails", [RefusedError("menus is locked"), FailedError("the API stage is odd")])
def test_reads_that_cannot_be_taken_back_are_told_with_the_command_and_the_others_go(two, monkeypatch, fails):
    monkeypatch.setattr(service, "TAKE_BACK_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(canary, "RETRY_SECONDS", 0.0)
    _reads(two, 20, "menus").execute()
    real = locks.held

    def held(journal, entity, holder, command):
        if command == service.TAKE_BACK and entity == "menus":
            raise fails
        return real(journal, entity, holder, command)

    monkeypatch.setattr(canary, "held", held)
    _watch(monkeypatch, _verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="30% of reads of menus are still on modern") as told:
        _reads(two, 30, shared=True, watch=QUICK).execute()
    assert "too slow" in told.value.message
    assert "`runbook rollback reads --entity menus --execute`" in told.value.remedy
    assert (_where(two), _where(two, "menus")) == ((0, 0), (30, 30))
    event = two.journal.events("menus", 1)[0]
    assert event.result == "reads not taken back"
    assert "`runbook rollback reads --entity menus --execute`" in event.details["reason"]


# The real system


@pytest.fixture(scope="module")
def road(prepared):
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


def test_no_read_goes_to_modern_before_copy_has_brought_everything_there(road, runbook, monkeypatch):
    chefs = road.target.entity(ENTITY)
    monkeypatch.setattr(copy_checks, "VERIFY_SECONDS", 0)
    refused = runbook("cutover", "reads", "--percent", "5", "--watch", "0", "--entity", ENTITY, "--execute")
    assert (refused.exit_code, _where(road)) == (4, (0, 0))
    assert "last verify is clean" in refused.output
    monkeypatch.undo()
    control.stop(road, chefs)
    try:
        refused = runbook("cutover", "reads", "--percent", "5", "--watch", "0", "--entity", ENTITY, "--execute")
        assert (refused.exit_code, _where(road)) == (4, (0, 0))
        assert "copy is stopped" in refused.output
    finally:
        control.start(road, chefs, CopyLimits(), again=False)
    until(lambda: all(check.ok for check in copy_checks.checks(road, chefs)))


@pytest.fixture
def runbook(road, sandbox, tmp_path):
    """Runs a command against the sandbox; afterwards no entity has reads on modern."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--outputs", str(saved)], env={"COLUMNS": "200"})

    yield run
    for name in road.target.entities:
        done = run("cutover", "reads", "--percent", "0", "--entity", name, "--execute")
        assert done.exit_code == 0, done.output


@pytest.fixture
def broken(road):
    """Chefs' modern read function, which names no table any more; mended afterwards."""
    client, name = road.clients.functions, road.target.entity(ENTITY).read_function
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**before, "TABLE_NAME": "no-such-table"}}
    )
    yield name
    client.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def test_public_reads_are_split_by_the_percentage(road, runbook):
    """Legacy's and modern's cursors tell who answered."""
    for name in ("A", "B"):
        road.api.request("POST", path("aurora", ENTITY), {"firstName": name})
        road.api.request("POST", path("dynamo", ENTITY), {"firstName": name})
    cursors = {
        side: road.api.get(path(system, ENTITY), limit=1).body["cursor"]
        for side, system in (("legacy", "aurora"), ("modern", "dynamo"))
    }
    assert (
        runbook("cutover", "reads", "--percent", "30", "--watch", "0", "--entity", ENTITY, "--execute").exit_code == 0
    )
    # The cursor of one system is a bad request at the other.
    answers = Counter(road.api.get(path(ENTITY), limit=1, cursor=cursors["modern"]).status for _ in range(200))
    assert set(answers) == {200, 400}
    assert 26 <= answers[200] <= 95, "outside of it once in some ten million runs"
    shown = runbook("status", "--entity", ENTITY).stdout
    assert "30% on modern" in shown
    assert status(road, road.target.entity(ENTITY), send_probe=False, exact=True).agree


def test_two_entities_share_the_percentage_on_the_real_system(road, runbook):
    percent = ("cutover", "reads", "--watch", "0", "--execute", "--percent")
    assert runbook(*percent, "20", "--entity", "specimens").exit_code == 0
    refused = runbook(*percent, "40", "--entity", ENTITY)
    assert refused.exit_code == 5
    assert "specimens at 20%" in refused.output
    assert "--shared" in refused.output
    done = runbook(*percent, "40", "--entity", ENTITY, "--shared")
    assert done.exit_code == 0, done.output
    assert "specimens" in done.stdout
    assert [_where(road, name) for name in (ENTITY, "specimens")] == [(40, 40), (40, 40)]
    plan = json.loads(runbook("cutover", "reads", "--percent", "5", "--entity", ENTITY, "--json").stdout)
    assert (plan["green"], plan["checks"][-1]["value"]) == (False, "specimens at 40%")


def test_a_healthy_modern_passes_the_watch(road, runbook):
    done = runbook("cutover", "reads", "--percent", "10", "--watch", "2", "--entity", ENTITY, "--execute", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["verdict"]["passed"]
    assert told["verdict"]["requests"]["modern"]["count"] >= 2
    assert (told["percent"], _where(road)) == (10, (10, 10))


def test_a_modern_that_fails_is_found_and_reads_go_back(road, runbook, broken, monkeypatch):
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    watched = runbook("cutover", "reads", "--percent", "50", "--watch", "60", "--entity", ENTITY, "--execute")
    assert watched.exit_code == 4
    assert "requests failed (100.0%, at most 1.0%); of legacy's 0 of" in watched.output
    assert _where(road) == (0, 0)
    events = road.journal.events(ENTITY, 3)
    assert [event.result for event in events] == ["done", "started", "watch failed"]
    assert "failed (100.0%" in events[-1].details["reason"]


def test_a_modern_that_is_too_slow_is_found(road):
    verdict = canary_analysis.watch_all(
        road, [road.target.entity(ENTITY)], CanaryOptions(seconds=60, max_latency=0.001, interval=0.02)
    )
    assert not verdict.passed
    assert "90th percentile" in verdict.reason


@pytest.fixture
def forbidden(road):
    """Chefs' modern read function, which API Gateway may not call by the public path; mended afterwards."""
    client, name = road.clients.functions, road.target.entity(ENTITY).read_function
    policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
    taken = [
        one for one in policy["Statement"] if one["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(f"/GET/{ENTITY}")
    ]
    assert len(taken) == 1, policy
    client.remove_permission(FunctionName=name, StatementId=taken[0]["Sid"])
    yield
    for one in taken:
        client.add_permission(
            FunctionName=name,
            StatementId=one["Sid"],
            Action=one["Action"],
            Principal="apigateway.amazonaws.com",
            SourceArn=one["Condition"]["ArnLike"]["AWS:SourceArn"],
        )


def test_a_public_path_that_cannot_reach_modern_is_found_and_reads_go_back(road, runbook, forbidden, monkeypatch):
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    watched = runbook("cutover", "reads", "--watch", "60", "--entity", ENTITY, "--execute")
    assert watched.exit_code == 4
    assert "public requests failed" in watched.output
    assert _where(road) == (0, 0)
    assert road.api.get(path(ENTITY), limit=1).status == 200


def test_lambdas_own_count_is_a_witness_too(road, broken, monkeypatch):
    """What fails without any request of ours being among it."""
    monkeypatch.setattr(canary_analysis, "LAMBDA_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(
        canary_analysis,
        "invocations",
        lambda client, function, _: _figures(failures=40 if function == broken else 0),
    )
    monkeypatch.setattr(canary_analysis.Requests, "send", lambda _: None)
    verdict = canary_analysis.watch_all(road, [road.target.entity(ENTITY)], QUICK)
    assert verdict.reason.startswith("40 of 100 invocations failed")


def test_lambdas_count_is_read_from_the_first_whole_minute(road):
    name = road.target.entity(ENTITY).read_function
    for _ in range(3):
        assert road.api.get(path("dynamo", ENTITY), limit=1).status == 200
    client, now = road.clients.cloudwatch, datetime.now(UTC)
    found = invocations(client, name, now - timedelta(hours=1))
    assert found.count >= 3
    assert found.p90 > 0
    assert invocations(client, name, now + timedelta(minutes=1)).count == 0
    assert invocations(client, "", now) == Figures()


def test_an_operation_in_the_journal_holds_all_that_its_steps_need(bare):
    move = Move(percent=30, before=10, shared=True, others=20)
    assert Move.read(move.written()) == move
    assert Move.known(move.written())
    assert not Move.known({"verb": "cutover", "scope": "reads"})
    steps = canary.steps(bare, bare.target.entity(ENTITY), None, move)
    assert [step.name for step in steps] == ["share", "record-share"]


@pytest.mark.parametrize("scope", ["reads", "both"])
def test_any_other_command_settles_a_half_done_move_first(bare, open_gates, monkeypatch, scope):
    with monkeypatch.context() as patched:
        patched.setattr(canary._Moving, "record", lambda _: (_ for _ in ()).throw(FailedError("no")))
        with pytest.raises(FailedError):
            _reads(bare, 10).execute()
    switch = Switch(bare, bare.target.entity(ENTITY), "rollback", Scope(scope))
    assert switch.plan().pending_result == "finished"
    done = switch.execute()
    assert done.resumed.result == "done"
    assert _where(bare) == (0, 0)
