"""The commands that switch writes, as the operator types them, on a whole system, and what they leave behind."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner
from writes_world import ENTITY, LEGACY, MODERN, control, stands, switch, until, write

from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.cutover import forward
from runbook.cutover.command import Scope
from runbook.cutover.steps import SwitchRun
from runbook.errors import FailedError, LockLostError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.journal.journal import Phase

QUICK = ("--settle", "0", "--warm", "1", "--entity", ENTITY)
EVERY_GATE = (
    *("phase", "mapping", "stream", "stream view", "filter", "last batch", "quarantine", "dead-lettered"),
    *(
        "GET /dynamo/chefs",
        "streamback's triggers",
        "fence's procedure",
        "copy",
        "backfill",
        "copy's queue",
        "copy's lag",
        "copy's lanes",
        "last verify",
    ),
    "heartbeat",
)


@pytest.fixture
def runbook(sandbox, tmp_path, chefs):
    """Runs a command against the sandbox; changes to its outputs may be given."""
    saved = tmp_path / "outputs.json"

    def run(*arguments: str, **changes):
        saved.write_text(json.dumps({**sandbox.outputs, **changes}))
        return CliRunner().invoke(app, [*arguments, "--outputs", str(saved)], env={"COLUMNS": "200"})

    return run


@pytest.fixture
def over(road, chefs):
    """Writes are on modern."""
    switch(road, "cutover").execute()


def _reads(context) -> tuple[int, Side | None]:
    entity = context.target.entity(ENTITY)
    return context.journal.state(ENTITY).reads, context.routing.routes(entity).reads


def test_a_plan_shows_every_gate_open_and_every_step_and_changes_nothing(road, runbook):
    plan = json.loads(runbook("cutover", "writes", *QUICK, "--json").stdout)
    assert (plan["green"], plan["executed"]) == (True, False)
    assert [gate["name"] for gate in plan["checks"]] == list(EVERY_GATE)
    assert all(gate["limit"] and gate["value"] for gate in plan["checks"])
    assert [step["name"] for step in plan["steps"]][-2:] == ["phase-modern", "route"]
    shown = runbook("cutover", "writes", *QUICK)
    assert (shown.exit_code, stands(road)) == (0, LEGACY)
    act = "runbook cutover writes --entity chefs --execute --settle 0 --warm 1"
    assert f"Nothing has changed. Act with: {act}" in shown.stdout


def test_the_public_endpoint_goes_over_and_comes_back_and_the_trail_tells(road, runbook):
    for command in (["cutover", "reads", "--watch", "0", "--entity", ENTITY], ["cutover", "writes", *QUICK]):
        result = runbook(*command, "--execute")
        assert result.exit_code == 0, result.output
    assert (stands(road), _reads(road)) == (MODERN, (100, Side.MODERN))
    made = road.api.request("POST", path(ENTITY), {"firstName": "Jacques", "lastName": "Pépin"})
    assert road.api.get(path("dynamo", ENTITY, made.body["id"])).status == 200
    result = runbook("rollback", *QUICK, "--execute")
    assert "rollback both of chefs: done  (phase legacy, reads → legacy, writes → legacy)" in result.stdout
    assert (stands(road), _reads(road)) == (LEGACY, (0, Side.LEGACY))
    assert road.api.get(path(ENTITY, made.body["id"])).body == made.body
    assert road.api.request("DELETE", path(ENTITY, made.body["id"])).status == 204
    assert "nothing to do" in runbook("rollback", *QUICK, "--execute").stdout
    told = json.loads(runbook("history", "--entity", ENTITY, "--json").stdout)["events"]
    assert [(event["command"], event["result"]) for event in told[:4]] == [
        ("rollback both", "done"),
        ("rollback both", "started"),
        ("cutover writes", "done"),
        ("cutover writes", "started"),
    ]
    assert {event["operator"] for event in told[:4]} == {road.clients.operator}
    operations = [event["details"]["operation"] for event in told[:4]]
    assert operations[0] == operations[1] != operations[2] == operations[3]


def test_json_is_one_document_for_an_act_over_and_back(runbook):
    done = json.loads(runbook("cutover", "writes", *QUICK, "--json", "--execute").stdout)
    assert (done["executed"], done["changed"], done["state"]["phase"]) == (True, True, "modern")
    assert [gate["name"] for gate in done["checks"]] == list(EVERY_GATE)
    done = json.loads(runbook("rollback", "writes", *QUICK, "--json", "--execute").stdout)
    assert (done["executed"], done["changed"], done["state"]["phase"]) == (True, True, "legacy")
    assert done["routes"]["writes"] == "legacy"


def test_in_production_writes_go_over_when_the_stacks_name_is_given(road, runbook):
    live = {"production": True, "stack": "live"}
    for options in ((), ("--yes", "another"), ("--json",)):
        refused = runbook("cutover", "writes", *QUICK, "--execute", *options, **live)
        assert (refused.exit_code, stands(road)) == (5, LEGACY)
        assert "--yes live" in refused.output
    done = runbook("cutover", "writes", *QUICK, "--execute", "--yes", "live", **live)
    assert (done.exit_code, stands(road)) == (0, MODERN), done.output


def test_a_paused_mapping_closes_the_gate(road, chefs, runbook):
    functions = road.clients.functions
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    try:
        result = runbook("cutover", "writes", *QUICK, "--execute", "--json")
        assert (result.exit_code, stands(road)) == (4, LEGACY)
        assert "mapping is Disabl" in json.loads(result.stdout)["error"]["message"]
        assert road.journal.events(ENTITY, 1)[0].result == "refused"
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)
    until(lambda: functions.get_event_source_mapping(UUID=chefs.bridge_mapping_id)["State"] == "Enabled")


def test_a_held_lock_refuses_a_switch_of_writes(road, chefs):
    with locks.held(road.journal, ENTITY, "another", "something"), pytest.raises(RefusedError):
        switch(road, "cutover").execute()
    assert stands(road) == LEGACY


def test_a_repeated_command_has_nothing_to_do_and_one_past_a_changed_route_puts_it_right(road, over):
    events = len(road.journal.events(ENTITY, 1000))
    assert not switch(road, "cutover").execute().changed
    assert len(road.journal.events(ENTITY, 1000)) == events
    entity = road.target.entity(ENTITY)
    road.routing.route(entity, Routes(reads=Side.MODERN, writes=Side.LEGACY))
    plan = switch(road, "cutover").plan()
    assert [step.name for step in plan.steps] == ["route"]
    assert switch(road, "cutover").execute().changed
    assert stands(road) == MODERN
    assert switch(road, "rollback", Scope.BOTH).execute().changed
    assert (stands(road), _reads(road)) == (LEGACY, (0, Side.LEGACY))


@pytest.fixture
def half_over(road, chefs, monkeypatch):
    """Past the commit of a cutover, and not at its end."""
    _break_route(monkeypatch, Side.MODERN)
    with pytest.raises(FailedError, match="past its point of no return"):
        switch(road, "cutover").execute()
    monkeypatch.undo()
    assert stands(road) == (Phase.MODERN, Side.GATE, True)
    assert road.journal.events(ENTITY, 1)[0].result == "stopped at route"


def _break_route(monkeypatch, side: Side) -> None:
    real = SwitchRun.send

    def send(parts, routes):
        if routes.writes == side:
            raise FailedError("the stage is on fire")
        return real(parts, routes)

    monkeypatch.setattr(SwitchRun, "send", send)


def test_past_the_commit_the_gate_already_passes_to_modern(road, half_over):
    key = write(road, "through the gate")
    assert road.api.get(path("dynamo", ENTITY, key)).status == 200
    plan = switch(road, "cutover").plan()
    assert (plan.pending.step, plan.pending_result, plan.steps) == ("route", "finished", [])
    done = switch(road, "cutover").execute()
    assert (done.resumed.result, done.changed, stands(road)) == ("done", False, MODERN)
    assert road.api.request("DELETE", path(ENTITY, key)).status == 204


@pytest.mark.parametrize(("verb", "scope", "then"), [("cutover", "reads", MODERN), ("rollback", "both", LEGACY)])
def test_another_command_settles_a_half_done_cutover_first(road, half_over, verb, scope, then):
    done = switch(road, verb, Scope(scope)).execute()
    assert (done.resumed.command, done.resumed.result, done.changed) == ("cutover writes", "done", True)
    assert stands(road) == then
    assert _reads(road) == ((100, Side.MODERN) if verb == "cutover" else (0, Side.LEGACY))


def test_a_rollback_that_stops_past_its_commit_is_finished_by_the_next_command(road, over, monkeypatch):
    generation = control(road).last_epoch
    real = SwitchRun.send
    with monkeypatch.context() as patched:
        patched.setattr(SwitchRun, "send", lambda parts, to: _fail() if to.writes == Side.LEGACY else real(parts, to))
        with pytest.raises(FailedError, match="past its point of no return"):
            switch(road, "rollback").execute()
    assert stands(road) == (Phase.LEGACY, Side.GATE, False)
    key = write(road, "through the gate")
    done = switch(road, "cutover").execute()
    assert (done.resumed.command, done.resumed.result, done.changed) == ("rollback writes", "done", True)
    assert (stands(road), control(road).last_epoch) == (MODERN, generation + 1)
    assert road.api.get(path("dynamo", ENTITY, key)).status == 200
    assert road.api.request("DELETE", path(ENTITY, key)).status == 204


def _fail(*_) -> None:
    raise FailedError("the stage is on fire")


@pytest.mark.parametrize(
    ("error", "told"),
    [(KeyboardInterrupt(), "interrupted by the operator"), (ValueError("odd"), "ValueError: odd")],
)
def test_an_interrupt_while_writes_are_held_puts_everything_back(road, chefs, monkeypatch, error, told):
    real = forward.demand_equal

    def stop(run, keys, grace):
        if not grace:  # while clients are held
            raise error
        real(run, keys, grace)

    monkeypatch.setattr(forward, "demand_equal", stop)
    before = control(road)
    with pytest.raises(PreconditionError, match=told):
        switch(road, "cutover").execute()
    assert (stands(road), control(road)) == (LEGACY, before)
    assert road.journal.events(ENTITY, 1)[0].result == "undone"
    assert road.journal.state(ENTITY).operation is None


def test_an_operator_whose_lock_was_taken_while_writes_are_held_undoes_nothing(road, chefs, monkeypatch):
    """The thief settles it: two operators who undo and do at once would be worse than waiting."""
    real = forward.demand_equal

    def robbed(run, keys, grace):
        if not grace:
            held = road.journal.state(ENTITY).lock
            thief = locks.Lock(**{**vars(held), "id": "thief", "process": "of-another|machine|1|1"})
            assert road.journal.take(thief, ENTITY, held.id, 0)
        real(run, keys, grace)

    monkeypatch.setattr(forward, "demand_equal", robbed)
    with pytest.raises(LockLostError):
        switch(road, "cutover").execute()
    assert stands(road) == (Phase.SWITCHING, Side.GATE, True)
    monkeypatch.undo()
    road.journal.release(road.journal.state(ENTITY).lock, ENTITY)
    done = switch(road, "cutover").execute()
    assert (done.resumed.result, done.changed, stands(road)) == ("undone", True, MODERN)
