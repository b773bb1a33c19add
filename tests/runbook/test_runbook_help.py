"""How `--help` of every command looks at 80 and 120 columns, and that piped output has no colours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner

from runbook.commands import _output
from runbook.commands.cli import app

ROOT = Path(__file__).parents[2]
RUNBOOK = [sys.executable, "-c", "from runbook.commands.cli import app; app(prog_name='runbook')"]
COMPLETION = {"install_completion", "show_completion"}  # Typer's own words
MOST_WORDS = 12


def _commands(command, *path):
    """Every command with the words that call it, groups included."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, *path, name)


COMMANDS = dict(_commands(typer.main.get_command(app)))
OPTIONS = [
    pytest.param(option, id=f"{' '.join(path)} {option.opts[0]}")
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, TyperOption) and option.name not in COMPLETION
]


def _help(path, width):
    environment = {"COLUMNS": str(width), "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [*path, "--help"], env=environment, prog_name="runbook")
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def _ragged(lines, width):
    """Lines that end although the first word of the next one would have fitted."""
    for line, following in pairwise(lines):
        if line.strip() and following.strip() and len(line.rstrip()) + 1 + len(following.split()[0]) < width:
            yield line


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_the_width_and_breaks_lines_only_where_they_are_full(path, width):
    lines = _help(path, width)
    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if "…" in line] == []
    prose = lines[: next(at for at, line in enumerate(lines) if line.startswith("╭"))]
    assert list(_ragged(prose, width)) == []


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_has_a_short_help_and_shows_its_default(option):
    assert option.help
    assert len(option.help.split()) <= MOST_WORDS
    assert re.match(r"[A-Z]", option.help)
    assert option.help.endswith(".")
    assert option.is_flag or option.show_default  # what is off is off by default


def test_every_sentence_of_help_is_short():
    for path, command in COMMANDS.items():
        for sentence in re.split(r"(?<=[.:·])\s+", command.help or ""):
            assert len(sentence.split()) <= 25, (path, sentence)


def _on_a_terminal(*words, **environment):
    """What a command prints on a terminal of its own."""
    here, there = pty.openpty()
    known = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    environment = {**known, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment}
    process = subprocess.Popen([*RUNBOOK, *words], env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    shown = b""
    while True:
        try:
            part = os.read(here, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(here)
    process.wait(20)
    return shown.decode()


@pytest.mark.parametrize("words", [("--help",), ("status",), ("history",), ("cutover", "reads", "--watch", "0")])
def test_no_color_is_plain_on_a_terminal(bare, tmp_path, words):
    outputs = () if words == ("--help",) else ("--outputs", str(tmp_path / "outputs.json"))
    assert "\x1b" in _on_a_terminal(*words, *outputs)
    assert "\x1b" not in _on_a_terminal(*words, *outputs, NO_COLOR="1")


@pytest.mark.parametrize("words", [("status",), ("history", "--json"), ("rollback", "--json"), ("--help",)])
def test_a_pipe_is_plain(bare, tmp_path, words):
    outputs = () if words == ("--help",) else ("--outputs", str(tmp_path / "outputs.json"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    done = subprocess.run([*RUNBOOK, *words, *outputs], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_json_on_a_terminal_is_plain_too(bare, tmp_path):
    shown = _on_a_terminal("rollback", "--json", "--outputs", str(tmp_path / "outputs.json"))
    assert shown.startswith("{")
    assert "\x1b" not in shown


def test_a_table_keeps_keys_whole_and_folds_the_rest(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    key, value = "6f9d7e11-0c55-4f4e-9d35-ab2be4a63111", "long " * 30 + "x" * 90
    table = _output.table("key", "difference", "legacy", "modern")
    table.add_row(key, "firstName", value, value)
    _output.keep_keys(table, "key")
    _output.rows(table, 1, 1)
    shown = capsys.readouterr().out
    assert key in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("x") == 180
