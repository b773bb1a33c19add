"""`runbook verify` over two empty sides: it compared nothing, so it says so and opens no way to a cutover."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from runbook.checks import copy as copy_checks
from runbook.commands.cli import app


@pytest.fixture
def verify(sandbox, prepared, tmp_path):
    """Runs the command; both sides of chefs are empty."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))

    def run(*options: str):
        words = ["verify", "--entity", "chefs", *options, "--outputs", str(saved)]
        return CliRunner().invoke(app, words, env={"COLUMNS": "200"})

    return run


def last(context):
    return copy_checks.verified(context, context.target.entity("chefs"))


def test_it_is_an_error_that_names_the_option_and_counts_for_nothing(prepared, verify):
    said = verify()
    assert said.exit_code == 3
    assert "nothing was compared: both sides of chefs are empty" in said.stderr
    assert "--allow-empty" in said.stderr
    document = json.loads(verify("--json").stdout)
    assert (document["clean"], document["entities"][0]["compared"]) == (False, 0)
    assert last(prepared).ok is False
    assert "nothing was compared" in last(prepared).value


def test_two_sides_that_are_meant_to_be_empty_are_equal(prepared, verify):
    said = verify("--allow-empty")
    assert (said.exit_code, "0 of 0 equal" in said.stdout) == (0, True)
    assert last(prepared).value.startswith("clean")
