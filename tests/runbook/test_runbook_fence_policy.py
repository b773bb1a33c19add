"""The policy of `rollback --fence-modern` as a text, and what the command says of writers that do not ask the gate."""

from __future__ import annotations

import json

import pytest
from journal_states import force_phase
from runbook_outputs import ENTITY, MAPPING
from typer.testing import CliRunner

from functions.domain.phase import Phase
from runbook.aws import fence_policy
from runbook.commands.cli import app

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/chef"
COPIER = "arn:aws:iam::123456789012:role/copy"
CALLER = "arn:aws:sts::123456789012:assumed-role/Operators/jo"
OWN = {"Sid": "Mine", "Effect": "Allow", "Principal": "*", "Action": "dynamodb:GetItem", "Resource": TABLE}
NATURAL = {**MAPPING[ENTITY]["legacy"], "key_type": "string"}
FOREIGN = {
    ENTITY: {**MAPPING[ENTITY], "legacy": NATURAL, "api": {"reads": ["GET /v2/chefs"], "writes": ["POST /v2/chefs"]}}
}
SAID = "--fence-modern refuses such writes instead"


def _denied(action: str, text: str) -> list[str] | None:
    """The principals that the policy lets do it; None where it says nothing of the action."""
    for each in json.loads(text)["Statement"]:
        if each["Effect"] == "Deny" and action in each["Action"]:
            return each["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    return None


def test_only_copy_and_what_the_runbook_needs_are_excepted():
    text = fence_policy.fenced("", TABLE, COPIER, CALLER)
    operators = {"arn:aws:iam::123456789012:role/Operators", "arn:aws:iam::123456789012:role/*/Operators"}
    for action in ("PutItem", "DeleteItem", "BatchWriteItem"):
        assert operators | {COPIER} <= set(_denied(f"dynamodb:{action}", text) or [])
    for action in ("UpdateItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"):
        excepted = _denied(f"dynamodb:{action}", text)
        assert excepted
        assert COPIER in excepted
        assert not operators & set(excepted), "the runbook's own write has to be refused"
    assert _denied("dynamodb:GetItem", text) is None


@pytest.mark.parametrize("statement", [OWN, [OWN]])
def test_what_was_there_stays_and_the_fence_is_removed_again(statement):
    before = json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": statement}, indent=2)
    text = fence_policy.fenced(before, TABLE, COPIER, CALLER)
    assert (fence_policy.has_fence(before), fence_policy.has_fence(text)) == (False, True)
    assert json.loads(text)["Statement"][0] == OWN
    assert json.loads(fence_policy.lifted(text)) == {"Version": "2008-10-17", "Id": "x", "Statement": [OWN]}
    assert fence_policy.lifted(fence_policy.fenced("", TABLE, COPIER, CALLER)) == ""


def test_a_user_is_named_as_it_is():
    assert fence_policy.principals("arn:aws:iam::1:user/jo") == ["arn:aws:iam::1:user/jo"]


@pytest.fixture
def rollback(bare, open_checks, tmp_path):
    """Runs `rollback` against the bare stack."""

    def run(*arguments: str, mapping=FOREIGN, phase=Phase.MODERN):
        force_phase(bare, ENTITY, phase)
        path = tmp_path / "outputs.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "mapping": mapping}))
        return CliRunner().invoke(app, ["rollback", *arguments, "--outputs", str(path)], env={"COLUMNS": "400"})

    return run


def test_a_rollback_says_before_what_it_does_not_stop_where_modern_is_adopted(rollback):
    assert SAID in rollback("writes").stderr
    asked = rollback("both", "--json")
    assert SAID in asked.stderr
    assert json.loads(asked.stdout)["executed"] is False
    for arguments, more in (
        (("writes", "--fence-modern"), {}),
        (("reads",), {}),
        (("writes",), {"mapping": MAPPING}),
        (("writes",), {"phase": Phase.LEGACY}),
    ):
        assert SAID not in rollback(*arguments, **more).stderr, arguments


def test_the_plan_has_the_fence_and_the_command_that_acts_with_it(rollback):
    planned = rollback("writes", "--fence-modern").stdout
    assert planned.count("--fence-modern") == 2  # in its title, and in the command that acts
    assert planned.index("refuses every write but copy's") < planned.index("applied the last changes")
    assert planned.rindex("the modern table's policy as it was") > planned.index("phase legacy")
    assert "policy" not in rollback("writes", mapping=MAPPING).stdout


@pytest.mark.parametrize("arguments", [("reads",), ("both", "--force")])
def test_the_fence_is_refused_where_nothing_is_drained(rollback, arguments):
    result = rollback(*arguments, "--fence-modern")
    assert result.exit_code == 2
    assert "--fence-modern does nothing" in result.stderr
