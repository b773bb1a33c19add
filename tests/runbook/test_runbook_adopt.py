"""`runbook adopt` and its undo, on a system that plain boto3 has made."""

from __future__ import annotations

import json

import pytest
from adopted_world import ENTITY, READS, STAGE, WRITES, Load, World, adopt, kinds, undo
from typer.testing import CliRunner

from runbook import init
from runbook.commands.cli import app

COUNT = len(READS) + len(WRITES)


@pytest.fixture
def world(sandbox):
    return World(sandbox)


@pytest.fixture
def runbook(world, tmp_path):
    def run(*words):
        world.context()
        (tmp_path / "outputs.json").write_text(json.dumps(world.raw))
        command = [*words, "--outputs", str(tmp_path / "outputs.json")]
        return CliRunner().invoke(app, command, env={"COLUMNS": "80", "NO_COLOR": "1"})

    return run


def answers(world):
    return {each: world.call(each) for each in (*READS, *WRITES)}


LEGACY = {**dict.fromkeys(READS, (200, "reads")), **dict.fromkeys(WRITES, (200, "writes"))}


def test_a_plan_names_every_change_with_its_value_before_and_after_and_changes_nothing(world, runbook):
    before = world.artefacts()
    plan = adopt(world).plan()
    assert kinds(plan) == [
        "stream",
        *["variable"] * 2,
        *["permission"] * (len(READS) + 2 * len(WRITES)),
        *["integration"] * COUNT,
        "deployment",
    ]
    text = runbook("adopt").stdout
    table = text[: text.index("\nstream: no effect")].splitlines()
    assert max(map(len, table)) <= 80
    shown = "".join(line[: table[1].index("what")] for line in table[2:])
    assert shown.split() == kinds(plan)
    cells = [text[text.index(kind) :].split("\n", 1)[0] for kind in ("variable", "integration", "deployment")]
    assert "none" in cells[0]
    assert "${orders" in cells[1]
    assert f"stage {STAGE}" in cells[2]
    assert "Nothing has changed. Act with: runbook adopt --execute" in text
    assert world.artefacts() == before


def test_an_adopted_method_follows_its_stage_variable_and_the_rest_stays(world):
    adopt(world).execute()
    assert answers(world) == LEGACY
    assert kinds(adopt(world).plan()) == []
    world.patch(("replace", "/variables/orders_reads", world.modern_reads))
    world.patch(("replace", "/variables/orders_writes", world.modern_writes))
    assert answers(world) == {
        **dict.fromkeys(READS, (200, "modern-reads")),
        **dict.fromkeys(WRITES, (200, "modern-writes")),
    }
    assert world.call("GET /v2/health") == (200, "writes")
    assert world.dynamodb.describe_table(TableName=world.table)["Table"]["StreamSpecification"]["StreamEnabled"]


def test_after_undo_everything_is_as_before(world):
    before = world.artefacts()
    adopt(world).execute()
    assert world.artefacts() != before
    undo(world).execute()
    assert world.artefacts() == before
    assert answers(world) == LEGACY
    assert kinds(undo(world).plan()) == []


def test_clients_see_no_failure_while_it_is_adopted_and_undone(world):
    with Load(world) as load:
        for _ in range(2):
            adopt(world).execute()
            undo(world).execute()
    assert set(load.answers) == {(200, "reads"), (200, "writes")}
    assert sum(load.answers.values()) > COUNT


def test_init_leaves_the_stage_alone_until_the_api_is_adopted(world):
    context = world.context()
    entity = context.target.entity(ENTITY)
    assert init._routes(context, entity).result == "skipped"
    assert context.routing.variables() == {}
    adopt(world).execute()
    assert init._routes(context, entity).result == "unchanged"
