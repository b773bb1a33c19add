"""Adopting, finding drift and undoing it under exactly the operator's policies for a stack that adopts."""

from __future__ import annotations

import json

import pytest
from adopted_world import ENTITY, READS, STAGE, World
from typer.testing import CliRunner
from used import recorded

from components.access_policies import ADOPTED, ROLES, of
from components.operating import ADOPTED_ACTING, ADOPTED_INSTANCE, ADOPTED_READING
from components.rights import StackNames
from runbook.commands.cli import app
from sandbox.engine import aws
from sandbox.engine.lookups import LOOKUPS

COMMANDS = (("adopt",), ("adopt", "--execute"), ("adopt", "undo", "--execute", "--settle", "0"))
# What these commands do not call: a switch warms the writers, `smoke` sends requests, and `preflight` asks the cluster.
ELSEWHERE = {
    *("lambda:InvokeFunction", "execute-api:Invoke", "rds:DescribeDBClusters", "secretsmanager:GetSecretValue"),
    *("rds-data:BeginTransaction", "rds-data:CommitTransaction", "rds-data:RollbackTransaction"),
    "rds-data:ExecuteStatement",
}


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


WITHOUT_DATA_API = {"aws:rds/getInstance:getInstance", "aws:rds/getProxy:getProxy"}


def granted(rights):
    return {action for each in rights if each.on != ADOPTED_INSTANCE for action in each.actions.split()}


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


@pytest.mark.parametrize("role", ["deploy", "preview"])
def test_who_deploys_or_previews_looks_up_what_is_adopted_with_these_rights_and_needs_each(world, sandbox, role):
    iam, name = aws.Aws(sandbox.outputs["endpointUrl"]).client("iam"), f"{world.name}-{role}"
    cluster, secret = sandbox.outputs["clusterArn"], sandbox.outputs["masterSecretArn"]
    functions = [world.reads, world.reads.partition(":")[0], world.writes]
    named = StackNames(
        stack="adopted",
        account=aws.ACCOUNT,
        region=aws.REGION,
        tables=[world.table],
        functions=functions,
        clusters=[cluster],
        secrets=[secret],
    )
    iam.create_user(UserName=name)
    for number, document in enumerate(of(role, named, adopts=True)):
        iam.put_user_policy(UserName=name, PolicyName=str(number), PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    emulator = aws.Aws(sandbox.outputs["endpointUrl"], key["AccessKeyId"], key["SecretAccessKey"])
    asked = {
        "aws:lambda/getFunction:getFunction": {"functionName": functions[1], "qualifier": "live"},
        "aws:rds/getCluster:getCluster": {"clusterIdentifier": cluster.rpartition(":")[2]},
        "aws:secretsmanager/getSecret:getSecret": {"arn": secret},
        "aws:dynamodb/getTable:getTable": {"name": world.table},
        "aws:apigateway/getExport:getExport": {"restApiId": world.api, "stageName": STAGE, "exportType": "oas30"},
    }
    assert asked.keys() == LOOKUPS.keys() - WITHOUT_DATA_API
    with recorded() as used:
        found = [LOOKUPS[token](emulator, arguments) for token, arguments in asked.items()]
    assert all(found)
    assert used == granted(ADOPTED[role]) | {"apigateway:GET"}


@pytest.mark.parametrize("role", ["read", "operate", "boundary"])
def test_an_adopted_cluster_and_its_secret_are_in_the_policies_of_those_that_work_on_it(role):
    cluster, secret = "arn:aws:rds:us-east-1:1:cluster:shop", "arn:aws:secretsmanager:us-east-1:1:secret:shop"
    named = StackNames(
        stack="s", account="1", region="us-east-1", tables=[], functions=[], clusters=[cluster], secrets=[secret]
    )
    on = {
        (each, resource)
        for document in of(role, named, adopts=True)
        for part in document["Statement"]
        for each in part["Action"]
        for resource in part["Resource"]
    }
    assert {("rds-data:ExecuteStatement", cluster), ("secretsmanager:GetSecretValue", secret)} <= on


@pytest.mark.parametrize("role", ["deploy", "preview", "read", "operate"])
def test_an_adopted_instance_is_looked_at_and_gets_no_right_to_a_data_api(role):
    instance = "arn:aws:rds:us-east-1:1:db:shop"
    named = StackNames(stack="s", account="1", region="us-east-1", tables=[], instances=[instance])
    parts = [part for document in of(role, named, adopts=True) for part in document["Statement"]]
    on = [part["Action"] for part in parts if instance in part["Resource"]]
    assert [action for actions in on for action in actions if action.startswith("rds:Describe")] == [
        "rds:DescribeDBInstances"
    ]
    assert "rds-data" not in str(on)
