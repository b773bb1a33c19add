"""What each function may do: the policies as the program writes them, and the pure builders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from components import policies
from components.operating import BOUNDARY

ROOT = Path(__file__).parents[2]
EMPTY = len('{"Version":"2012-10-17","Id":"default","Statement":[]}')
DATA_API = "rds-data:ExecuteStatement"
SECRET = "secretsmanager:GetSecretValue"


def rights(stack, function):
    """{action: resources} of the function whose logical name ends so."""
    policy = next(each for each in stack.of("rolePolicy:RolePolicy") if each["name"].endswith(f"{function}-rights"))
    document = json.loads(policy["inputs"]["policy"])
    found = {}
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            found.setdefault(action, []).extend(statement["Resource"])
    return found


def as_kept(permission):
    """A permission as Lambda keeps it, with the names of a real account."""
    inputs = permission["inputs"]
    statement = {
        "Sid": f"{permission['name']}-0123456",
        "Effect": "Allow",
        "Principal": {"Service": inputs["principal"]},
        "Action": inputs["action"],
        "Resource": f"arn:aws:lambda:ap-southeast-2:111122223333:function:{inputs['function']}-0123456",
        "Condition": {"ArnLike": {"AWS:SourceArn": inputs["sourceArn"].replace(":api/", ":0123456789/")}},
    }
    return json.dumps(statement, separators=(",", ":"))


def taker(role):
    """The service that takes a role on."""
    (statement,) = json.loads(role["inputs"]["assumeRolePolicy"])["Statement"]
    return statement["Principal"]["Service"]


def own_log(name):
    return {action: [f"arn:of:{name}-logs:*"] for action in ("logs:CreateLogStream", "logs:PutLogEvents")}


def test_every_function_has_a_role_of_its_own_that_only_lambda_takes_on(stack):
    functions = stack.of("function:Function")
    roles = [each["inputs"]["role"] for each in functions]
    takers = {f"arn:of:{each['name']}": taker(each) for each in stack.of("role:Role")}
    assert len(set(roles)) == len(roles)
    assert {role for role, service in takers.items() if service == "lambda.amazonaws.com"} == set(roles)


def test_only_the_schedules_and_the_state_machine_have_another_role(stack):
    others = {each["name"]: taker(each) for each in stack.of("role:Role") if taker(each) != "lambda.amazonaws.com"}
    assert others == {
        "streamback-dev-copy-scheduler": "scheduler.amazonaws.com",
        "streamback-dev-ranges-role": "states.amazonaws.com",
    }


def test_the_legacy_functions_may_send_statements_as_the_master_user_and_the_writer_in_transactions(stack):
    cluster, secret = stack.outputs["clusterArn"], stack.outputs["masterSecretArn"]
    transactions = {f"rds-data:{verb}Transaction": [cluster] for verb in ("Begin", "Commit", "Rollback")}
    for function, more in (("init", {}), ("read", {}), ("write", transactions)):
        name = f"streamback-dev-legacy-{function}"
        assert rights(stack, name) == {DATA_API: [cluster], SECRET: [secret], **more, **own_log(name)}


def test_the_modern_reader_reads_and_the_modern_writer_writes_only_its_own_table(stack):
    table = ["arn:of:streamback-dev-modern-chefs-table"]
    reader, writer = "streamback-dev-modern-chefs-read", "streamback-dev-modern-chefs-write"
    assert rights(stack, reader) == {"dynamodb:GetItem": table, "dynamodb:Scan": table, **own_log(reader)}
    found = rights(stack, writer)
    journal = ["arn:of:streamback-dev-journal-table"]
    assert found.pop("lambda:InvokeFunction") == [f"arn:of:{stack.outputs['legacyWriteFunction']}"]
    for action in ("GetItem", "UpdateItem"):  # of its own table, and of the journal, where it counts requests
        assert found.pop(f"dynamodb:{action}") == table + journal
    assert found == {"dynamodb:PutItem": table, "dynamodb:DeleteItem": table} | own_log(writer)


def test_the_bridge_writes_as_its_own_user_and_never_sees_the_master_secret(stack):
    found = rights(stack, "bridge-chefs-writer")
    assert found[SECRET] == [stack.outputs["bridgeSecretArn"]]
    assert found[DATA_API] == found["rds-data:BeginTransaction"] == [stack.outputs["clusterArn"]]


def test_the_bridge_reads_one_stream_and_puts_only_into_quarantine_and_failure_bucket(stack):
    found = rights(stack, "bridge-chefs-writer")
    stream = [stack.outputs["entities"]["chefs"]["streamArn"]]
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"):
        assert found.pop(f"dynamodb:{action}") == stream
    for action in ("PutItem", "UpdateItem"):
        assert found.pop(f"dynamodb:{action}") == ["arn:of:streamback-dev-bridge-quarantine"]
    assert found.pop("dynamodb:GetItem") == ["arn:of:streamback-dev-modern-chefs-table"]
    assert found.pop("s3:PutObject") == ["arn:of:streamback-dev-bridge-failures-bucket/*"]
    assert found.pop("s3:ListBucket") == ["arn:of:streamback-dev-bridge-failures-bucket"]
    assert {action.partition(":")[0] for action in found} == {"rds-data", "secretsmanager", "logs"}


def test_only_install_may_store_a_password_and_only_the_bridges(stack):
    found = rights(stack, "bridge-install")
    bridge = stack.outputs["bridgeSecretArn"]
    assert found["secretsmanager:PutSecretValue"] == [bridge]
    assert found[SECRET] == [stack.outputs["masterSecretArn"], bridge]
    policies = [json.loads(each["inputs"]["policy"]) for each in stack.of("rolePolicy:RolePolicy")]
    assert json.dumps(policies).count("PutSecretValue") == 1


def test_install_may_call_the_session_function_and_no_other(stack):
    assert rights(stack, "bridge-install")["lambda:InvokeFunction"] == [f"arn:of:{stack.outputs['sessionFunction']}"]


def test_only_api_gateway_may_call_a_function_from_outside_and_by_one_method_of_this_apis_stage(stack):
    for permission in stack.of("permission:Permission"):
        inputs = permission["inputs"]
        assert (inputs["action"], inputs["principal"]) == ("lambda:InvokeFunction", "apigateway.amazonaws.com")
        # a star stands for what is before and after the name of an entity, or for any path
        path = r"arn:aws:execute-api:us-east-1:\d+:api/prod/(GET|POST|PUT|DELETE)/(aurora|\*chefs\*|\*)"
        assert re.fullmatch(path, inputs["sourceArn"])


@pytest.fixture(scope="module")
def twenty(describe, tmp_path_factory):
    """A stack with twenty entities, each of which takes as much as any other: forty may have twice as much."""
    text = (ROOT / "entities.toml").read_text()
    tables = [
        text.replace("chefs", name).replace("cheftable", f"t_{name}").replace('"chef"', f'"i-{name}"')
        for name in (f"customers_{number}" for number in range(20))
    ]
    many = tmp_path_factory.mktemp("twenty") / "many.toml"
    many.write_text("\n".join(tables))
    stack = describe(entitiesFile=str(many))
    assert len(stack.outputs["entities"]) == 20
    return stack


def test_forty_entities_fit_into_the_policy_that_lambda_keeps_for_a_function(twenty):
    sizes = {}
    for permission in twenty.of("permission:Permission"):
        function = permission["inputs"]["function"]
        sizes[function] = sizes.get(function, EMPTY) + len(as_kept(permission)) + 1
    assert {twenty.outputs["legacyWriteFunction"], twenty.outputs["gateFunction"]} <= sizes.keys()
    assert 2 * max(sizes.values()) <= 20_480


def test_forty_entities_fit_into_the_policies_of_a_role(twenty):
    sizes = {}
    for each in twenty.of("rolePolicy:RolePolicy"):
        text = re.sub(r"\s", "", each["inputs"]["policy"])
        long = re.sub(r"arn:of:([^\"]+)", lambda found: f"{'a' * 60}{found[1]}-0123456", text)
        role = each["inputs"]["role"]
        sizes[role] = sizes.get(role, 0) + len(long)
    assert "streamback-dev-copy-worker" in sizes
    assert 2 * max(sizes.values()) <= 10_240


def test_forty_entities_fit_into_the_environment_of_a_function(twenty):
    for function in twenty.of("function:Function"):
        given = function["inputs"]["environment"]["variables"]
        named = {key: re.sub(r"(-write)\"", r'\1-0123456"', value) for key, value in given.items()}
        assert 2 * len(json.dumps(named, separators=(",", ":"))) <= 4096, function["name"]


def test_transactions_are_allowed_only_where_asked_for():
    assert policies.sql("c", "s")[0]["Action"] == ["rds-data:ExecuteStatement"]
    assert "rds-data:CommitTransaction" in policies.sql("c", "s", transactions=True)[0]["Action"]


def test_a_statement_allows_these_actions_on_these_resources():
    assert policies.allow(("a:B",), ("arn",)) == {"Effect": "Allow", "Action": ["a:B"], "Resource": ["arn"]}


def test_every_role_carries_the_boundary_of_the_setting(describe):
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    roles = describe(permissionsBoundaryArn=boundary).of("role:Role")
    assert {each["inputs"].get("permissionsBoundary") for each in roles} == {boundary}


def test_the_boundary_has_every_right_of_a_function_and_no_other(stack):
    documents = [json.loads(each["inputs"]["policy"]) for each in stack.of("rolePolicy:RolePolicy")]
    used = {action for each in documents for statement in each["Statement"] for action in statement["Action"]}
    assert used == {action for each in BOUNDARY for action in each.every}
