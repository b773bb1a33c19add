"""`runbook preflight`: everything holds in a fresh sandbox, and the command reports what does not."""

from __future__ import annotations

import json

import pytest
from own_table import ENTITY, TABLE, looked, red
from typer.testing import CliRunner

from functions.install import triggers
from runbook.checks import plans
from runbook.checks.plans import CheckScope
from runbook.commands.cli import app


@pytest.mark.parametrize("entity", ["chefs", "specimens"])
def test_everything_holds_in_a_fresh_sandbox(context, entity):
    found = plans.checks(context, context.target.entity(entity), CheckScope.PREFLIGHT)
    assert [(check.name, check.value) for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found)


def test_everything_holds_when_copys_triggers_are_there(world):
    context = world.context()
    triggers.install(context.aurora.database(), context.target.mapping[ENTITY])
    found = looked(context)
    assert red(found) == []
    assert found["triggers"].value == "none of the owner's"


@pytest.fixture
def run():
    """Runs `runbook preflight …`."""

    def of(*arguments: str):
        return CliRunner().invoke(app, ["preflight", *arguments], env={"COLUMNS": "200"})

    return of


def test_the_command_exits_with_0_in_a_fresh_sandbox(context, sandbox, run):
    where = ("--outputs", str(sandbox.location.outputs))
    shown = run(*where)
    assert shown.exit_code == 0
    assert "chefs" in shown.stdout
    assert "checks hold" in shown.stdout
    document = json.loads(run(*where, "--entity", "chefs", "--json").stdout)
    assert document["green"] is True
    assert set(document["entities"]) == {"chefs"}
    assert {"name", "ok", "value", "limit", "remedy"} == set(document["entities"]["chefs"][0])


def test_the_command_exits_with_4_and_prints_every_remedy(world, run, tmp_path):
    raw = world.raw(f"{TABLE} ENGINE = MyISAM")
    world.sql(
        "CREATE TRIGGER tidy BEFORE UPDATE ON chefs FOR EACH ROW SET NEW.cheffirst = 'x'",
        "UPDATE streamback_control SET fenced = 1",
    )
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(raw))
    arguments = ("--entity", "chefs", "--outputs", str(outputs))
    shown = run(*arguments)
    assert shown.exit_code == 4
    assert "3 of 48 checks do not hold" in shown.stdout
    for remedy in (
        "ENGINE = InnoDB",
        "Put its work into IF",
        "`runbook rollback writes --entity chefs --execute` lowers it",
    ):
        assert remedy in " ".join(shown.stdout.split())
    answer = run(*arguments, "--json")
    assert answer.exit_code == 4
    found = json.loads(answer.stdout)
    assert not found["green"]
    assert [each["name"] for each in found["entities"]["chefs"] if not each["ok"]] == [
        "legacy table",
        "triggers",
        "fence",
    ]


def test_the_help_states_the_cost(run):
    text = " ".join(run("--help").stdout.split())
    assert "at most 10,000 and about 128 MB" in text
