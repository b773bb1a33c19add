"""`--direct` where modern's writer is a team's own."""

from __future__ import annotations

import json

from runbook_outputs import ENTITY, MAPPING, outputs
from typer.testing import CliRunner

from runbook.commands.cli import app
from runbook.errors import UsageError

CONTRACT = {"reads": ["GET /v2/chefs"], "writes": ["POST /v2/chefs"]}


def test_an_adopted_writer_gets_no_writes_past_the_gate(tmp_path):
    path = tmp_path / "outputs.json"
    legacy = {**MAPPING[ENTITY]["legacy"], "key_type": "string"}
    adopted = {ENTITY: {**MAPPING[ENTITY], "legacy": legacy, "api": CONTRACT}}
    path.write_text(json.dumps(outputs("http://127.0.0.1:9", mapping=adopted)))
    done = CliRunner().invoke(app, ["cutover", "writes", "--direct", "--outputs", str(path)])
    assert done.exit_code == UsageError.exit_code
    assert "does not ask the gate" in done.output
