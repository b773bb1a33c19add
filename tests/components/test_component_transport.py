"""A database without the Data API: which functions are in its network, what they may do, and the stack's outputs."""

from __future__ import annotations

import json

import pytest

from functions.aws import statement_function

ACCOUNT = "arn:aws:{}:us-east-1:111122223333:"
INSTANCE, CLUSTER = (f"{ACCOUNT.format('rds')}{kind}:shop" for kind in ("db", "cluster"))
SECRET = f"{ACCOUNT.format('secretsmanager')}secret:shop-admin-AbCdEf"
CONNECTS = {
    *("legacy-init", "legacy-read", "legacy-write", "bridge-install", "bridge-chefs-writer"),
    *("copy-worker", "statements"),
}


@pytest.fixture(scope="module")
def adopted(describe):
    """The stack that adopts such a database, with more of the setting."""

    def of(arn=INSTANCE, **more):
        place = {"subnetIds": ["subnet-0a1b"], "securityGroupId": "sg-0a1b", "transport": "mysql"}
        return describe(adopt=json.dumps({"cluster": {"arn": arn, "secretArn": SECRET, **place, **more}}))

    return of


def _inside(stack):
    found = {each["name"]: each["inputs"] for each in stack.of("function:Function") if each["inputs"].get("vpcConfig")}
    return {name.removeprefix("streamback-dev-"): inputs for name, inputs in found.items()}


def _rights(stack, function):
    policy = stack.one("rolePolicy:RolePolicy", f"{function}-rights")["inputs"]["policy"]
    return {action: each["Resource"] for each in json.loads(policy)["Statement"] for action in each["Action"]}


def test_what_sends_statements_is_in_the_databases_network(adopted):
    inside = _inside(adopted())
    assert set(inside) == CONNECTS
    for inputs in inside.values():
        assert inputs["vpcConfig"] == {"subnetIds": ["subnet-0a1b"], "securityGroupIds": ["sg-0a1b"]}
        variables = inputs["environment"]["variables"]
        assert (variables["DATABASE_HOST"], variables["DATABASE_PORT"]) == ("shop.invalid", "3307")
        assert "TOKEN_SECRET_ARN" not in variables
        assert {"database-ca.pem", "pymysql/__init__.py"} <= set(inputs["code"]["assets"])


def test_the_runbook_waits_longer_for_its_statements_than_their_function_may_run(adopted):
    function = adopted().one("function:Function", "statements")["inputs"]
    assert function["timeout"] == statement_function.TIMEOUT < statement_function.CONFIG.read_timeout


def test_the_outputs_say_where_the_runbooks_statements_go(adopted):
    outputs = adopted().outputs
    assert outputs["transport"] == "mysql"
    assert outputs["statementFunction"] == "streamback-dev-statements"
    assert outputs["clusterArn"] == INSTANCE
    assert "sessionFunction" not in outputs


def test_its_functions_read_their_users_secret_and_call_no_data_api(adopted):
    stack = adopted()
    master, bridge = [SECRET], [stack.outputs["bridgeSecretArn"]]
    for function, secrets in {"copy-worker": bridge, "chefs-writer": bridge, "legacy-write": master}.items():
        assert _rights(stack, function)["secretsmanager:GetSecretValue"] == secrets
    policies = [each["inputs"]["policy"] for each in stack.of("rolePolicy:RolePolicy")]
    assert not [text for text in policies if "rds-data:" in text or "rds-db:" in text]


@pytest.mark.parametrize(
    ("more", "resource"),
    [
        ({}, "db-SHOP"),
        ({"arn": CLUSTER}, "cluster-SHOP"),
        ({"host": "pool.proxy-abc.us-east-1.rds.amazonaws.com"}, "prx-of-pool"),
    ],
)
def test_the_bridges_user_may_sign_in_with_a_token_to_that_database_alone(adopted, more, resource):
    stack = adopted(authentication="iam", **more)
    user = [f"{ACCOUNT.format('rds-db')}dbuser:{resource}/streamback_bridge"]
    for function in ("copy-worker", "chefs-writer"):
        assert _rights(stack, function)["rds-db:connect"] == user
        assert "secretsmanager:GetSecretValue" not in _rights(stack, function)
    assert _rights(stack, "legacy-write")["secretsmanager:GetSecretValue"] == [SECRET]
    tokens = {name: each["environment"]["variables"].get("TOKEN_SECRET_ARN") for name, each in _inside(stack).items()}
    bridge = stack.outputs["bridgeSecretArn"]
    assert {name for name, arn in tokens.items() if arn == bridge} == {
        name for name in CONNECTS if "legacy" not in name
    }


def test_another_host_takes_the_endpoints_place(adopted):
    inside = _inside(adopted(host="pool.invalid", port=3310))
    assert {each["environment"]["variables"]["DATABASE_HOST"] for each in inside.values()} == {"pool.invalid"}
    assert {each["environment"]["variables"]["DATABASE_PORT"] for each in inside.values()} == {"3310"}


def test_a_cluster_with_its_data_api_keeps_its_functions_outside(adopted):
    stack = adopted(CLUSTER, transport="data-api")
    assert set(_inside(stack)) == {"bridge-session"}
    assert "statementFunction" not in stack.outputs
