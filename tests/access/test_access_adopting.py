"""Adopting, finding drift and undoing it under exactly the operator's policies for a stack that adopts."""

from __future__ import annotations

import json

import pytest
from adopted_world import ENTITY, READS, World
from typer.testing import CliRunner
from used import recorded

from components.access_policies import ADOPTED, ROLES, of
from components.operating import ADOPTED_ACTING, ADOPTED_READING
from components.rights import StackNames
from runbook.commands.cli import app
from sandbox.engine import aws

COMMANDS = (("adopt",), ("adopt", "--execute"), ("adopt", "undo", "--execute", "--settle", "0"))
# What these commands do not call.
ELSEWHERE = {"lambda:InvokeFunction", "execute-api:Invoke"}  # a switch warms the writers, and `smoke` sends requests


@pytest.fixture
def world(sandbox):
    return World(sandbox)


@pytest.fixture
def runbook(world, sandbox, tmp_path):
    """Runs a command as a user with exactly the operator's policies; the actions used."""
    functions = [world.reads, world.reads.partition(":")[0], world.writes, world.modern_reads, world.modern_writes]
    named = StackNames(
        stack="adopted",
        account=aws.ACCOUNT,
        region=aws.REGION,
        tables=[world.table],
        functions=[*functions, world.gate],
    )
    iam = aws.Aws(sandbox.outputs["endpointUrl"]).client("iam")
    iam.create_user(UserName=world.name)
    policies = of("operate", named, adopts=True)
    journal = {"Effect": "Allow", "Action": ["dynamodb:*"], "Resource": [f"arn:aws:dynamodb:*:*:table/{world.journal}"]}
    for number, document in enumerate([*policies, {"Version": "2012-10-17", "Statement": [journal]}]):
        iam.put_user_policy(UserName=world.name, PolicyName=str(number), PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=world.name)["AccessKey"]
    saved = tmp_path / "outputs.json"

    def run(*words):
        world.context()
        mine = {"accessKeyId": key["AccessKeyId"], "secretAccessKey": key["SecretAccessKey"]}
        saved.write_text(json.dumps({**world.raw, **mine}))
        with recorded() as used:
            done = CliRunner().invoke(app, [*words, "--outputs", str(saved)], env={"COLUMNS": "200"})
        assert done.exit_code == 0, (words, done.output, done.exception)
        return used

    return run


def granted(rights):
    return {action for each in rights for action in each.actions.split()}


def test_the_operator_adopts_and_undoes_it_with_these_rights_and_needs_each(world, runbook):
    used = set().union(*(runbook(*words) for words in COMMANDS[:2]))
    assert world.call(READS[0]) == (200, "reads")
    used |= runbook(*COMMANDS[2])
    assert used - granted(ROLES["operate"]) - granted(ADOPTED["operate"]) == set()
    assert granted((*ADOPTED_READING, *ADOPTED_ACTING)) - used == ELSEWHERE


def test_a_stack_that_adopts_nothing_gets_none_of_these_rights():
    named = StackNames(stack="s", account="1" * 12, region="us-east-1", tables=["chef"])
    assert "AddPermission" not in json.dumps(of("operate", named))
    assert f"function:{ENTITY}" in json.dumps(
        of("operate", StackNames(**{**vars(named), "functions": [ENTITY]}), adopts=True)
    )
