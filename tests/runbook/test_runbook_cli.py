"""What the operator types and sees: help, JSON, exit codes, the question in production, shell completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.config import Config
from runbook_outputs import ENTITY
from typer.testing import CliRunner

from runbook.aws import clients
from runbook.commands.cli import app
from runbook.journal import lock as locks

ROOT = Path(__file__).parents[2]


@pytest.fixture
def at_a_terminal(open_checks, monkeypatch):
    monkeypatch.setattr("runbook.commands._session._is_terminal", lambda: True)


@pytest.fixture
def runbook(bare, tmp_path):
    """Runs a command against the bare stack; changes to its outputs may be given."""

    def run(*arguments: str, typed: str = "", **changes):
        path = tmp_path / "outputs.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        command = [*arguments, "--outputs", str(path)]
        return CliRunner().invoke(app, command, input=typed, env={"COLUMNS": "200"})

    return run


def test_help_shows_the_commands_in_order_one_line_each():
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80", "NO_COLOR": "1"}).output
    names = (
        *("adopt", "init", "smoke", "status", "preflight", "copy", "verify", "cutover", "complete"),
        *("rollback", "quarantine", "history", "openapi"),
    )
    lines = [line.strip("│ ").split()[0] for line in text.splitlines() if line.startswith("│ ")]
    assert [line for line in lines if line in names] == list(names)
    panels = text[text.index("Migration, in order") :]
    assert sum(line.startswith("│") for line in panels.splitlines()) == len(names)


READS = ("cutover", "reads", "--watch", "0")  # writes have tests of their own on a whole system


def _over(bare) -> bool:
    return bare.journal.state(ENTITY).reads == 100


def test_a_plan_changes_nothing_and_names_the_command_that_acts(runbook, bare, open_checks):
    result = runbook(*READS, "--entity", ENTITY)
    assert result.exit_code == 0, result.output
    act = "runbook cutover reads --percent 100 --entity chefs --execute --watch 0"
    assert f"Nothing has changed. Act with: {act}" in result.stdout
    assert not _over(bare)


@pytest.mark.parametrize("command", [READS, ("cutover", "writes")])
def test_a_plan_with_a_failed_check_shows_value_limit_and_remedy_and_exits_4(runbook, command):
    result = runbook(*command)
    assert result.exit_code == 4
    for part in ("bridge", "not deployed", "Deploy the bridge first", "check does not hold"):
        assert part in result.stdout
    assert runbook(*command, "--execute").exit_code == 4


def test_execute_acts_and_history_shows_it(runbook, bare, open_checks):
    assert runbook(*READS, "--execute").exit_code == 0
    assert _over(bare)
    result = runbook("rollback", "--execute")
    assert "rollback both of chefs: done  (phase legacy, reads → legacy, writes → legacy)" in result.stdout
    assert "nothing to do" in runbook("rollback", "--execute").stdout
    said = json.loads(runbook("history", "--json").stdout)["events"]
    assert [(event["command"], event["result"]) for event in said][:2] == [
        ("rollback both", "done"),
        ("rollback both", "started"),
    ]
    assert "rollback both" in runbook("history", "--limit", "1").stdout


def test_json_is_one_document_for_a_plan_an_act_and_an_error(runbook, open_checks):
    plan = json.loads(runbook(*READS, "--json").stdout)
    assert (plan["executed"], plan["green"], [step["name"] for step in plan["steps"]]) == (
        False,
        True,
        ["share", "record-share"],
    )
    done = json.loads(runbook(*READS, "--json", "--execute").stdout)
    assert (done["executed"], done["changed"], done["state"]["reads"]) == (True, True, 100)
    result = runbook("rollback", "--json", "--entity", "absent")
    assert result.exit_code == json.loads(result.stdout)["error"]["exit"] == 2


@pytest.mark.parametrize("command", [READS, ("cutover", "writes"), ("rollback", "writes")])
def test_a_held_lock_exits_5(runbook, bare, open_checks, command):
    with locks.held(bare.journal, ENTITY, "alice", "something"):
        result = runbook(*command, "--execute")
    assert result.exit_code == 5
    assert "alice" in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [([], 5), (["--yes", "another"], 5), (["--json"], 5), (["--yes", "live"], 0), (["--json", "--yes", "live"], 0)],
)
def test_in_production_the_stacks_name_must_be_given(runbook, bare, open_checks, options, code):
    result = runbook(*READS, "--execute", *options, production=True, stack="live")
    assert result.exit_code == code, result.output
    assert _over(bare) == (code == 0)
    assert code == 0 or "--yes live" in result.output


@pytest.mark.parametrize("command", [("cutover", "writes"), ("rollback",), ("rollback", "--force")])
def test_in_production_no_switch_of_writes_goes_unasked(runbook, open_checks, command):
    result = runbook(*command, "--execute", production=True, stack="live")
    assert result.exit_code == 5
    assert "--yes live" in result.output


def test_a_plan_in_production_asks_nothing(runbook, open_checks):
    for command in (READS, ("cutover", "writes")):
        assert runbook(*command, production=True, stack="live").exit_code == 0


@pytest.mark.parametrize(("typed", "code"), [("live\n", 0), ("no\n", 5), ("\n", 5)])
def test_in_production_at_a_terminal_the_name_is_asked(runbook, bare, at_a_terminal, typed, code):
    result = runbook(*READS, "--execute", production=True, stack="live", typed=typed)
    assert result.exit_code == code
    assert _over(bare) == (code == 0)


def test_a_stack_that_does_not_answer_is_reported_without_a_traceback(runbook, monkeypatch):
    monkeypatch.setattr(clients, "SETTINGS", Config(retries={"total_max_attempts": 1}))
    result = runbook("status", endpointUrl="http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "nothing answers" in result.stderr
    assert "sandbox status" in result.stderr


def test_the_shell_completes_entities_from_the_target(bare, tmp_path):
    line = f"runbook cutover writes --outputs {tmp_path / 'outputs.json'} --entity "
    environment = {
        **os.environ,
        "_RUNBOOK_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": "6",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", "from runbook.commands.cli import app; app(prog_name='runbook')"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [ENTITY], done.stderr


def test_completion_without_a_target_offers_nothing(tmp_path):
    environment = {
        **os.environ,
        "_RUNBOOK_COMPLETE": "complete_bash",
        "COMP_WORDS": "runbook status --entity ",
        "COMP_CWORD": "3",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", "from runbook.commands.cli import app; app(prog_name='runbook')"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("command", [READS, ("cutover", "writes"), ("rollback",)])
def test_execute_and_dry_run_together_are_a_usage_error(runbook, command):
    result = runbook(*command, "--execute", "--dry-run")
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "--execute and --dry-run exclude each other" in result.stderr
    said = runbook(*command, "--execute", "--dry-run", "--json")
    assert said.exit_code == json.loads(said.stdout)["error"]["exit"] == 2


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("rollback", "reads", "--settle", "5"), "--settle does nothing"),
        (("rollback", "reads", "--hold", "5", "--warm", "0"), "--hold, --warm do nothing"),
        (("rollback", "--reads-stay"), "--reads-stay does nothing"),
        (("rollback", "--force", "--warm", "20"), "--warm does nothing"),
        (("rollback", "--force", "--probe-timeout", "5"), "--probe-timeout does nothing"),
        (("verify", "--changed-since", "1h", "--segments", "4"), "--segments does nothing"),
        (("verify", "--changed-since", "1h", "--anew"), "--anew does nothing"),
        (("verify", "--execute"), "nothing is changed without --repair"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(runbook, command, named):
    result = runbook(*command)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert named in result.stderr
