"""The roles around a stack: who takes each on, that what deploys cannot change them, and that previews only read."""

from __future__ import annotations

import fnmatch
import json

import pytest
from delivered import DELIVERY

from components import access_policies
from components.rights import StackNames, statements

PROVIDER = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
KINDS = ("preview", "deploy", "operate", "read")
# Of actions that only look, those that give data away.
DATA = {"s3:GetObject", "secretsmanager:GetSecretValue", "dynamodb:GetItem", "dynamodb:GetRecords", "kms:Decrypt"}


@pytest.fixture(scope="module")
def delivered(describe):
    return describe(**DELIVERY)


def trust(stack, kind):
    (statement,) = json.loads(stack.one("iam/role:Role", f"delivery-{kind}")["inputs"]["assumeRolePolicy"])["Statement"]
    return statement


def rights(stack, kind):
    """The statements of a role's policies."""
    policies = [each for each in stack.of("iam/policy:Policy") if f"delivery-{kind}-" in each["name"]]
    return [one for each in policies for one in json.loads(each["inputs"]["policy"])["Statement"]]


def test_without_a_repository_there_is_none_of_it(stack):
    assert not [each for each in stack.resources if "delivery" in each["name"]]
    assert not [name for name in stack.outputs if name.endswith("RoleArn")]


def test_githubs_jobs_take_a_role_on_by_audience_and_whole_subject(delivered):
    key, repository = "token.actions.githubusercontent.com", f"repo:{DELIVERY['repository']}"
    wanted = {
        "preview": [f"{repository}:pull_request", f"{repository}:ref:refs/heads/main"],
        "deploy": [f"{repository}:environment:dev"],
    }
    for kind, subjects in wanted.items():
        found = trust(delivered, kind)
        assert found["Principal"] == {"Federated": "arn:of:streamback-dev-delivery-github"}
        assert found["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert found["Condition"] == {"StringEquals": {f"{key}:aud": "sts.amazonaws.com", f"{key}:sub": subjects}}


def test_the_named_principals_take_on_the_operators_roles(delivered):
    for kind, setting in (("operate", "operators"), ("read", "readers")):
        assert trust(delivered, kind)["Principal"] == {"AWS": json.loads(DELIVERY[setting])}


def test_a_role_without_principals_is_not_made(describe):
    made = describe(repository="kitchen/recipes")
    assert {name for name in made.outputs if name.endswith("RoleArn")} == {"previewRoleArn", "deployRoleArn"}
    assert len(made.of("rolePolicyAttachment:RolePolicyAttachment")) == len(made.of("iam/policy:Policy"))


def test_an_accounts_own_provider_is_trusted_instead_of_a_new_one(describe):
    made = describe(**DELIVERY, oidcProviderArn=PROVIDER)
    assert made.of("openIdConnectProvider:OpenIdConnectProvider") == []
    assert trust(made, "deploy")["Principal"] == {"Federated": PROVIDER}


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_has_exactly_the_rights_that_the_command_prints(delivered, kind):
    named = StackNames(
        stack="dev",
        account="111122223333",
        region="us-east-1",
        tables=["chef"],
        state_bucket=DELIVERY["stateBucket"],
        state_key=DELIVERY["stateKeyArn"],
    )
    printed = [one for each in access_policies.of(kind, named) for one in each["Statement"]]
    assert rights(delivered, kind) == printed
    assert delivered.outputs[f"{kind}RoleArn"] == f"arn:of:streamback-dev-delivery-{kind}"


def test_the_deploying_role_carries_the_boundary_into_each_role_that_it_makes(describe):
    boundary = "arn:aws:iam::111122223333:policy/bound"
    made = rights(describe(**DELIVERY, permissionsBoundaryArn=boundary), "deploy")
    (creating,) = (each for each in made if "iam:CreateRole" in each["Action"])
    assert creating["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": boundary}}


def test_what_deploys_cannot_change_the_roles_nor_who_takes_them_on(delivered):
    own = [
        "arn:aws:iam::111122223333:role/streamback/dev/streamback-dev-delivery-deploy-0123456",
        "arn:aws:iam::111122223333:policy/streamback/dev/streamback-dev-delivery-deploy-0-0123456",
        PROVIDER,
    ]
    assert {each["inputs"]["path"] for each in delivered.of("iam/policy:Policy")} == {"/streamback/dev/"}
    allowed = {
        action
        for each in rights(delivered, "deploy")
        for action in each["Action"]
        if action.startswith("iam:") and any(fnmatch.fnmatchcase(arn, on) for on in each["Resource"] for arn in own)
    }
    assert allowed
    assert [action for action in allowed if not action.startswith(("iam:Get", "iam:List"))] == []


def test_a_preview_reads_settings_and_no_data_but_the_stacks_state(delivered):
    found = rights(delivered, "preview")
    for each in found:
        for action in each["Action"]:
            verb = action.partition(":")[2]
            assert verb.startswith(("Get", "List", "Describe")) or action in {"apigateway:GET", "kms:Decrypt"}
    giving = {action: each["Resource"] for each in found for action in each["Action"] if action in DATA}
    state = "arn:aws:s3:::kitchen-state/.pulumi"
    assert giving == {
        "s3:GetObject": [f"{state}/meta.yaml", f"{state}/stacks/streamback/dev.*"],
        "kms:Decrypt": [DELIVERY["stateKeyArn"]],
    }


def test_one_stacks_roles_write_no_other_stacks_state(delivered):
    written = [each["Resource"] for each in rights(delivered, "deploy") if "s3:PutObject" in each["Action"]]
    other = "arn:aws:s3:::kitchen-state/.pulumi/stacks/streamback/production.json"
    assert [on for patterns in written for on in patterns if fnmatch.fnmatchcase(other, on)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_bucket_no_role_has_rights_on_one(kind):
    named = StackNames(stack="dev", account="111122223333", region="us-east-1", tables=["chef"])
    printed = [one for each in access_policies.of(kind, named) for one in each["Statement"]]
    assert printed == statements(access_policies.ROLES[kind], named)
