"""`copy start --by ranges` on the deployed system: the state machine, its role, and what the operator sees of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner
from writes_world import ENTITY

from functions.aws.retry import poll
from functions.copy.ranges import RangeRecords
from functions.domain import names
from runbook.aws import executions
from runbook.commands.cli import app
from runbook.copy import control, estimate, progress
from runbook.copy.control import CopyLimits
from runbook.copy.estimate import Way
from runbook.copy.ranges import WayChoice
from runbook.errors import FailedError, PreconditionError
from runbook.verify import run

SECONDS = 60
UNCHANGED = CopyLimits()
RANGES = WayChoice(way=Way.RANGES, workers=3, range_rows=50)


@pytest.fixture
def rows(live, chefs, database):
    """Some rows more than one range takes; no copy is under way at the end."""
    values = ", ".join(f"('chef {number}', 'x')" for number in range(120))
    with database.cursor() as cursor:
        cursor.execute(f"INSERT INTO chefdb.cheftable (cheffirst, cheflast) VALUES {values}")
    yield
    control.start(live, chefs, CopyLimits(rate=0), again=True, choice=WayChoice(way=Way.LANES))
    until_caught_up(live, chefs)


def start(context, entity, *, again=True, limits=UNCHANGED, choice=RANGES):
    return control.start(context, entity, limits, again=again, choice=choice).result


def look(context, entity):
    return progress.looks(context, [entity], 0.05)[0]


def until_caught_up(context, entity):
    for found in progress.follow(context, [entity], 0.1, until_caught_up=True):
        last = found
    return last[0]


def record(context):
    return context.journal.find_record(ENTITY, names.COPY_RECORD)


def until(condition):
    assert poll(condition, timeout=SECONDS, longest=0.2)


def test_the_state_machine_copies_every_row_and_hands_over_to_the_lanes(live, chefs, rows):
    assert start(live, chefs) == "begun anew"
    done = until_caught_up(live, chefs)
    assert done.backfilled
    assert done.ranges is None
    assert run.run(live, chefs, run.VerifyOptions()).clean


def test_stop_ends_the_run_and_start_resumes_what_is_left(live, chefs, rows):
    start(live, chefs, limits=CopyLimits(rate=30))
    until(lambda: look(live, chefs).rows_done)
    first = record(live)["run"]
    control.stop(live, chefs)
    until(lambda: look(live, chefs).ranges.ended)
    assert not record(live)["backfilled"]
    assert start(live, chefs, again=False, limits=CopyLimits(rate=0)) == "resumed"
    assert record(live)["run"] not in {first, None}
    until_caught_up(live, chefs)
    assert run.run(live, chefs, run.VerifyOptions()).clean


def test_a_start_that_was_killed_before_it_called_the_machine_is_completed_by_the_next(live, chefs, rows, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(executions, "start", _killed)
        with pytest.raises(KeyboardInterrupt):
            start(live, chefs)
    run_name = record(live)["run"]
    assert look(live, chefs).ranges.execution == executions.MISSING
    assert start(live, chefs, again=False) == "running"
    assert record(live).get("run") in {run_name, None}
    until_caught_up(live, chefs)


@pytest.mark.parametrize("number", [pytest.param(0, id="all", marks=pytest.mark.long), pytest.param(2, id="some")])
def test_a_new_start_that_was_killed_when_it_had_removed_ranges_is_resumed(live, chefs, rows, monkeypatch, number):
    start(live, chefs, limits=CopyLimits(rate=20))
    until(lambda: look(live, chefs).rows_done)
    removed = RangeRecords.remove

    def remove(ranges, count):
        removed(ranges, count - number)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RangeRecords, "remove", remove)
        with pytest.raises(KeyboardInterrupt):
            start(live, chefs)
    assert start(live, chefs, again=False, limits=CopyLimits(rate=0)) == "resumed"
    until_caught_up(live, chefs)
    assert run.run(live, chefs, run.VerifyOptions()).clean


@pytest.mark.long
def test_an_execution_that_ends_between_two_looks_is_no_failure(live, chefs, rows, monkeypatch):
    start(live, chefs, limits=CopyLimits(rate=0))
    until(lambda: record(live).get("stage") == "end" or record(live).get("run") is None)
    older = {**record(live), "run": record(live).get("run") or "chefs-ended", "stage": "end"}
    until_caught_up(live, chefs)
    find, given = live.journal.find_record, [older]
    monkeypatch.setattr(
        live.journal, "find_record", lambda *names: given.pop() if names[1] == "copy" and given else find(*names)
    )
    monkeypatch.setattr(executions, "state", lambda *_: ("SUCCEEDED", ""))
    assert look(live, chefs).ranges is None
    assert not given


@pytest.mark.long
def test_a_start_that_looks_while_the_last_range_ends_leaves_the_backfill_done(live, chefs, rows, monkeypatch):
    start(live, chefs, limits=CopyLimits(rate=100))
    looked = executions.state

    def late(*given):
        until(lambda: record(live).get("run") is None)
        return looked(*given)

    with monkeypatch.context() as patch:
        patch.setattr(executions, "state", late)
        assert start(live, chefs, again=False) == "running"
    assert record(live).get("run") is None
    assert record(live)["backfilled"]
    until_caught_up(live, chefs)


def _killed(*_given):
    raise KeyboardInterrupt


@pytest.mark.long
def test_an_execution_that_failed_is_reported_and_resumed(live, chefs, rows):
    start(live, chefs, limits=CopyLimits(rate=20))
    until(lambda: look(live, chefs).rows_done)
    name, machine = record(live)["run"], live.target.range_machine_arn
    executions.stop(live.clients.executions, machine, name, "somebody")
    with pytest.raises(FailedError, match=f"{name}.*ABORTED"):
        until_caught_up(live, chefs)
    assert start(live, chefs, again=False, limits=CopyLimits(rate=0)) == "running"
    until_caught_up(live, chefs)
    assert record(live).get("run") is None


@pytest.mark.long
def test_cutover_waits_until_the_ranges_are_done_and_another_way_must_begin_anew(live, chefs, rows):
    start(live, chefs, limits=CopyLimits(rate=20))
    assert not record(live)["backfilled"]
    with pytest.raises(PreconditionError, match="under way by ranges"):
        start(live, chefs, again=False, choice=WayChoice(way=Way.LANES))
    assert start(live, chefs, limits=CopyLimits(rate=0), choice=WayChoice(way=Way.LANES)) == "begun anew"
    until_caught_up(live, chefs)
    left = RangeRecords(live.clients.dynamodb_once, live.target.journal_table, ENTITY)
    assert left.all(20) == {}


@pytest.fixture
def this(sandbox, tmp_path):
    """The options that name the entity and the stack."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))
    return ["--entity", ENTITY, "--outputs", str(saved)]


def test_watching_shows_the_ranges_and_then_the_lanes(live, chefs, rows, this):
    start(live, chefs, limits=CopyLimits(rate=100))
    shown = CliRunner().invoke(app, ["copy", "watch", "--every", "0.2", *this], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    workers = re.findall(r"(ranges|lanes) \d+/\d+", shown.output)
    assert workers == sorted(workers, reverse=True), shown.output
    assert set(workers) == {"ranges", "lanes"}, shown.output


def test_the_plan_names_the_way_the_hours_and_the_dollars_and_changes_nothing(live, chefs, this):
    before = record(live)
    arguments = ["copy", "start", "--plan", *this]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "by lanes: the lanes do it within 8 hours" in shown.output
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)["entities"][0]
    assert (found["way"], [each["way"] for each in found["ways"]]) == ("lanes", ["lanes", "ranges"])
    assert record(live) == before


def test_a_table_that_the_lanes_cannot_copy_in_a_night_is_copied_by_ranges():
    lanes, ranges = (
        estimate.estimate(way, workers, 400_000_000, 1024, 200_000)
        for way, workers in ((Way.LANES, 4), (Way.RANGES, 32))
    )
    assert (lanes.hours, ranges.hours) == (27.78, 3.47)
    assert estimate._choose(None, lanes, ranges, there=True)[0] == Way.RANGES
    assert estimate._choose(None, lanes, ranges, there=False)[0] == Way.LANES
    assert estimate._choose(Way.LANES, lanes, ranges, there=True)[0] == Way.LANES
    assert estimate._choose(None, lanes, replace(lanes, way=Way.RANGES), there=True)[0] == Way.LANES
