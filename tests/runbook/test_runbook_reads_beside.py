"""A switch of writes alone wants reads on the side that writes go to, unless the operator accepts late reads."""

from __future__ import annotations

import json

import pytest
from reads_world import reads
from typer.testing import CliRunner
from writes_world import ENTITY, LEGACY, MODERN, stands, switch

from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices, OperationKind, Part, SwitchArguments

QUICK = ("--settle", "0", "--warm", "0", "--entity", ENTITY)
CHECK = "reads beside writes"


@pytest.fixture
def runbook(sandbox, tmp_path, chefs):
    """Runs a command against the sandbox."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, *QUICK, "--outputs", str(saved)], env={"COLUMNS": "300"})

    return run


def _check(plan) -> dict[str, object]:
    return next(check for check in json.loads(plan.stdout)["checks"] if check["name"] == CHECK)


def _refused(live, runbook, *words: str) -> str:
    """The remedy, when plan and act are both refused and change nothing."""
    before, routes = stands(live), live.routing.routes(live.target.entity(ENTITY))
    plan, act = runbook(*words, "--json"), runbook(*words, "--execute")
    assert (plan.exit_code, act.exit_code, _check(plan)["ok"]) == (4, 4, False), act.output
    assert (stands(live), live.routing.routes(live.target.entity(ENTITY))) == (before, routes)
    assert CHECK in act.stderr
    return str(_check(plan)["remedy"])


@pytest.mark.parametrize("percent", [0, 40])
def test_a_cutover_of_writes_with_reads_on_legacy_is_refused_and_names_both_ways(live, chefs, runbook, percent):
    if percent:
        reads(live, percent).execute()
    remedy = _refused(live, runbook, "cutover", "writes")
    assert f"cutover reads --entity {ENTITY} --execute" in remedy
    assert "--reads-stay" in remedy
    assert "lag of the bridge" in remedy


@pytest.mark.long
def test_with_the_option_the_plan_says_what_it_costs_and_writes_move_alone(live, chefs, runbook):
    check = _check(runbook("cutover", "writes", "--reads-stay", "--json"))
    assert check["ok"]
    assert "0% on modern: a client reads its own write only after the lag of the bridge" in str(check["value"])
    assert "lag of the bridge" in runbook("cutover", "writes", "--reads-stay").stdout
    done = runbook("cutover", "writes", "--reads-stay", "--execute")
    assert (done.exit_code, stands(live)) == (0, MODERN), done.output
    assert live.journal.state(ENTITY).reads == 0
    assert runbook("rollback", "writes", "--execute").exit_code == 0
    assert stands(live) == LEGACY


@pytest.fixture
def modern(live, chefs):
    """Reads and writes are on modern."""
    reads(live, 100).execute()
    done = switch(live, "cutover", choices=Choices(propagation_wait=0.0, warm=0)).execute()
    assert next(check for check in done.checks if check.name == CHECK).value == "100% on modern"


def test_after_the_reads_writes_follow_without_the_option_and_a_client_reads_its_write(live, modern):
    assert stands(live) == MODERN
    made = live.api.request("POST", path(ENTITY), {"firstName": "x", "lastName": "y"}).body["id"]
    assert live.api.get(path(ENTITY, made)).status == 200


def test_a_rollback_of_writes_with_reads_on_modern_is_refused_and_names_both_ways(live, modern, runbook):
    remedy = _refused(live, runbook, "rollback", "writes")
    assert f"`runbook rollback --entity {ENTITY} --execute` instead, which takes reads along" in remedy
    assert "lag of copy" in remedy
    done = runbook("rollback", "writes", "--reads-stay", "--execute")
    assert (done.exit_code, stands(live)) == (0, LEGACY), done.output
    assert live.journal.state(ENTITY).reads == 100


@pytest.mark.long
def test_a_forced_rollback_of_writes_alone_is_refused_too(live, modern):
    plan = switch(live, "rollback", choices=Choices(force=True)).plan()
    assert [check.name for check in plan.checks if not check.ok] == [CHECK]


def test_a_rollback_of_both_takes_reads_along_and_asks_nothing(live, modern):
    plan = switch(live, "rollback", Scope.BOTH, Choices(propagation_wait=0.0, warm=0)).plan()
    assert CHECK not in [check.name for check in plan.checks]


def test_a_reads_route_that_is_not_where_the_journal_says_is_refused_too(live, chefs, runbook):
    reads(live, 100).execute()
    live.routing.send_reads(chefs, 0)
    assert "100% on modern, 0% by the route" in runbook("cutover", "writes").stdout


def test_a_resumed_switch_keeps_the_choice():
    made = SwitchArguments(kind=OperationKind.CUTOVER, part=Part.WRITES, choices=Choices(reads_stay=True))
    assert SwitchArguments.read(made.written()) == made
