"""`runbook status` on the shared sandbox: what it reports the fence, and with an Aurora that is down."""

from __future__ import annotations

import json
import threading

import pytest
from typer.testing import CliRunner

from runbook import status
from runbook.commands.cli import app
from runbook.errors import FailedError
from runbook.journal.lock import held
from runbook.journal.state import Operation


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture
def run(context, sandbox):
    """Runs `runbook status` for all entities; gives its exit code and what it prints."""

    def of(*arguments: str):
        command = ["status", *arguments, "--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        return result.exit_code, result.stdout

    return of


@pytest.fixture
def aurora_down(sandbox):
    sandbox.database.stop()
    yield
    sandbox.database.start()


def _of_chefs(said):
    return next(one for one in json.loads(said)["entities"] if one["entity"] == "chefs")


def test_with_aurora_down_all_else_is_reported_and_what_is_not_known_is_null(context, run, aurora_down):
    operation = Operation(id="1", command="cutover writes", arguments={}, operator="a", started_at="now", step="drain")
    with held(context.journal, "chefs", "a test", "a test") as lease:
        context.journal.write(lease.lock, "chefs", {"operation": operation})
    code, said = run("--json")
    human = run()
    with held(context.journal, "chefs", "a test", "a test") as lease:
        context.journal.write(lease.lock, "chefs", {"operation": None})
    one = _of_chefs(said)
    assert (code, one["legacy"], one["fenced"], one["healthy"]) == (0, None, None, True)
    assert (one["modern"]["exact"], one["state"]["operation"]["step"]) == (True, "drain")
    assert {"fence", "legacy"} == set(one["unknown"])
    assert human[0] == 0
    for part in ("phase", "→ legacy", "cutover writes at drain", "unknown legacy", "specimens", "does not answer"):
        assert part in human[1]


def test_the_fence_is_reported_and_that_it_should_not_be_up_in_phase_legacy(run, database):
    assert _of_chefs(run("--json")[1])["fenced"] is False
    with database.cursor() as cursor:
        cursor.execute("UPDATE chefdb.streamback_control SET fenced = 1 WHERE entity = 'chefs'")
        said = run("--entity", "chefs")[1]
        cursor.execute("UPDATE chefdb.streamback_control SET fenced = 0 WHERE entity = 'chefs'")
    assert "`runbook rollback writes --entity chefs --execute` lowers it" in said


def test_an_aurora_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(status, "SMALL_ANSWER_SECONDS", 0.01)
    never = threading.Event()
    with pytest.raises(FailedError, match="has not answered"):
        status._soon(lambda: never.wait(60))
    never.set()


def test_without_a_bridge_status_does_not_say_that_it_is_healthy(bare):
    found = status.run(bare, bare.target.entity("chefs"), send_heartbeat=False, exact=False)
    assert (found.bridge, found.healthy) == ([], None)
