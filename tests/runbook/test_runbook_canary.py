"""Reads by percentage on a bare API Gateway: sent, recorded, shared, and resumed after a kill."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError
from killed import killed_at
from reads_world import ENTITY, history, reads, settings, where
from sweep import BEFORE_FIRST, EVERY

from runbook.aws.api_gateway import Routes, Side
from runbook.cutover import canary
from runbook.cutover.canary import Move
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import OperationKind
from runbook.errors import FailedError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.stack import Context

SERVICES = ["dynamodb", "apigateway", "sts"]

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
    assert (settings(bare) is None) == (then in {0, 100}), "a canary with nothing to override is taken away"


def test_the_share_is_sent_by_one_call_and_a_second_time_by_none(bare):
    chefs, calls = bare.target.entity(ENTITY), []
    bare.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", lambda **_: calls.append(1))
    for percent in (10, 20, 100, 30, 0):
        calls.clear()
        assert bare.routing.send_reads(chefs, percent)
        assert not bare.routing.send_reads(chefs, percent)
        assert len(calls) == 1


def test_a_busy_stage_is_tried_again(bare):
    said = []

    def fail(**_):
        if not said:
            said.append(1)
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "forced"}}, "UpdateStage")

    bare.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", fail)
    bare.routing.send_reads(bare.target.entity(ENTITY), 10)
    assert said
    assert bare.routing.reads_percent(bare.target.entity(ENTITY)) == 10


def test_sending_reads_to_a_side_takes_them_out_of_the_canary(bare):
    chefs = bare.target.entity(ENTITY)
    bare.routing.send_reads(chefs, 10)
    bare.routing.route(chefs, Routes(writes=Side.MODERN))
    assert bare.routing.reads_percent(chefs) == 10
    bare.routing.route(chefs, Routes(reads=Side.LEGACY, writes=Side.LEGACY))
    assert bare.routing.routes(chefs) == Routes(reads=Side.LEGACY, writes=Side.LEGACY)
    assert settings(bare) is None


def test_a_fraction_is_never_reported_as_nothing_or_all(bare):
    chefs = bare.target.entity(ENTITY)
    for raw, said in (("0.2", 1), ("33.4", 33), ("99.9", 99)):
        bare.routing.send_reads(chefs, 10)
        operation = {"op": "replace", "path": "/canarySettings/percentTraffic", "value": raw}
        bare.clients.apigateway.update_stage(
            restApiId=bare.target.api_id, stageName="prod", patchOperations=[operation]
        )
        assert bare.routing.reads_percent(chefs) == said


def test_after_a_deploy_the_canary_serves_the_new_deployment(bare):
    client, api = bare.clients.apigateway, bare.target.api_id
    old = client.get_stage(restApiId=api, stageName="prod")["deploymentId"]
    bare.routing.send_reads(bare.target.entity(ENTITY), 10)
    new = client.create_deployment(restApiId=api)["id"]
    operations = [("/canarySettings/deploymentId", old), ("/deploymentId", new)]
    for place, value in operations:
        client.update_stage(
            restApiId=api, stageName="prod", patchOperations=[{"op": "replace", "path": place, "value": value}]
        )
    assert bare.routing.renew_canary()
    assert settings(bare)["deploymentId"] == new
    assert not bare.routing.renew_canary()


# The command


def test_a_share_is_in_the_journal_and_status_agrees(bare, open_checks):
    done = reads(bare, 10).execute()
    assert (done.changed, done.percent, where(bare)) == (True, 10, (10, 10))
    assert history(bare)[:2] == [("cutover reads --percent 10", "done"), ("cutover reads --percent 10", "started")]
    assert not reads(bare, 10).execute().changed
    state = bare.journal.state(ENTITY)
    assert (state.operation, state.lock) == (None, None)


@pytest.mark.parametrize("percent", [10, 100])
def test_a_share_that_only_the_journal_has_is_sent_again(bare, open_checks, percent):
    reads(bare, percent).execute()
    bare.routing.send_reads(bare.target.entity(ENTITY), 0)
    assert reads(bare, percent).execute().changed
    assert where(bare) == (percent, percent)


def test_a_plan_changes_nothing(bare, open_checks):
    plan = reads(bare, 10).plan()
    assert plan.green
    assert next(step.says for step in plan.steps) == "10% of public reads → modern"
    assert where(bare) == (0, 0)
    assert reads(bare, 0).plan().steps == []


def test_a_closed_gate_refuses_and_nothing_changes(bare):
    with pytest.raises(PreconditionError):
        reads(bare, 10).execute()
    assert where(bare) == (0, 0)
    assert history(bare)[0] == ("cutover reads --percent 10", "refused")


def test_an_error_of_the_stage_puts_everything_back(bare, open_checks, monkeypatch):
    reads(bare, 10).execute()
    real = bare.routing.send_reads

    def fail(entity, percent, others=None):
        real(entity, percent, others)
        if percent == 50:
            raise FailedError("the stage is on fire")

    monkeypatch.setattr(bare.routing, "send_reads", fail)
    with pytest.raises(PreconditionError, match="on fire"):
        reads(bare, 50).execute()
    assert where(bare) == (10, 10)


@pytest.mark.sweep
@pytest.mark.parametrize(("before", "percent"), [(0, 30), (30, 0)])
def test_killed_anywhere_the_same_command_again_ends_as_one_clean_run(bare, open_checks, before, percent):
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        reads(bare, before).execute()
        killed = killed_at(count, lambda: bare, SERVICES, lambda context: reads(context, percent).execute())
        plan, done = reads(bare, percent).plan(), reads(bare, percent).execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.resumed.result if done.resumed else None)
        assert bool(plan.steps) == done.changed
        state = bare.journal.state(ENTITY)
        assert (where(bare), state.operation, state.lock) == ((percent, percent), None, None), count
    assert count > 8, "it was killed at all its boundaries"


# Entities that share the percentage


def test_the_percentage_of_another_entity_is_not_changed_unasked(two):
    reads(two, 20, "menus").execute()
    with pytest.raises(RefusedError, match="menus at 20%") as refused:
        reads(two, 10).execute()
    assert "--shared" in refused.value.remedy
    assert (where(two), where(two, "menus")) == ((0, 0), (20, 20))
    gate = reads(two, 10).plan().checks[-1]
    assert (gate.name, gate.ok, gate.value) == ("canary", False, "menus at 20%")


def test_the_same_percentage_as_another_entity_needs_no_permission(two):
    reads(two, 20, "menus").execute()
    done = reads(two, 20).execute()
    assert done.shares_with == ["menus"]
    assert (where(two), where(two, "menus")) == ((20, 20), (20, 20))


def test_shared_takes_the_others_along_in_their_journals_too(two):
    reads(two, 20, "menus").execute()
    reads(two, 30, shared=True).execute()
    assert (where(two), where(two, "menus")) == ((30, 30), (30, 30))
    assert history(two, "menus")[0] == ("cutover reads --shared", "done")


@pytest.mark.parametrize("percent", [0, 100])
def test_leaving_the_canary_leaves_the_others_in_it(two, percent):
    for entity in (ENTITY, "menus"):
        reads(two, 20, entity).execute()
    reads(two, percent).execute()
    assert (where(two), where(two, "menus")) == ((percent, percent), (20, 20))
    assert settings(two)["stageVariableOverrides"] == {"menus_reads": "menus-read-1"}


@pytest.mark.parametrize("before", [0, 20])
def test_a_shared_change_that_fails_puts_all_of_them_back(two, monkeypatch, before):
    reads(two, 20, "menus").execute()
    reads(two, before).execute()
    real = two.routing.send_reads

    def fail(entity, percent, others=None):
        real(entity, percent, others)
        if percent == 30:
            raise FailedError("the stage is on fire")

    monkeypatch.setattr(two.routing, "send_reads", fail)
    with pytest.raises(PreconditionError, match="on fire"):
        reads(two, 30, shared=True).execute()
    assert (where(two), where(two, "menus")) == ((before, before), (20, 20))


def test_shared_does_not_touch_an_entity_that_another_operator_holds(two):
    reads(two, 20, "menus").execute()
    with locks.held(two.journal, "menus", "another", "something"), pytest.raises(PreconditionError, match="locked"):
        reads(two, 30, shared=True).execute()
    assert (where(two), where(two, "menus")) == ((0, 0), (20, 20))


def test_two_operators_at_once_cannot_overlook_each_other(two):
    """Each looks under the canary's lock, so that the second sees the first."""
    endings = {}

    def run(entity, percent):
        context = Context.of(two.target)
        try:
            endings[entity] = reads(context, percent, entity).execute().percent
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
        assert where(two, name) == ((percent, percent) if name in moved else (0, 0))


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
    assert settings(two) is None


@pytest.mark.parametrize("gone", [True, False])
def test_a_patch_that_is_refused_counts_only_while_the_stage_is_as_it_was_read(two, gone):
    chefs, said = two.target.entity(ENTITY), []
    two.routing.send_reads(chefs, 20)
    other = Context.of(two.target)

    def refuse(**_):
        if not said:
            said.append("refused")
            if gone:
                other.routing.route(chefs, Routes(reads=Side.LEGACY))
            raise ClientError({"Error": {"Code": "BadRequestException", "Message": "forced"}}, "UpdateStage")

    two.clients.apigateway.meta.events.register("before-call.api-gateway.UpdateStage", refuse)
    if gone:
        assert not two.routing.route(chefs, Routes(reads=Side.LEGACY))
    else:
        with pytest.raises(ClientError, match="forced"):
            two.routing.route(chefs, Routes(reads=Side.LEGACY))


def test_a_canary_that_is_not_the_runbooks_is_left_alone(bare, open_checks):
    operation = {"op": "replace", "path": "/canarySettings/stageVariableOverrides/another", "value": "x"}
    bare.clients.apigateway.update_stage(restApiId=bare.target.api_id, stageName="prod", patchOperations=[operation])
    with pytest.raises(RefusedError, match="another"):
        reads(bare, 10).execute()
    reads(bare, 100).execute()
    assert settings(bare)["stageVariableOverrides"] == {"another": "x"}


def test_an_operation_in_the_journal_holds_all_that_its_steps_need(bare):
    move = Move(percent=30, before=10, shared=True, others=20)
    assert Move.read(move.written()) == move
    assert Move.known(move.written())
    assert not Move.known({"verb": "cutover", "scope": "reads"})
    steps = canary.steps(bare, bare.target.entity(ENTITY), None, move)
    assert [step.name for step in steps] == ["share", "record-share"]


@pytest.mark.parametrize("scope", ["reads", "both"])
def test_any_other_command_resumes_an_interrupted_move_first(bare, open_checks, monkeypatch, scope):
    with monkeypatch.context() as patched:
        patched.setattr(canary._Moving, "record", lambda _: (_ for _ in ()).throw(FailedError("no")))
        with pytest.raises(FailedError):
            reads(bare, 10).execute()
    switch = Switch(bare, bare.target.entity(ENTITY), OperationKind.ROLLBACK, Scope(scope))
    assert switch.plan().pending_result == "finished"
    done = switch.execute()
    assert done.resumed.result == "done"
    assert where(bare) == (0, 0)
