"""Operations that overlap: one operator stands still at a request, another finishes or undoes, the first goes on."""

from __future__ import annotations

import json
import random
import time

import pymysql
import pytest
from paused import Pause, contains, own, paused, watch
from typer.testing import CliRunner
from writes_world import ENTITY, LEGACY, MODERN, control, first_name, stands, switch, until, write

from functions.domain import names
from runbook.checks import heartbeat
from runbook.checks import triggers as capture
from runbook.commands import _session, cli
from runbook.copy import control as copying
from runbook.copy.control import CopyLimits
from runbook.cutover.forward import Forward
from runbook.cutover.steps import Choices
from runbook.errors import FailedError, RefusedError
from runbook.journal import lock as locks
from runbook.stack import Context
from runbook.verify import run as verify

CHOICES = Choices(propagation_wait=0.0, warm=0, reads_stay=True)
FENCE = contains(f"CALL {names.FENCE_PROCEDURE}")
POINTS = 1  # of a run at whose requests an operator is paused, and for each way in which the other acts
LOCKED = 3  # requests of a command until it has its lock; paused before, it is the newer operator
TIMEOUT = 60.0


@pytest.fixture(autouse=True)
def sure_heartbeat(monkeypatch):
    """It has tests of its own, and takes a second."""
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


@pytest.fixture
def legacy_sql(live, sandbox):
    """Writes to the legacy table as a program that knows of no streamback; whether the write was taken."""
    legacy = live.target.mapping[ENTITY].legacy

    def write_row() -> bool:
        with sandbox.database.connect(database=legacy.database) as client, client.cursor() as cursor:
            try:
                cursor.execute(f"INSERT INTO {legacy.table} (cheffirst, cheflast) VALUES ('late', 'x')")
            except pymysql.err.Error as error:
                assert "fenced" in str(error)  # noqa: PT017  # any other error is a failure
                return False
            client.commit()
            return True

    return write_row


def _cutover(context: Context) -> None:
    switch(context, "cutover", choices=CHOICES).execute()


def _rollback(context: Context) -> None:
    switch(context, "rollback", choices=CHOICES).execute()


def _demand_overtaken(error, by: str) -> None:
    assert error is not None, "it reported success"
    assert error.exit_code == RefusedError.exit_code, error.message
    assert f"took over with `{by}`" in error.message
    assert error.remedy.startswith("See `runbook status")


def test_a_fence_that_a_sleeper_would_lower_stays_up(live, chefs, legacy_sql):
    _cutover(live)
    pause = Pause(FENCE, lambda: _cutover(own(live)))
    error = paused(live, pause, _rollback)
    assert pause.reached
    assert stands(live) == MODERN
    assert not legacy_sql()
    _demand_overtaken(error, "cutover writes")


@pytest.mark.long
def test_a_fence_that_a_sleeper_would_lower_while_it_undoes_stays_up(live, chefs, legacy_sql, monkeypatch):
    def fails(_) -> None:
        raise FailedError("the queue is on fire")

    pause = Pause(FENCE, lambda: (monkeypatch.undo(), _cutover(own(live))), skip=1)
    monkeypatch.setattr(Forward, "_drain", fails)
    error = paused(live, pause, _cutover)
    assert pause.reached
    assert stands(live) == MODERN
    assert not legacy_sql()
    _demand_overtaken(error, "cutover writes")


def test_a_fence_that_a_sleeper_would_raise_stays_down_though_the_other_changed_nothing(live, chefs, legacy_sql):
    pause = Pause(FENCE, lambda: _rollback(own(live)))
    error = paused(live, pause, _cutover)
    assert pause.reached
    assert stands(live) == LEGACY
    assert legacy_sql()
    _demand_overtaken(error, "rollback writes")


@pytest.mark.parametrize("text", ['"action": "release"', "DELETE FROM streamback_changes"])
def test_triggers_and_queue_of_a_newer_copy_stay_when_a_sleeper_would_remove_them(live, chefs, text):
    key = write(live, "first")

    def start_and_cut_over() -> None:
        other = own(live)
        copying.start(other, chefs, CopyLimits(), again=False)
        if "release" in text:
            verify.run(other, chefs, verify.VerifyOptions())
            _cutover(other)

    pause = Pause(contains(text), start_and_cut_over)
    error = paused(live, pause, lambda context: copying.release(context, context.target.entity(ENTITY)))
    assert pause.reached
    _demand_overtaken(error, "copy start")
    assert not capture.wrong(live.aurora, live.target.mapping[ENTITY])
    assert copying.record(live, chefs)["state"] == copying.RUNNING
    if "release" in text:
        assert stands(live) == MODERN
    else:
        until(lambda: first_name(live, "dynamo", key) == "first")
        until(lambda: live.aurora.queue(live.target.mapping[ENTITY]).length(1) == 0)


def test_triggers_that_a_sleeper_would_add_are_not_added_after_copy_was_removed(live, chefs):
    copying.release(live, chefs)
    pause = Pause(contains('"action": "capture"'), lambda: copying.release(own(live), live.target.entity(ENTITY)))
    error = paused(live, pause, lambda context: copying.start(context, chefs, CopyLimits(), again=False))
    assert pause.reached
    _demand_overtaken(error, copying.RELEASE)
    assert len(capture.wrong(live.aurora, live.target.mapping[ENTITY])) == 6
    copying.start(live, chefs, CopyLimits(), again=False)
    assert not capture.wrong(live.aurora, live.target.mapping[ENTITY])
    until(lambda: copying.record(live, chefs)["backfilled"])


@pytest.mark.long
def test_an_operator_whose_call_hangs_loses_the_lock(live, chefs, monkeypatch):
    """The other one waits, without --take-over, for the bound of the step and the lease."""
    monkeypatch.setattr(locks, "LEASE", 1.5)
    monkeypatch.setattr(locks, "STEP_SECONDS", 2.0)
    monkeypatch.setattr(locks, "QUIET_SECONDS", 0.0)
    said: list[str] = []

    def wait_for_the_lock() -> None:
        other, deadline = Context.of(live.target), time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                copying.start(other, other.target.entity(ENTITY), CopyLimits(), again=False)
            except RefusedError as error:
                said.append(error.message)
            else:
                return

    pause = Pause(contains('"action": "release"'), wait_for_the_lock)
    error = paused(live, pause, lambda context: copying.release(context, context.target.entity(ENTITY)))
    assert pause.reached
    _demand_overtaken(error, "copy start")
    assert "at step release triggers, without progress for" in said[-1]
    assert not capture.wrong(live.aurora, live.target.mapping[ENTITY])


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_says_who_overtook_it_and_exits_with_5(live, chefs, monkeypatch, as_json):
    """It is paused at its very last request, the release of its lock, when everything that it wanted is done."""
    real = Context.of

    def overtake() -> None:
        monkeypatch.setattr(_session.Context, "of", real)
        _rollback(own(live))

    def watched(target, say=lambda _: None):
        made = real(target, say)
        watch(made, pause)
        return made

    pause = Pause(contains("REMOVE #lock"), overtake)
    monkeypatch.setattr(_session, "resolve", lambda *_: live.target)
    monkeypatch.setattr(_session.Context, "of", watched)
    options = ["--entity", ENTITY, "--execute", "--settle", "0", "--warm", "0"]
    result = CliRunner().invoke(cli.app, ["cutover", "writes", *options, *(["--json"] if as_json else [])])
    assert pause.reached
    assert stands(live) == LEGACY
    assert result.exit_code == RefusedError.exit_code
    said = json.loads(result.stdout)["error"]["message"] if as_json else result.stderr
    assert "`cutover writes` of chefs was overtaken" in said
    assert "took over with `rollback writes`" in said
    assert "in phase legacy now" in said
    assert "done" not in result.stdout


def _requests(live, run) -> int:
    """How many requests a whole run makes."""
    seen: list[str] = []
    counting = Pause(lambda name, _: bool(seen.append(name)), lambda: None)
    assert paused(live, counting, run) is None
    return len(seen)


@pytest.mark.parametrize(
    ("run", "other"),
    [
        (_rollback, _cutover),
        pytest.param(_cutover, _cutover, marks=pytest.mark.long),
        pytest.param(_cutover, _rollback, marks=pytest.mark.long),
        pytest.param(_rollback, _rollback, marks=pytest.mark.long),
    ],
)
def test_paused_anywhere_the_state_is_that_of_the_operator_who_took_over(live, chefs, run, other):
    """A sample of the points; the route is a stage variable, which no one can refuse."""
    back = _rollback if run is _cutover else _cutover
    key = write(live, "first")
    back(live)
    count = _requests(live, run)
    for point in sorted(random.Random(run.__name__ + other.__name__).sample(range(LOCKED, count), POINTS)):
        back(live)
        after = list[object]()

        def overtake(after=after) -> None:
            other(own(live))
            after.append(_found(live))

        pause = Pause(lambda *_: True, overtake, skip=point)
        error = paused(live, pause, run)
        where = f"request {point} of {count}"
        assert pause.reached, where
        assert _found(live) == after[0], where
        assert error is not None, f"{where}: it reported success"
        assert error.exit_code == RefusedError.exit_code, f"{where}: {error.message}"
    assert [first_name(live, system, key) for system in ("aurora", "dynamo")] == ["first", "first"]


def _found(live: Context):
    state = live.journal.state(ENTITY)
    return state.phase, state.reads, state.operation, state.lock, control(live)
