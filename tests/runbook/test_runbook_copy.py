"""Copy from the operator's side: start, stop, watch and set on the sandbox, and what it says of a fault."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import pymysql
import pytest
from afresh import delete_items, forget_copy
from journal_states import force_phase
from killed import killed_at
from sweep import BEFORE_FIRST, EVERY
from typer.testing import CliRunner
from writes_world import until

from functions.domain import names
from functions.domain.phase import Phase
from runbook.aws.api_gateway import Side
from runbook.checks import copy as copy_checks
from runbook.checks import plans, triggers
from runbook.checks.check import Check
from runbook.commands.cli import app
from runbook.copy import control, progress
from runbook.copy.control import CopyLimits
from runbook.errors import PreconditionError
from runbook.journal import verified
from runbook.journal.lock import held
from runbook.journal.state import Operation, now
from runbook.stack import Context
from runbook.verify import run as verify_service

SERVICES = ["dynamodb", "functions", "rds_data", "scheduler", "sts"]
CHEFS, SPECIMENS = "chefs", "specimens"
ROWS = 300
BETWEEN = 0.2  # seconds between two looks


@pytest.fixture(scope="module")
def live(prepared):
    """The context of the shared sandbox, initialised."""
    return prepared


@pytest.fixture
def chefs(live, database):
    """Chefs in Aurora only, before copy was ever started; afterwards as if it never had been."""
    with database.cursor() as cursor:
        cursor.execute("USE chefdb")
        cursor.execute("DELETE FROM cheftable")
        cursor.executemany(
            "INSERT INTO cheftable (cheffirst, cheflast) VALUES (%s, 'x')", [(f"chef {n}",) for n in range(ROWS)]
        )
        cursor.execute(f"DELETE FROM {names.CHANGES_TABLE}")
    yield live.target.entity(CHEFS)
    for name in (CHEFS, SPECIMENS):
        forget_copy(live, live.target.entity(name))
    with database.cursor() as cursor:  # before the items, or the bridge would take their end for a conflict
        cursor.execute("USE chefdb")
        cursor.execute("DELETE FROM cheftable")
        cursor.execute(f"UPDATE {names.CONTROL_TABLE} SET legacy_stamp = 0, generation = 0")
    for name in (CHEFS, SPECIMENS):
        delete_items(live, live.target.entity(name))


def _lanes(live, entity):
    return progress.Watch(live, entity).look().lanes


def _leased(live, entity, lane) -> bool:
    record = live.journal.find_record(entity.name, names.lane_record(lane.lane))
    return bool(record) and record["expires"] > time.time()


@pytest.fixture
def runbook(sandbox, tmp_path):
    """Runs a command against the sandbox."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*arguments: str):
        command = [*arguments, "--outputs", str(saved)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return run


class Busy:
    """A connection whose statement runs until it is ended."""

    def __init__(self, sandbox) -> None:
        self._connection = sandbox.database.connect()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(pymysql.err.MySQLError), self._connection.cursor() as cursor:
            cursor.execute("SELECT SLEEP(60)")

    def end(self, database) -> None:
        with database.cursor() as cursor:
            cursor.execute(f"KILL {self._connection.thread_id()}")
        self._thread.join()


def _done(result):
    assert result.exit_code == 0, result.output
    return result


def _watch(runbook, *arguments: str):
    return _done(runbook("copy", "watch", "--every", str(BETWEEN), *arguments))


def _expect_equal(live, entity) -> None:
    """Wait until copy has done all that waits, since `copy watch` ends as soon as little does; then compare."""
    until(lambda: progress.Watch(live, entity).look().drained)
    found = verify_service.run(live, entity, verify_service.VerifyOptions(grace=20))
    assert not found.differences
    assert (found.items, found.more) == (found.rows, False)


def test_what_there_is_and_what_changes_meanwhile_is_copied(live, chefs, runbook, database):
    result = _done(runbook("copy", "start", "--entity", CHEFS))
    assert "started" in result.stdout
    assert "Public writes now go through the gate" in result.stdout
    assert live.routing.routes(chefs).writes == Side.GATE
    assert live.journal.events(CHEFS, 1)[0].details["writes"] == "gate"
    assert "gate" not in _done(runbook("copy", "start", "--entity", CHEFS)).stdout
    with database.cursor() as cursor:
        cursor.execute("UPDATE chefdb.cheftable SET cheflast = 'y' WHERE id % 3 = 0")
        cursor.execute("DELETE FROM chefdb.cheftable WHERE id % 5 = 0")
        cursor.execute("INSERT INTO chefdb.cheftable (cheffirst) VALUES ('late')")
    shown = _watch(runbook, "--entity", CHEFS).stdout
    assert "chefs: " in shown
    assert "chefs has caught up" in shown
    _expect_equal(live, chefs)
    events = [(event.command, event.result) for event in live.journal.events(CHEFS, 5)]
    assert ("copy start", "started") in events


def test_stopped_it_misses_nothing_and_goes_on_exactly_there(live, chefs, runbook, database):
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    stopped = runbook("copy", "stop", "--entity", CHEFS)
    assert "triggers still queue every change" in stopped.stdout
    before = control.record(live, chefs)
    until(lambda: not any(_leased(live, chefs, lane) for lane in _lanes(live, chefs)))
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO chefdb.cheftable (cheffirst) VALUES ('while stopped')")
    found = json.loads(runbook("copy", "status", "--entity", CHEFS, "--json").stdout)["entities"][0]
    assert (found["state"], found["queue"]) == ("stopped", 1)
    assert "resumed" in runbook("copy", "start", "--entity", CHEFS).stdout
    _watch(runbook, "--entity", CHEFS)
    after = control.record(live, chefs)
    for name in ("started_at", "position", "backfilled", "rows_done", "enqueued", "total"):
        assert after[name] == before[name]
    _expect_equal(live, chefs)


@pytest.mark.long
def test_started_again_it_only_calls_the_lanes_unless_it_is_begun_anew(live, chefs, runbook):
    _done(runbook("copy", "start", "--entity", CHEFS, "--rate", "100000"))
    _watch(runbook, "--entity", CHEFS)
    first = control.record(live, chefs)
    assert "running already" in runbook("copy", "start", "--entity", CHEFS).stdout
    assert control.record(live, chefs)["started_at"] == first["started_at"]
    assert "begun anew" in runbook("copy", "start", "--entity", CHEFS, "--again").stdout
    _watch(runbook, "--entity", CHEFS)
    second = control.record(live, chefs)
    assert second["started_at"] > first["started_at"]
    assert (second["enqueued"], second["skipped"], second["rate"]) == (ROWS, ROWS, 100000)


def test_limits_are_changed_while_it_runs(live, chefs, runbook):
    _done(runbook("copy", "start", "--entity", CHEFS, "--rate", "5", "--queue-bound", "50"))
    limits = ["--rate", "0", "--max-threads", "90", "--queue-bound", "70"]
    assert runbook("copy", "set", "--entity", CHEFS, *limits).exit_code == 0
    record = control.record(live, chefs)
    assert (record["rate"], record["threads"], record["bound"]) == (0, 90, 70)
    _watch(runbook, "--entity", CHEFS)
    assert runbook("copy", "set", "--entity", CHEFS).exit_code == 2


@pytest.mark.long
def test_a_busy_database_pauses_it_and_status_says_why(live, chefs, runbook, database, sandbox):
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    busy = [Busy(sandbox) for _ in range(3)]
    try:
        runbook("copy", "set", "--entity", CHEFS, "--max-threads", "1")
        until(lambda: progress.Watch(live, chefs).look().paused)
        assert "threads running" in runbook("copy", "status", "--entity", CHEFS, "--seconds", "0").stdout
    finally:
        for one in busy:
            one.end(database)
    runbook("copy", "set", "--entity", CHEFS, "--max-threads", "0")
    until(lambda: not progress.Watch(live, chefs).look().paused)


@pytest.mark.long
def test_several_entities_go_at_once(live, chefs, runbook):
    result = runbook("copy", "start", "--entity", CHEFS, "--entity", SPECIMENS, "--json")
    assert [one["entity"] for one in json.loads(result.stdout)["entities"]] == [CHEFS, SPECIMENS]
    found = json.loads(_watch(runbook, "--json").stdout)["entities"]
    assert {one["entity"]: one["backfilled"] for one in found} == {CHEFS: True, SPECIMENS: True}
    _expect_equal(live, chefs)


def test_status_reports_progress_limits_and_lanes(live, chefs, runbook):
    assert "not started" in runbook("copy", "status", "--entity", CHEFS).stdout
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    until(lambda: sum(lane.rows for lane in _lanes(live, chefs)) >= ROWS)
    found = json.loads(runbook("copy", "status", "--entity", CHEFS, "--json").stdout)["entities"][0]
    assert (found["percent"], found["total"], found["rows_done"], found["eta"]) == (100, ROWS, ROWS, 0)
    assert found["limits"] == {"rate": 0, "threads": 0, "bound": 20000}
    assert [lane["lane"] for lane in found["lanes"]] == list(range(names.LANES))
    shown = runbook("copy", "status", "--entity", CHEFS).stdout
    for part in ("running", "300 of 300 rows", "no limit of rows/s", "last report"):
        assert part in shown


def test_threads_of_this_process_can_be_the_workers(live, chefs, runbook, monkeypatch):
    monkeypatch.setattr("runbook.aws.lambda_calls.wake_lanes", lambda *_: pytest.fail("no function is called"))
    result = runbook("copy", "start", "--entity", CHEFS, "--run-here")
    assert result.exit_code == 0, result.output
    assert "chefs has caught up" in result.stdout
    _expect_equal(live, chefs)


@pytest.mark.parametrize(("phase", "says"), [(Phase.MODERN, "rollback"), (Phase.COMPLETE, "gone")])
def test_in_another_phase_it_is_refused_with_what_may_come_next(live, chefs, runbook, phase, says):
    force_phase(live, CHEFS, phase)
    try:
        result = runbook("copy", "start", "--entity", CHEFS)
        assert result.exit_code == 4
        assert f"phase {phase}" in result.stderr
        assert says in result.stderr
        assert live.journal.find_record(CHEFS, names.COPY_RECORD) is None
    finally:
        force_phase(live, CHEFS, Phase.LEGACY)


def test_a_red_check_refuses_it_and_nothing_was_changed(live, chefs, runbook, database, monkeypatch):
    bad = Check(name="cascade", ok=False, value="orders", limit="none", remedy="Drop it.")
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [bad])
    result = runbook("copy", "start", "--entity", CHEFS)
    assert result.exit_code == 4
    assert "Drop it." in result.stderr
    with database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.triggers WHERE event_object_table = 'cheftable'")
        assert not cursor.fetchall()
    assert live.journal.events(CHEFS, 1)[0].result == "refused"


def test_watching_what_does_not_run_or_has_no_worker_fails_clearly(live, chefs, runbook, monkeypatch):
    result = runbook("copy", "watch", "--entity", CHEFS)
    assert result.exit_code == 4
    assert "not started" in result.stderr
    monkeypatch.setattr("runbook.aws.lambda_calls.wake_lanes", lambda *_: None)
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.3)
    dead = [progress.Lane(lane=n, owner="", beat="", age=None, rows=0, lag=0.0) for n in range(names.LANES)]
    monkeypatch.setattr(progress.Watch, "_lanes", lambda *_: dead)
    monkeypatch.setattr(progress.Watch, "caught_up", lambda *_: False)
    _done(runbook("copy", "start", "--entity", CHEFS))
    result = runbook("copy", "watch", "--entity", CHEFS, "--every", str(BETWEEN))
    assert result.exit_code == 1
    assert "no lane of chefs has reported" in result.stderr


def test_stopping_what_was_never_started_says_so(live, chefs):
    with pytest.raises(PreconditionError, match="never started"):
        control.stop(live, chefs)


@pytest.mark.parametrize(
    ("command", "phase"), [("stop", Phase.MODERN), ("stop", Phase.COMPLETE), ("set", Phase.COMPLETE)]
)
def test_what_would_not_hold_in_a_phase_is_refused(live, chefs, runbook, command, phase):
    _done(runbook("copy", "start", "--entity", CHEFS))
    force_phase(live, CHEFS, phase)
    try:
        result = runbook("copy", command, "--entity", CHEFS, *(["--rate", "5"] if command == "set" else []))
        assert result.exit_code == 4
        assert f"chefs is in phase {phase}; `copy {command}` is for phase legacy" in result.stderr
        assert (control.record(live, chefs)["state"], control.record(live, chefs)["rate"]) == ("running", 0)
    finally:
        force_phase(live, CHEFS, Phase.LEGACY)


def _triggers(database) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.triggers WHERE event_object_table = 'cheftable'")
        return len(cursor.fetchall())


def _drop_one(database) -> None:
    with database.cursor() as cursor:
        cursor.execute("DROP TRIGGER chefdb.streamback_capture_i_chefs")


def _installed(context):
    return triggers.installed(context.aurora, context.target.mapping[CHEFS]).ok


def test_lost_triggers_are_added_and_everything_has_to_be_compared_again(live, chefs, runbook, database):
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    _expect_equal(live, chefs)
    assert all(check.ok for check in copy_checks.checks(live, chefs))
    _drop_one(database)
    assert not _installed(live)
    assert json.loads(runbook("copy", "start", "--entity", CHEFS, "--json").stdout)["entities"][0]["triggers"] == [
        "streamback_capture_i_chefs"
    ]
    assert _installed(live)
    assert copy_checks.checks(live, chefs)[-1].value == "never"


def test_a_comparison_from_before_the_triggers_counts_for_nothing(live, chefs, runbook):
    found = now()
    _done(runbook("copy", "start", "--entity", CHEFS))
    verified.note(live.journal, CHEFS, started_at=found, sample=1.0, compared=ROWS, differences=0, streams=0)
    last = copy_checks.checks(live, chefs)[-1]
    assert not last.ok
    assert "before copy's triggers were made" in last.value


@pytest.mark.long
def test_in_phase_modern_start_only_adds_the_triggers_that_a_rollback_needs(live, chefs, runbook, database):
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    before = control.record(live, chefs)
    force_phase(live, CHEFS, Phase.MODERN)
    try:
        assert runbook("copy", "start", "--entity", CHEFS).exit_code == 4
        _drop_one(database)
        assert "there again" in _done(runbook("copy", "start", "--entity", CHEFS)).stdout
        assert (_triggers(database), control.record(live, chefs)) == (6, before)
    finally:
        force_phase(live, CHEFS, Phase.LEGACY)


def _left(live, database) -> list[str]:
    """The entity's records in the journal but for its state; its rows in the queue."""
    records = (names.COPY_RECORD, names.VERIFIED_RECORD, *map(names.lane_record, range(names.LANES)))
    with database.cursor() as cursor:
        cursor.execute(f"SELECT item_key FROM chefdb.{names.CHANGES_TABLE}")
        queued = [str(key) for (key,) in cursor.fetchall()]
    return [record for record in records if live.journal.find_record(CHEFS, record)] + queued


def test_removing_copy_leaves_no_trigger_no_queue_and_no_record_and_a_later_start_begins_anew(
    live, chefs, runbook, database
):
    _done(runbook("copy", "start", "--entity", CHEFS))
    _watch(runbook, "--entity", CHEFS)
    _expect_equal(live, chefs)
    _done(runbook("copy", "stop", "--entity", CHEFS))
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO chefdb.cheftable (cheffirst) VALUES ('still in the queue')")
    live.switch_schedules(chefs, enabled=True, check=lambda: None)  # as a late call of another operator does
    for _ in range(2):
        assert "begins anew" in _done(runbook("copy", "stop", "--entity", CHEFS, "--remove-triggers")).stdout
        assert (_triggers(database), _left(live, database)) == (0, [])
        assert set(live.schedule_states(chefs)) == {"DISABLED"}
        assert (live.routing.routes(chefs).writes, live.journal.state(CHEFS).gated) == (Side.LEGACY, False)
    with database.cursor() as cursor:
        cursor.execute("DELETE FROM chefdb.cheftable LIMIT 2")  # whose items are still there
    assert "started" in _done(runbook("copy", "start", "--entity", CHEFS)).stdout
    _watch(runbook, "--entity", CHEFS)
    assert control.record(live, chefs)["enqueued"] == ROWS - 1
    _expect_equal(live, chefs)


def test_removing_copy_is_refused_while_anything_is_on_modern_or_interrupted(live, chefs, runbook, database):
    _done(runbook("copy", "start", "--entity", CHEFS))
    out = ("copy", "stop", "--entity", CHEFS, "--remove-triggers")
    half = Operation(id="1", command="cutover writes", arguments={}, operator="a", started_at="now", step="gate")
    for changes, says in (
        ({"phase": "modern"}, "phase modern"),
        ({"reads": 5}, "answers reads"),
        ({"operation": half}, "interrupted"),
    ):
        with held(live.journal, CHEFS, "a test", "x") as lease:
            live.journal.write(lease.lock, CHEFS, changes)
        result = runbook(*out)
        with held(live.journal, CHEFS, "a test", "x") as lease:
            live.journal.write(lease.lock, CHEFS, {"phase": "legacy", "reads": 0, "operation": None})
        assert (result.exit_code, _triggers(database)) == (4, 6)
        assert says in result.stderr
    assert control.record(live, chefs)["state"] == "running"


@pytest.mark.long
def test_begun_anew_after_a_rollback_it_waits_for_what_modern_wrote(live, chefs, runbook, database, monkeypatch):
    """Without it, old rows would be copied over what the bridge has not brought to Aurora yet."""
    followed = []
    monkeypatch.setattr(control.StreamDrain, "follow", lambda _: followed.append(1))
    _done(runbook("copy", "start", "--entity", CHEFS))
    _done(runbook("copy", "start", "--entity", CHEFS, "--again"))
    assert not followed
    with database.cursor() as cursor:
        cursor.execute(f"UPDATE chefdb.{names.CONTROL_TABLE} SET generation = 2 WHERE entity = '{CHEFS}'")
    _done(runbook("copy", "start", "--entity", CHEFS))
    assert not followed
    _done(runbook("copy", "start", "--entity", CHEFS, "--again"))
    assert followed


@pytest.mark.sweep
def test_killed_anywhere_removing_copy_ends_by_the_same_command(live, chefs, runbook, database):
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        with database.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO chefdb.{names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) "
                f"VALUES ('{CHEFS}', 0, '1', UTC_TIMESTAMP(6))"
            )
        live.journal.put_record(CHEFS, names.COPY_RECORD, {"state": "stopped", "started_at": "then"})
        killed = killed_at(
            count, lambda: Context.of(live.target), SERVICES, lambda context: control.release(context, chefs)
        )
        control.release(live, chefs)
        assert (_triggers(database), _left(live, database)) == (0, [])
    assert count > 5


@pytest.mark.sweep
def test_killed_anywhere_the_same_start_again_ends_as_one_clean_run(live, chefs, runbook, monkeypatch):
    monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        killed = killed_at(
            count,
            lambda: Context.of(live.target),
            SERVICES,
            lambda context: control.start(context, chefs, CopyLimits(), again=False),
        )
        control.start(live, chefs, CopyLimits(), again=False)
        state = live.journal.state(CHEFS)
        assert (state.phase, state.operation, state.lock) == (Phase.LEGACY, None, None)
    assert count > 5
    _watch(runbook, "--entity", CHEFS)
    _expect_equal(live, chefs)
