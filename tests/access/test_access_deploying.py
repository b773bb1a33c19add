"""The sandbox is deployed, changed and destroyed under exactly the deploying role's policies, with IAM enforced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.access_policies import DEPLOY
from components.rights import LONGEST, StackNames, documents, size, statements
from sandbox import lifecycle
from sandbox.database import product
from sandbox.engine.aws import ROOT_KEY, ROOT_SECRET

ROOT = Path(__file__).parents[2]
ENTITIES = ROOT / "tests/entities.toml"
CHANGED = {
    "entitiesFile": str(ENTITIES),
    "bridgeWindowSeconds": 1,
    "maxCapacity": 8,
    "logRetentionDays": 7,
    "tags": {"owner": "kitchen"},
}
# PassRole is no call: AWS checks it where a role is handed on. MiniStack does not.
NO_CALL = {"iam:PassRole"}
VERBS = "apigateway:"  # its actions are those of HTTP, so each stands for many calls


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A sandbox with nothing in it, and the program that makes nothing."""
    program = tmp_path_factory.mktemp("empty")
    (program / "Pulumi.yaml").write_text("name: streamback\nruntime: python\n")
    (program / "__main__.py").write_text("")
    name = f"test-{os.getpid()}-deploy"
    try:
        yield lifecycle.up(name, program=program, current=False), program
    finally:
        lifecycle.down(name)


@pytest.fixture
def deploy(empty):
    """Deploys a program with a user's key; the actions used and the error."""
    sandbox, _ = empty
    settings = {"databaseCaFile": str(product.server(sandbox.location).authority)}

    def run(user, program=ROOT, **changes):
        request = {
            "endpoint": sandbox.outputs["endpointUrl"],
            "key": user[0],
            "secret": user[1],
            "state": str(sandbox.location.resources),
            "program": str(program),
            "config": {**settings, **changes},
        }
        command = [sys.executable, str(Path(__file__).with_name("deployed.py")), json.dumps(request)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return set(answer["used"]), answer["error"]

    return run


def granted(which):
    return {action for each in DEPLOY for action in getattr(each, which).split()}


@pytest.mark.long
def test_the_role_deploys_changes_and_destroys_a_stack_and_has_no_action_that_is_never_used(empty, deploy, as_user):
    sandbox, nothing = empty
    user, used = as_user(sandbox.outputs["endpointUrl"], "deploy"), set()
    for program, changes in ((ROOT, {}), (ROOT, CHANGED), (ROOT, {}), (nothing, {})):
        more, error = deploy(user, program, **changes)
        assert error == ""
        used |= more
    assert used - granted("actions") == set()
    assert {action for action in granted("actions") - used if not action.startswith(VERBS)} == NO_CALL


@pytest.mark.long
@pytest.mark.parametrize("action", ["dynamodb:CreateTable", "ec2:DescribeSecurityGroups", "logs:PutRetentionPolicy"])
def test_without_an_action_that_is_needed_nothing_is_deployed(empty, deploy, as_user, action):
    sandbox, nothing = empty
    endpoint = sandbox.outputs["endpointUrl"]
    _, error = deploy(as_user(endpoint, "deploy", without=(action,)))
    assert deploy((ROOT_KEY, ROOT_SECRET), nothing)[1] == ""  # clear up
    assert action in error


def test_what_only_the_provider_calls_is_listed_once():
    assert granted("provider") & granted("actions") <= {
        "secretsmanager:CreateSecret",  # of the master user, which RDS makes
        "secretsmanager:TagResource",
    }


def test_no_action_is_a_wildcard_and_every_policy_fits():
    named = StackNames(stack="a-name-of-20-letters", account="1" * 12, region="ap-southeast-2", tables=["chef"] * 3)
    found = statements(DEPLOY, named)
    assert not [action for each in found for action in each["Action"] if "*" in action]
    assert [size(each) for each in documents(found) if size(each) > LONGEST] == []
    assert "{" not in json.dumps(found).replace('{"', "").replace("{}", "")


def test_a_role_is_passed_to_three_services_only_and_carries_the_boundary():
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    named = StackNames(stack="dev", account="111122223333", region="us-east-1", tables=[], boundary=boundary)
    found = {action: each for each in statements(DEPLOY, named) for action in each["Action"]}
    passed = [each["Condition"] for each in statements(DEPLOY, named) if "iam:PassRole" in each["Action"]]
    assert passed == [
        {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
        for service in ("lambda", "scheduler", "states")
    ]
    assert found["iam:CreateRole"]["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    assert found["iam:CreateRole"]["Resource"] == ["arn:aws:iam::111122223333:role/streamback-dev-*"]
