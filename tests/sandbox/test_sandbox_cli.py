"""The command line of the sandbox, with the project's own program."""

from __future__ import annotations

import os
import re

import pytest
from afresh import AT_ONCE
from typer.testing import CliRunner

from functions.legacy.table import LegacyStore
from sandbox import lifecycle
from sandbox.cli import app
from sandbox.state import Folder


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def _leave_the_current_one_alone(monkeypatch):
    monkeypatch.setattr("sandbox.state.set_current", lambda folder: None)


def test_a_sandbox_is_brought_up_emptied_and_taken_down(run):
    name = f"test-{os.getpid()}-cli"
    try:
        up = run("up", "--name", name, "--config", "apiAuth=NONE")
        assert up.exit_code == 0, up.output
        assert re.search(r"LegacySystem +\d+ created", up.stdout)
        assert lifecycle.find(name).outputs["apiAuth"] == "NONE"
        assert lifecycle.find(name).outputs["apiUrl"] in up.stdout
        assert re.search(rf"database +{lifecycle.find(name).database.title}\n", up.stdout)
        assert run("reset", "--name", name).exit_code == 0
        assert lifecycle.find(name).outputs["apiAuth"] == "NONE"
    finally:
        down = run("down", "--name", name)
    assert (down.exit_code, down.stdout) == (0, f"The sandbox '{name}' is gone.\n")
    assert run("down", "--name", name).stdout == f"There was no sandbox '{name}'.\n"


def test_preview_lists_each_resource_and_makes_no_folder(run):
    answer = run("preview", "--name", "test-nothing")
    assert answer.exit_code == 0
    assert "+ aws:apigateway:RestApi" in answer.stdout
    assert answer.stdout.rstrip().endswith("to create. Nothing was done.")
    assert not Folder.of("test-nothing").path.exists()


@pytest.mark.long
def test_preview_of_what_is_up_has_nothing_to_do(run, sandbox):
    chosen = [f"--config={name}={value}" for name, value in AT_ONCE.items()]
    answer = run("preview", "--name", sandbox.name, "--entities", "tests/entities.toml", *chosen)
    assert re.fullmatch(r"\d+ resources: \d+ unchanged\. Nothing was done\.\n", answer.stdout)


def test_status_names_each_sandbox_and_its_api(run, sandbox):
    line = next(line for line in run("status").stdout.splitlines() if f" {sandbox.name} " in line)
    assert "server up" in line
    assert f"{sandbox.database.title} up" in line
    assert sandbox.outputs["apiUrl"] in line


def test_logs_show_what_a_function_printed(run, sandbox):
    function = sandbox.outputs["legacyInitFunction"]
    sandbox.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    answer = run("logs", "init", "--name", sandbox.name)
    assert answer.exit_code == 0, answer.output
    assert "REPORT RequestId" in answer.stdout


@pytest.mark.parametrize("command", ["logs", "reset"])
def test_a_command_on_a_sandbox_that_is_not_up_says_what_to_do(run, command):
    answer = run(command, "--name", "test-nothing")
    assert answer.exit_code == 1
    assert "sandbox up --name test-nothing" in answer.stderr


def test_a_setting_without_a_value_is_a_usage_error(run):
    answer = run("preview", "--config", "apiAuth")
    assert answer.exit_code == 2
    assert "KEY=VALUE" in answer.stderr


def test_a_wrong_setting_is_reported_in_the_programs_words(run):
    answer = run("preview", "--name", "test-nothing", "--config", "apiAuth=SOME")
    assert answer.exit_code == 1
    assert "streamback:apiAuth: expected" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_fill_adds_rows_that_fit_the_mapping_to_each_table(run, prepared, sandbox):
    before = prepared.aurora.count(prepared.target.mapping["specimens"], exact=True).records
    filled = run("fill", "--rows", "700", "--name", sandbox.name)
    assert filled.exit_code == 0, filled.output
    assert f"specimens: {before + 700:,} rows" in filled.stdout
    rows = LegacyStore(prepared.target.mapping["specimens"], prepared.aurora.database("museum"))
    page = rows.page(500, "")
    assert (len(page.records), page.unrepresentable) == (500, [])


def test_fill_says_what_to_do_where_there_is_no_table(run, prepared, sandbox, database):
    with database.cursor() as cursor:
        cursor.execute("RENAME TABLE chefdb.cheftable TO chefdb.elsewhere")
    try:
        filled = run("fill", "--name", sandbox.name)
    finally:
        with database.cursor() as cursor:
            cursor.execute("RENAME TABLE chefdb.elsewhere TO chefdb.cheftable")
    assert filled.exit_code == 1
    assert "runbook init --create-tables" in filled.stderr
