"""The schedules of copy's lanes: enabled while copy runs and only then, also after a kill; reported where not."""

from __future__ import annotations

import json

import pytest
from killed import killed_at
from sweep import BEFORE_FIRST, EVERY
from typer.testing import CliRunner
from writes_world import ENTITY, LEGACY, first_name, stands, switch, until, write

from runbook.aws import schedules
from runbook.checks import copy as copy_checks
from runbook.checks import plans
from runbook.checks.plans import CheckScope
from runbook.commands.cli import app
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.errors import LockLostError, PreconditionError
from runbook.stack import Context

SERVICES = ["dynamodb", "functions", "rds_data", "scheduler", "sts"]
ON, OFF = [schedules.ENABLED], [schedules.DISABLED]
NAME = "copy's schedules"


@pytest.fixture
def open_preflight(monkeypatch):
    """A `copy start` without preflight's checks, for tests that start it often."""
    made = plans.checks
    monkeypatch.setattr(
        plans, "checks", lambda c, e, scope, *m, **n: [] if scope == CheckScope.COPY else made(c, e, scope, *m, **n)
    )


@pytest.fixture
def runbook(sandbox, tmp_path):
    """Runs a command against the sandbox."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--outputs", str(saved)], env={"COLUMNS": "200"})

    return run


@pytest.fixture
def running(chefs, live, open_preflight):
    """Chefs, whose copy runs; it runs again at the end."""
    yield chefs
    start(live, chefs)


def start(context, entity):
    return control.start(context, entity, CopyLimits(), again=False).result


def set_all(context, entity, *, enabled):
    """As a late call sets them."""
    context.switch_schedules(entity, enabled=enabled, check=lambda: None)


def reported(found):
    """What a command's checks report of the schedules; empty where all is well."""
    return next(f"{each.value}, {each.limit}" for each in found if each.name == NAME and not each.ok)


def test_they_are_enabled_while_copy_runs_and_only_then(live, running):
    assert live.schedule_states(running) == ON
    control.stop(live, running)
    assert live.schedule_states(running) == OFF
    assert copy_checks.schedules(live, running)[0].ok
    assert start(live, running) == "resumed"
    assert live.schedule_states(running) == ON


def test_those_of_another_entity_are_left_alone(live, running):
    other = live.target.entity("specimens")
    assert live.schedule_states(other) == OFF
    control.stop(live, running)
    set_all(live, other, enabled=True)
    start(live, running)
    control.stop(live, running)
    assert live.schedule_states(other) == ON
    set_all(live, other, enabled=False)


@pytest.mark.long
def test_what_an_overtaken_stop_disables_late_stops_no_copy_and_is_seen_and_corrected(live, running, runbook):
    """Its call stands still until another operator has taken over, and has started copy again."""
    overtaken, other = Context.of(live.target), Context(live.target, live.clients, take_over=True)
    started = []

    def stands_still(**_):
        if not started:
            started.append(start(other, running))

    overtaken.clients.scheduler.meta.events.register("before-send.scheduler.UpdateSchedule", stands_still)
    with pytest.raises(LockLostError):
        control.stop(overtaken, running)
    assert (started, live.schedule_states(running)) == (["resumed"], OFF)
    key = write(live, "still copied", system="aurora")
    until(lambda: first_name(live, "dynamo", key) == "still copied")
    for command in (("preflight", "--quick"), ("status",), ("copy", "status", "--seconds", "0")):
        shown = " ".join(runbook(*command, "--entity", ENTITY).stdout.split())
        assert "disabled" in shown, command
        assert "enabled while copy runs" in shown, command
    with pytest.raises(PreconditionError, match=NAME):
        switch(live, "cutover").execute()
    assert start(live, running) == "running"
    assert live.schedule_states(running) == ON


def test_those_that_are_enabled_although_copy_was_stopped_are_reported_and_stop_corrects_them(live, running, runbook):
    control.stop(live, running)
    set_all(live, running, enabled=True)
    shown = runbook("preflight", "--quick", "--entity", ENTITY)
    assert shown.exit_code == 4
    assert "disabled while copy does not run" in shown.stdout
    found = json.loads(runbook("status", "--entity", ENTITY, "--json").stdout)["entities"][0]["schedules"]
    assert (found["ok"], found["value"]) == (False, "enabled")
    control.stop(live, running)
    assert live.schedule_states(running) == OFF


@pytest.mark.long
def test_in_phase_modern_they_stay_enabled_since_copy_runs_again_after_a_rollback(live, running):
    switch(live, "cutover").execute()
    assert live.schedule_states(running) == ON
    with pytest.raises(PreconditionError, match="phase modern"):
        start(live, running)
    set_all(live, running, enabled=False)
    assert (
        reported(plans.checks(live, running, CheckScope.PREFLIGHT, quick=True)) == "disabled, enabled while copy runs"
    )
    assert start(live, running) == "enabled"
    assert live.schedule_states(running) == ON
    set_all(live, running, enabled=False)
    assert switch(live, "rollback").execute().changed
    assert (stands(live), live.schedule_states(running)) == (LEGACY, ON)


def test_a_scheduler_that_does_not_answer_does_not_interrupt_a_rollback(live, running, monkeypatch):
    switch(live, "cutover").execute()
    refused = live.clients.scheduler.exceptions.ThrottlingException(
        {"Error": {"Code": "ThrottlingException"}}, "GetSchedule"
    )

    def throttled(*_, **__):
        raise refused

    with monkeypatch.context() as patch:
        patch.setattr(schedules, "switch", throttled)
        assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY


@pytest.mark.sweep
def test_killed_anywhere_a_stop_leaves_no_running_copy_without_schedules_and_ends_by_the_same_command(live, running):
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        start(live, running)
        killed = killed_at(
            count, lambda: Context.of(live.target), SERVICES, lambda context: control.stop(context, running)
        )
        assert live.schedule_states(running) == ON or not copy_checks.runs(live, running)
        control.stop(live, running)
        assert (live.schedule_states(running), copy_checks.runs(live, running)) == (OFF, False)
    assert count > 5


@pytest.mark.long
@pytest.mark.sweep
def test_killed_anywhere_a_start_leaves_no_running_copy_without_schedules_and_ends_by_the_same_command(live, running):
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        control.stop(live, running)
        killed = killed_at(count, lambda: Context.of(live.target), SERVICES, lambda context: start(context, running))
        assert live.schedule_states(running) == ON or not copy_checks.runs(live, running)
        start(live, running)
        assert (live.schedule_states(running), copy_checks.runs(live, running)) == (ON, True)
    assert count > 5
