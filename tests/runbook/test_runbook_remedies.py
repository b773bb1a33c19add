"""What resumes an interrupted operation is a command line that can be typed."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner

from runbook.commands.cli import app
from runbook.cutover.reads import TAKE_BACK
from runbook.journal.operation import first, resuming
from runbook.journal.state import Operation, State


def _operation(command: str) -> Operation:
    return Operation(id="1", command=command, arguments={}, operator="a", started_at="now", step="one")


@pytest.mark.parametrize(
    "command", ["cutover writes", "cutover reads --percent 20 --shared", "rollback both --force", "complete", TAKE_BACK]
)
def test_every_operation_is_resumed_by_an_existing_command(command):
    line = resuming(_operation(command), "chefs")
    assert line.endswith(" --entity chefs --execute")
    result = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
    assert result.exit_code == 0, result.output
    assert line in first(State(entity="chefs", operation=_operation(command)))


def test_without_an_operation_status_is_the_next_thing_to_look_at():
    assert "`runbook status --entity chefs`" in first(State(entity="chefs"))
