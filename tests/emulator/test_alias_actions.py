"""Calls on one alias of a function are checked as the actions that AWS documents."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.engine.aws import Aws

DOES_NOTHING = "def handler(event, context): pass"
CALLS = {
    "GetAlias": lambda functions, place: functions.get_alias(**place),
    "UpdateAlias": lambda functions, place: functions.update_alias(**place, Description="other"),
    "DeleteAlias": lambda functions, place: functions.delete_alias(**place),
}


def _functions(parts, arn, action):
    """Lambda as a user sees it who may do this one thing with the function."""
    iam, name = parts.clients["iam"], parts.unique()
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": f"lambda:{action}", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Aws(parts.sandbox.outputs["endpointUrl"], key["AccessKeyId"], key["SecretAccessKey"]).client("lambda")


@pytest.mark.parametrize("action", CALLS)
def test_a_call_on_an_alias_needs_its_own_action(parts, action):
    arn = parts.function(DOES_NOTHING)
    version = parts.clients["lambda"].publish_version(FunctionName=arn)["Version"]
    place = {"FunctionName": arn.rpartition(":")[2], "Name": "live"}
    parts.clients["lambda"].create_alias(**place, FunctionVersion=version)
    with pytest.raises(ClientError, match="AccessDenied"):
        CALLS[action](_functions(parts, arn, "ListAliases"), place)
    CALLS[action](_functions(parts, arn, action), place)
