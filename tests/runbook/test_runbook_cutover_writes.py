"""The commands that switch writes, as the operator types them, on a whole system, and what they leave behind."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner
from writes_world import DIRECT, ENTITY, LEGACY, MODERN, bring_back, control, stands, switch, until, write

from functions.domain.phase import Phase
from runbook.aws import lambda_calls
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.cutover import forward
from runbook.cutover.command import Scope
from runbook.cutover.steps import SwitchRun
from runbook.errors import FailedError, LockLostError, PreconditionError, RefusedError
from runbook.journal import lock as locks

QUICK = ("--settle", "0", "--warm", "1", "--entity", ENTITY)
PAST_THE_GATE = (Phase.MODERN, Side.MODERN, True)
STAY = (*QUICK, "--reads-stay")
EVERY_CHECK = (
    *(
        "phase",
        "adopted stream",
        "mapping",
        "stream",
        "stream view",
        "filter",
        "last batch",
        "quarantine",
        "dead-lettered",
    ),
    *(
        "GET /dynamo/chefs",
        "reads beside writes",
        "streamback's triggers",
        "fence's procedure",
        "copy",
        "copy's schedules",
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
def over(live, chefs):
    """Writes are on modern."""
    switch(live, "cutover").execute()


@pytest.mark.long
@pytest.mark.usefixtures("over")
def test_smoke_passes_behind_the_fence(runbook):
    shown = json.loads(runbook("smoke", "--entity", ENTITY, "--json").stdout)
    assert shown["passed"]
    assert [step["ok"] for step in shown["entities"][ENTITY]] == [True] * 9


def _reads(context) -> tuple[int, Side | None]:
    entity = context.target.entity(ENTITY)
    return context.journal.state(ENTITY).reads, context.routing.routes(entity).reads


HELD = ["phase-switching", "quiet", "fence", "drain", "compare-last", "phase-modern"]  # steps in which clients wait


def test_a_plan_shows_every_gate_open_and_every_step_and_changes_nothing(live, runbook):
    plan = json.loads(runbook("cutover", "writes", *STAY, "--json").stdout)
    assert (plan["green"], plan["executed"]) == (True, False)
    assert [check["name"] for check in plan["checks"]] == list(EVERY_CHECK)
    assert all(check["limit"] and check["value"] for check in plan["checks"])
    assert [step["name"] for step in plan["steps"]][-2:] == ["phase-modern", "copy-ended"]
    shown = runbook("cutover", "writes", *STAY)
    assert (shown.exit_code, stands(live)) == (0, LEGACY)
    act = "runbook cutover writes --entity chefs --execute --settle 0 --warm 1 --reads-stay"
    assert f"Nothing has changed. Act with: {act}" in shown.stdout


def test_the_public_endpoint_moves_to_modern_and_back_and_the_history_says_so(live, runbook):
    for command in (["cutover", "reads", "--watch", "0", "--entity", ENTITY], ["cutover", "writes", *QUICK]):
        result = runbook(*command, "--execute")
        assert result.exit_code == 0, result.output
    assert (stands(live), _reads(live)) == (MODERN, (100, Side.MODERN))
    made = live.api.request("POST", path(ENTITY), {"firstName": "Jacques", "lastName": "Pépin"})
    assert live.api.get(path("dynamo", ENTITY, made.body["id"])).status == 200
    result = runbook("rollback", *QUICK, "--execute")
    assert "rollback both of chefs: done  (phase legacy, reads → legacy, writes → gate)" in result.stdout
    assert re.search(r"^Took [\d.]+ s: .*\bchecks [\d.]+", result.stdout, re.MULTILINE)
    held = "phase-returning {}, quiet {}, drain {}, reads {}, fence {}, phase-legacy {}.".replace("{}", r"\d+")
    assert re.search(rf"^Writes were held for \d+ ms: {held}", result.stdout, re.MULTILINE)
    assert (stands(live), _reads(live)) == (LEGACY, (0, Side.LEGACY))
    assert live.api.get(path(ENTITY, made.body["id"])).body == made.body
    assert live.api.request("DELETE", path(ENTITY, made.body["id"])).status == 204
    assert "nothing to do" in runbook("rollback", *QUICK, "--execute").stdout
    said = json.loads(runbook("history", "--entity", ENTITY, "--json").stdout)["events"]
    assert [(event["command"], event["result"]) for event in said[:4]] == [
        ("rollback both", "done"),
        ("rollback both", "started"),
        ("cutover writes", "done"),
        ("cutover writes", "started"),
    ]
    assert {event["operator"] for event in said[:4]} == {live.clients.operator}
    operations = [event["details"]["operation"] for event in said[:4]]
    assert operations[0] == operations[1] != operations[2] == operations[3]


def test_json_is_one_document_for_an_act_over_and_back(runbook):
    done = json.loads(runbook("cutover", "writes", *STAY, "--json", "--execute").stdout)
    assert (done["executed"], done["changed"], done["state"]["phase"]) == (True, True, "modern")
    assert [check["name"] for check in done["checks"]] == list(EVERY_CHECK)
    steps = [each["step"] for each in done["times"]]
    assert steps == ["checks", "compare", "gate", "catch-up", *HELD, "copy-ended"]
    assert [each["step"] for each in done["times"] if each["held"]] == HELD
    assert all(each["seconds"] > 0 for each in done["times"])
    done = json.loads(runbook("rollback", "writes", *STAY, "--json", "--execute").stdout)
    assert (done["executed"], done["changed"], done["state"]["phase"]) == (True, True, "legacy")
    assert done["routes"]["writes"] == "gate"


def test_in_production_writes_go_over_when_the_stacks_name_is_given(live, runbook):
    production = {"production": True, "stack": "live"}
    for options in ((), ("--yes", "another"), ("--json",)):
        refused = runbook("cutover", "writes", *STAY, "--execute", *options, **production)
        assert (refused.exit_code, stands(live)) == (5, LEGACY)
        assert "--yes live" in refused.output
    done = runbook("cutover", "writes", *STAY, "--execute", "--yes", "live", **production)
    assert (done.exit_code, stands(live)) == (0, MODERN), done.output


def test_a_paused_mapping_refuses_a_cutover(live, chefs, runbook):
    functions = live.clients.functions
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    try:
        result = runbook("cutover", "writes", *STAY, "--execute", "--json")
        assert (result.exit_code, stands(live)) == (4, LEGACY)
        assert "mapping is Disabl" in json.loads(result.stdout)["error"]["message"]
        assert live.journal.events(ENTITY, 1)[0].result == "refused"
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)
    until(lambda: functions.get_event_source_mapping(UUID=chefs.bridge_mapping_id)["State"] == "Enabled")


def test_a_held_lock_refuses_a_switch_of_writes(live, chefs):
    with locks.held(live.journal, ENTITY, "another", "something"), pytest.raises(RefusedError):
        switch(live, "cutover").execute()
    assert stands(live) == LEGACY


def test_a_repeated_command_has_nothing_to_do_and_one_past_a_changed_route_puts_it_right(live, over):
    events = len(live.journal.events(ENTITY, 1000))
    assert not switch(live, "cutover").execute().changed
    assert len(live.journal.events(ENTITY, 1000)) == events
    entity = live.target.entity(ENTITY)
    live.routing.route(entity, Routes(reads=Side.MODERN, writes=Side.LEGACY))
    plan = switch(live, "cutover").plan()
    assert [step.name for step in plan.steps] == ["route"]
    assert switch(live, "cutover").execute().changed
    assert stands(live) == MODERN
    assert switch(live, "rollback", Scope.BOTH).execute().changed
    assert (stands(live), _reads(live)) == (LEGACY, (0, Side.LEGACY))


@pytest.fixture
def half_over(live, chefs, monkeypatch):
    """Past the commit of a cutover whose writes shall go past the gate, and not at its end."""
    _break_route(monkeypatch, Side.MODERN)
    with pytest.raises(FailedError, match="past its point of no return"):
        switch(live, "cutover", choices=DIRECT).execute()
    monkeypatch.undo()
    monkeypatch.setattr(lambda_calls, "timeout_of", lambda *_: 0.0)  # no request is past the gate
    assert stands(live) == (Phase.MODERN, Side.GATE, True)
    assert live.journal.events(ENTITY, 1)[0].result == "stopped at route"
    yield
    bring_back(live)


def _break_route(monkeypatch, side: Side) -> None:
    real = SwitchRun.send

    def send(parts, routes, timeout=None):
        if routes.writes == side:
            raise FailedError("the stage is on fire")
        return real(parts, routes, timeout)

    monkeypatch.setattr(SwitchRun, "send", send)


def test_past_the_commit_the_gate_already_passes_to_modern(live, half_over):
    key = write(live, "through the gate")
    assert live.api.get(path("dynamo", ENTITY, key)).status == 200
    plan = switch(live, "cutover", choices=DIRECT).plan()
    assert (plan.pending.step, plan.pending_result, plan.steps) == ("route", "finished", [])
    done = switch(live, "cutover", choices=DIRECT).execute()
    assert (done.resumed.result, done.changed, stands(live)) == ("done", False, PAST_THE_GATE)
    assert live.api.request("DELETE", path(ENTITY, key)).status == 204


@pytest.mark.parametrize(
    ("verb", "scope", "then"),
    [("cutover", "reads", PAST_THE_GATE), pytest.param("rollback", "both", LEGACY, marks=pytest.mark.long)],
)
def test_another_command_resumes_an_interrupted_cutover_first(live, half_over, verb, scope, then):
    done = switch(live, verb, Scope(scope)).execute()
    assert (done.resumed.command, done.resumed.result, done.changed) == ("cutover writes --direct", "done", True)
    assert stands(live) == then
    assert _reads(live) == ((100, Side.MODERN) if verb == "cutover" else (0, Side.LEGACY))


def test_a_rollback_that_stops_past_its_commit_is_finished_by_the_next_command(live, over, monkeypatch):
    generation = control(live).last_epoch
    with monkeypatch.context() as patched:
        patched.setattr(SwitchRun, "wake_copy", _fail)
        with pytest.raises(FailedError, match="past its point of no return"):
            switch(live, "rollback").execute()
    assert stands(live) == (Phase.LEGACY, Side.GATE, False)
    key = write(live, "through the gate")
    done = switch(live, "cutover").execute()
    assert (done.resumed.command, done.resumed.result, done.changed) == ("rollback writes", "done", True)
    assert (stands(live), control(live).last_epoch) == (MODERN, generation + 1)
    assert live.api.get(path("dynamo", ENTITY, key)).status == 200
    assert live.api.request("DELETE", path(ENTITY, key)).status == 204


def _fail(*_) -> None:
    raise FailedError("the stage is on fire")


@pytest.mark.parametrize(
    ("error", "said"), [(KeyboardInterrupt(), "interrupted by the operator"), (ValueError("odd"), "ValueError: odd")]
)
def test_an_interrupt_while_writes_are_held_puts_everything_back(live, chefs, monkeypatch, error, said):
    real = forward.demand_equal

    def stop(run, keys, grace):
        if not grace:  # while clients are held
            raise error
        real(run, keys, grace)

    monkeypatch.setattr(forward, "demand_equal", stop)
    before = control(live)
    with pytest.raises(PreconditionError, match=said):
        switch(live, "cutover").execute()
    assert (stands(live), control(live)) == (LEGACY, before)
    assert live.journal.events(ENTITY, 1)[0].result == "undone"
    assert live.journal.state(ENTITY).operation is None


def test_an_operator_whose_lock_was_taken_while_writes_are_held_undoes_nothing(live, chefs, monkeypatch):
    """The thief rolls it back: two operators who undo and do at once would be worse than waiting."""
    real = forward.demand_equal

    def robbed(run, keys, grace):
        if not grace:
            held = live.journal.state(ENTITY).lock
            thief = locks.Lock(**{**vars(held), "id": "thief", "process": "of-another|machine|1|1"})
            assert live.journal.take(thief, ENTITY, held.id, 0)
        real(run, keys, grace)

    monkeypatch.setattr(forward, "demand_equal", robbed)
    with pytest.raises(LockLostError):
        switch(live, "cutover").execute()
    assert stands(live) == (Phase.SWITCHING, Side.GATE, True)
    monkeypatch.undo()
    live.journal.release(live.journal.state(ENTITY).lock, ENTITY)
    done = switch(live, "cutover").execute()
    assert (done.resumed.result, done.changed, stands(live)) == ("undone", True, MODERN)
