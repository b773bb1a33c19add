"""`complete --leave-read-only` on a system of its own: no legacy writer is acknowledged, then or afterwards."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pymysql
import pytest
from journal_states import force_phase
from killed import killed_at
from sweep import BEFORE_FIRST, EVERY
from typer.testing import CliRunner

from functions.domain import names
from functions.domain.phase import Phase
from functions.install import read_only
from runbook import init as init_service
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.cutover.command import Completion
from runbook.cutover.fence import Fence
from runbook.cutover.steps import Choices
from runbook.journal.lock import held
from runbook.stack import Context

ENTITY, DATABASE = "chefs", "chefdb"
MESSAGE = f"{names.READ_ONLY}chefs has moved to DynamoDB"
JOURNAL_WRITE = "before-send.dynamodb.TransactWriteItems"
WRITES = (
    "INSERT INTO cheftable (cheffirst) VALUES ('late')",
    "REPLACE INTO cheftable (id, cheffirst) VALUES (1, 'late')",
    "UPDATE cheftable SET cheffirst = 'late'",
    "DELETE FROM cheftable",
)


@pytest.fixture(scope="module")
def live(system, own_live):
    """The legacy table has a row."""
    _run(system, "INSERT INTO cheftable (id, cheffirst) VALUES (1, 'first')")
    init_service.run(own_live)
    return own_live


@pytest.fixture(scope="module")
def runbook(system, tmp_path_factory):
    """Runs a command on chefs; changes to its outputs may be given."""
    saved = tmp_path_factory.mktemp("read-only") / "outputs.json"

    def run(*arguments: str, **changes):
        saved.write_text(json.dumps({**system.outputs, **changes}))
        command = [*arguments, "--entity", ENTITY, "--outputs", str(saved)]
        done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture
def modern(live, monkeypatch):
    """Reads and writes are on modern and the fence is up, as after both cutovers; those have tests of their own."""
    monkeypatch.setattr(Completion, "checks", lambda *_: [])
    _to_modern(live)
    return live.target.entity(ENTITY)


def _to_modern(live) -> None:
    entity = live.target.entity(ENTITY)
    with held(live.journal, ENTITY, "a test", "x") as lease:
        force_phase(live, ENTITY, Phase.MODERN)
        live.journal.write(lease.lock, ENTITY, {"reads": 100})
    described = live.target.mapping[ENTITY]
    for name in read_only.bodies(described):
        read_only.remove(live.aurora.database(), described, name)
    table = f"`{described.legacy.database}`.`{described.legacy.table}`"
    live.aurora.database().execute(f"ALTER TABLE {table} FORCE")  # MariaDB counts columns that were dropped at once
    init_service.run(live)
    with held(live.journal, ENTITY, "a test", "x") as lease:
        event = {"action": "capture", "entity": ENTITY, "token": lease.next_token()}
        live.invoke(live.target.bridge_install_function, event)
        Fence(live, entity, lease).raise_()
    live.routing.route(entity, Routes(reads=Side.MODERN, writes=Side.MODERN))
    if live.mapping_state(entity) == "Disabled":
        live.clients.functions.update_event_source_mapping(UUID=entity.bridge_mapping_id, Enabled=True)


def _complete(context: Context, on: bool | None) -> None:
    Completion(context, context.target.entity(ENTITY), Choices(), on).execute()


def _run(system, sql: str) -> None:
    """Run a line of SQL as a client does, statement by statement."""
    with system.database.connect(database=DATABASE) as client, client.cursor() as cursor:
        for statement in filter(str.strip, sql.split(";")):
            cursor.execute(statement)


def _demand_refused(system) -> None:
    for write in WRITES:
        with pytest.raises(pymysql.err.MySQLError, match=MESSAGE):
            _run(system, write)


def _ours(system) -> set[str]:
    """Everything of streamback's in chefs' database, and its user."""
    with system.database.connect() as client, client.cursor() as cursor:
        cursor.execute(
            "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s "
            "UNION ALL SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = %s AND table_name LIKE 'streamback%%' "
            "UNION ALL SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = %s AND column_name LIKE 'streamback%%' "
            "UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s",
            [DATABASE] * 4,
        )
        return {name for (name,) in cursor.fetchall()}


def test_while_it_runs_no_writer_gets_in_and_only_the_three_triggers_remain(system, live, modern):
    done, refused, written = threading.Event(), list[str](), list[int]()

    def write() -> None:
        while not done.is_set():
            try:
                _run(system, WRITES[0])
                written.append(1)
            except pymysql.err.MySQLError as error:
                refused.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        _complete(live, True)
    finally:
        done.set()
        thread.join()
    assert not written
    assert {"fenced" if "are fenced" in each else "read-only" for each in refused} == {"fenced", "read-only"}
    assert all("are fenced" in each or MESSAGE in each for each in refused)
    assert _ours(system) == set(read_only.bodies(live.target.mapping[ENTITY]))
    _demand_refused(system)


def test_legacys_own_writer_answers_that_it_is_read_only(live):
    answer = live.api.request("POST", path("aurora", ENTITY), {"firstName": "late"})
    assert (answer.status, answer.body["error"]) == (403, "read_only")


def test_again_without_the_option_it_leaves_and_reports_nothing(system, live, runbook):
    done = json.loads(runbook("complete", "--execute", "--json"))
    assert (done["changed"], done["read_only"]) == (False, True)
    assert done["writable_by"].count("DROP TRIGGER") == 3
    assert "Nothing to do" in runbook("complete")
    _demand_refused(system)


def test_status_and_complete_print_one_line_that_lets_writers_in(system, runbook):
    found = json.loads(runbook("status", "--json"))["entities"][0]
    line = found["writable_by"]
    assert (found["read_only"], "\n" in line) == (True, False)
    assert line in runbook("complete", "--execute")
    assert "read-only; lets writers in again" in runbook("status")
    _run(system, line)
    _run(system, WRITES[0])
    assert _ours(system) == set()
    found = json.loads(runbook("status", "--json"))["entities"][0]
    assert (found["read_only"], found["writable_by"]) == (False, "")


def test_the_same_option_adds_and_drops_them_later(system, live, runbook):
    plan = json.loads(runbook("complete", "--leave-read-only", "--json"))
    assert [step["name"] for step in plan["steps"]] == ["read-only"]
    shown = runbook("complete", "--leave-read-only")
    assert "runbook complete --entity chefs --execute --leave-read-only" in shown
    assert "TRUNCATE and DDL are not stopped" in shown
    runbook("complete", "--leave-read-only", "--execute")
    _demand_refused(system)
    name = next(iter(read_only.bodies(live.target.mapping[ENTITY])))
    _run(system, f"DROP TRIGGER {name}")
    assert json.loads(runbook("complete", "--leave-read-only", "--execute", "--json"))["changed"]
    _demand_refused(system)
    runbook("complete", "--leave-writable", "--execute")
    assert _ours(system) == set()
    assert not json.loads(runbook("complete", "--leave-writable", "--execute", "--json"))["changed"]


def test_in_production_the_table_is_left_read_only_unless_the_operator_refuses(live, modern):
    production = Context(replace(live.target, production=True), live.clients)

    def steps(context: Context, on: bool | None) -> list[str]:
        return [step.name for step in Completion(context, modern, Choices(), on).plan().steps]

    assert steps(production, None)[-2:] == ["read-only", "remove"]
    assert "read-only" not in steps(production, False)
    assert "read-only" not in steps(live, None)


@pytest.mark.sweep
@pytest.mark.parametrize("on", [pytest.param(True, marks=pytest.mark.long), False])
def test_killed_at_any_boundary_the_same_command_again_ends_as_one_clean_run(system, live, modern, on):
    expected = set(read_only.bodies(live.target.mapping[ENTITY])) if on else set()
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        _to_modern(live)
        killed = killed_at(
            count, lambda: Context.of(live.target), ["dynamodb"], lambda context: _complete(context, on), JOURNAL_WRITE
        )
        past = live.journal.state(ENTITY).phase == Phase.COMPLETE
        _complete(live, None if past else on)  # past the commit the interrupted command's choice stands
        state = live.journal.state(ENTITY)
        assert (state.phase, state.operation, state.lock) == (Phase.COMPLETE, None, None), f"killed at {count}"
        assert _ours(system) == expected, f"killed at {count}"
    assert count > 10
