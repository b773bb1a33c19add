"""The whole migration with each Data API that AWS may have: from `init` to `complete`, over and back in between."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from journal_states import long_at_the_gate
from typer.testing import CliRunner

from functions.domain import names
from functions.install import triggers
from runbook.aws import outputs as targets
from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.stack import Context
from sandbox import lifecycle
from sandbox.emulator.behaviour.data_api_traits import Trait, parse

pytestmark = pytest.mark.long

CHEFS, SPECIMENS = "chefs", "specimens"
ENTITIES = Path(__file__).parents[1] / "entities.toml"
WRITES = ("--settle", "0", "--warm", "0", "--execute")
BY_SESSION = re.compile(r'"statements":(\d+)')


@pytest.fixture(scope="module", params=["strict", "no-compound", "integer-booleans,no-ddl-in-transaction", "lenient"])
def world(request):
    """A sandbox whose Data API has these traits."""
    name = f"test-{os.getpid()}-data-api"
    made = lifecycle.up(name, entities=ENTITIES, data_api=parse(request.param), current=False)
    try:
        assert made.data_api == request.param
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def live(world):
    return Context.of(targets.parse(world.outputs, "the sandbox"))


@pytest.fixture(scope="module")
def runbook(world, tmp_path_factory):
    """Runs a command against it, which must succeed."""
    saved = tmp_path_factory.mktemp("data-api") / "outputs.json"
    saved.write_text(json.dumps(dict(world.outputs)))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--outputs", str(saved)], env={"COLUMNS": "200"})
        assert done.exit_code == 0, f"{arguments}: {done.output}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def installed(live, runbook):
    """The world after `runbook init`."""
    runbook("init", "--create-tables")
    return live


def _create(live, entity: str, side: str = "", **fields) -> str:
    answer = live.api.request("POST", path(*filter(None, (side, entity))), fields)
    assert answer.status == 201, answer.body
    return answer.body["id"]


def _statements(world) -> list[int]:
    """How many statements each session has run, as the function's log says."""
    group = next(
        each["logGroupName"]
        for each in world.client("logs").describe_log_groups()["logGroups"]
        if "session" in each["logGroupName"]
    )
    events = world.client("logs").filter_log_events(logGroupName=group)["events"]
    return [int(found[1]) for event in events if (found := BY_SESSION.search(event["message"]))]


def test_every_type_of_value_passes_through_both_systems(installed, runbook):
    runbook("smoke", "--entity", SPECIMENS)


def test_a_counted_key_is_answered_whether_or_not_the_data_api_says_it(installed):
    keys = [_create(installed, CHEFS, "aurora", firstName=f"counted {number}") for number in range(3)]
    assert [int(key) for key in keys] == list(range(int(keys[0]), int(keys[0]) + 3))
    for number, key in enumerate(keys):
        assert installed.api.get(path("aurora", CHEFS, key)).body["firstName"] == f"counted {number}"


@pytest.fixture(scope="module")
def migrated(installed, runbook):
    """The names of the records that were written on the way over, back and over again, by key."""
    live, of, written = installed, ("--entity", CHEFS), dict[str, str]()

    def create(name: str) -> None:
        written[_create(live, CHEFS, firstName=name)] = name

    def over() -> None:
        runbook("copy", "watch", "--every", "0.2", *of)
        runbook("verify", *of)
        runbook("cutover", "reads", "--watch", "0", "--execute", *of)
        runbook("cutover", "writes", *WRITES, *of)

    create("before")
    runbook("copy", "start", *of)
    long_at_the_gate(live, CHEFS)
    over()
    create("on modern")
    runbook("rollback", *WRITES, *of)
    create("on legacy again")
    over()
    create("on modern again")
    runbook("complete", "--execute", *of)
    return written


def test_a_migration_over_and_back_and_over_again_loses_no_write(installed, migrated):
    found = {key: installed.api.get(path(CHEFS, key)).body["firstName"] for key in migrated}
    assert found == migrated
    assert len(found) == 4


def test_after_complete_no_trace_is_left(world, migrated):
    with world.database.connect(database="chefdb") as client, client.cursor() as cursor:
        cursor.execute("SHOW CREATE TABLE cheftable")
        assert names.RESERVED_PREFIX not in cursor.fetchone()[1]
        cursor.execute("SHOW TRIGGERS LIKE 'cheftable'")
        assert cursor.fetchall() == ()


def test_a_connection_of_its_own_is_used_for_what_was_refused_and_for_nothing_else(world, migrated):
    ran, changes = _statements(world), 2 * len(triggers.EVENTS)
    if world.data_api == "lenient":
        assert ran == []
    elif Trait.NO_COMPOUND in parse(world.data_api):
        assert 1 in ran, "a procedure is made by one statement"
        assert sum(count > 1 for count in ran) >= changes
    else:
        assert 1 not in ran, "no procedure is made in a transaction"
        assert len(ran) >= 2 * changes, "each trigger is made and dropped"
