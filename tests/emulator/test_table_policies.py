"""A table's resource-based policy decides on calls in the sandbox, as AWS documents it."""

from __future__ import annotations

import json
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator_parts import ACCOUNT_ROLE, EVERYTHING, until

PATH = "/_streamback/table_policies"


@pytest.fixture
def seconds(sandbox):
    """Changes how long a policy takes, and for how long it blocks the next; AWS's own at the end."""

    def change(applies: float, blocked: float) -> None:
        body = json.dumps({"applies": applies, "blocked": blocked}).encode()
        with urllib.request.urlopen(urllib.request.Request(sandbox.outputs["endpointUrl"] + PATH, body)):
            pass

    yield change
    change(1.0, 15.0)


def _user(parts):
    """A user with every right; the name and a session."""
    iam, name = parts.clients["iam"], parts.unique()
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return arn, _session(key["AccessKeyId"], key["SecretAccessKey"])


def _role(parts):
    """A role with every right and a path; its ARN and a session of it."""
    iam, name = parts.clients["iam"], parts.unique()
    trust = json.dumps(
        {**ACCOUNT_ROLE, "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    )
    arn = iam.create_role(RoleName=name, Path="/team/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    made = parts.sandbox.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    return arn, _session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def _session(key, secret, token=None):
    return boto3.Session(key, secret, token, region_name="us-east-1")


def _deny(table, but, *actions):
    condition = {"ArnNotLike": {"aws:PrincipalArn": but}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": table, "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [deny]})


WRITES = ("BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete")
KEY = {"k": {"S": "one"}}


def _calls(table):
    insert, update = f"INSERT INTO \"{table}\" VALUE {{'k': 'two'}}", f"UPDATE \"{table}\" SET v = 'x' WHERE k = 'one'"
    delete = f"DELETE FROM \"{table}\" WHERE k = 'one'"
    return {
        "put_item": {"TableName": table, "Item": KEY},
        "update_item": {"TableName": table, "Key": KEY},
        "delete_item": {"TableName": table, "Key": KEY},
        "batch_write_item": {"RequestItems": {table: [{"PutRequest": {"Item": KEY}}]}},
        "transact_write_items": {"TransactItems": [{"Put": {"TableName": table, "Item": KEY}}]},
        "execute_statement": {"Statement": update},
        "batch_execute_statement": {"Statements": [{"Statement": insert}]},
        "execute_transaction": {"TransactStatements": [{"Statement": delete}]},
    }


def _code(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_an_explicit_deny_refuses_every_way_to_write_but_the_roles_that_are_excepted(parts, seconds):
    seconds(0.0, 0.0)
    table = parts.table()
    name, arn = table["TableName"], table["TableArn"]
    parts.put(name, "one")
    role, excepted = _role(parts)
    _, other = _user(parts)
    endpoint = parts.sandbox.outputs["endpointUrl"]
    excepted, other = (each.client("dynamodb", endpoint_url=endpoint) for each in (excepted, other))
    policy = _deny(arn, [role], *(f"dynamodb:{each}" for each in WRITES))
    parts.clients["dynamodb"].put_resource_policy(ResourceArn=arn, Policy=policy)
    for call, values in _calls(name).items():
        assert _code(lambda call=call, values=values: getattr(other, call)(**values)) == "AccessDeniedException", call
    assert other.get_item(TableName=name, Key=KEY)["Item"] == {**KEY, "v": {"S": ""}}
    assert other.execute_statement(Statement=f'SELECT * FROM "{name}"')["Items"]
    for call, values in _calls(name).items():
        assert _code(lambda call=call, values=values: getattr(excepted, call)(**values)) == "", call


def test_a_policy_is_seen_late_and_blocks_the_next_change(parts, seconds):
    seconds(0.5, 1.5)
    dynamodb, arn = parts.clients["dynamodb"], parts.table()["TableArn"]
    one, two = _deny(arn, ["x"], "dynamodb:PutItem"), _deny(arn, ["y"], "dynamodb:PutItem")
    revision = dynamodb.put_resource_policy(ResourceArn=arn, Policy=one, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    assert _code(lambda: dynamodb.get_resource_policy(ResourceArn=arn)) == "PolicyNotFoundException"
    assert dynamodb.put_resource_policy(ResourceArn=arn, Policy=one)["RevisionId"] == revision
    assert _code(lambda: dynamodb.put_resource_policy(ResourceArn=arn, Policy=two)) == "ResourceInUseException"
    until(lambda: _code(lambda: dynamodb.get_resource_policy(ResourceArn=arn)) == "")
    assert dynamodb.get_resource_policy(ResourceArn=arn)["Policy"] == one
    until(lambda: _code(lambda: dynamodb.put_resource_policy(ResourceArn=arn, Policy=two)) == "")
    stale = {"ResourceArn": arn, "ExpectedRevisionId": revision}
    until(lambda: _code(lambda: dynamodb.delete_resource_policy(**stale)) == "PolicyNotFoundException")
