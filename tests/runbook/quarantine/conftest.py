"""What the tests of the quarantine share."""

from __future__ import annotations

import json

import pytest
from quarantine_world import QuarantineWorld
from typer.testing import CliRunner

from runbook.commands.cli import app


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")


@pytest.fixture
def run(sandbox):
    """Runs `runbook quarantine …` for chefs and gives its exit code and its document."""

    def of(*arguments: str):
        command = ["quarantine", *arguments, "--entity", "chefs", "--json"]
        command += ["--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert result.stdout, result.exception
        return result.exit_code, json.loads(result.stdout)

    return of


@pytest.fixture
def world(context, chefs, sandbox):
    """Both sides of chefs, and where they stand; afterwards all is as it was."""
    made = QuarantineWorld(context, chefs, sandbox)
    yield made
    made.tidy()


@pytest.fixture
def everywhere(sandbox):
    """Runs `runbook quarantine …` for all entities; gives its exit code and what it prints."""

    def of(*arguments: str):
        command = ["quarantine", *arguments, "--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        return result.exit_code, result.stdout + result.stderr

    return of
