"""Users of a sandbox with exactly the policies of a role."""

from __future__ import annotations

import json

import pytest

from components.access_policies import ROLES
from components.rights import StackNames, documents, statements
from sandbox.engine import aws

# MiniStack checks these against `*`, or does not know the key of their condition: here they get `*` without one.
UNKNOWN_RESOURCE = {
    "cloudwatch:DeleteAlarms",
    "cloudwatch:TagResource",
    "cloudwatch:UntagResource",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:TagResource",
    "dynamodb:UntagResource",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteTags",
    "ec2:DeleteVpc",
    "ec2:ModifyVpcAttribute",
    "ec2:RevokeSecurityGroupEgress",
    "lambda:CreateEventSourceMapping",
    "lambda:CreateFunction",
    "rds:AddTagsToResource",
    "rds:CreateDBClusterParameterGroup",
    "rds:CreateDBSubnetGroup",
    "rds:DeleteDBClusterParameterGroup",
    "rds:DeleteDBSubnetGroup",
    "rds:ModifyDBClusterParameterGroup",
    "rds:RemoveTagsFromResource",
    "states:TagResource",
    "states:UntagResource",
}

# MiniStack checks the first as the second, against `*`.
CHECKED_AS = {"lambda:GetEventSourceMapping": "lambda:ListEventSourceMappings"}


def adapted(statement):
    """A statement as the sandbox's IAM can check it."""
    unknown = [action for action in statement["Action"] if action in UNKNOWN_RESOURCE]
    unknown += [CHECKED_AS[action] for action in statement["Action"] if action in CHECKED_AS]
    known = [action for action in statement["Action"] if action not in UNKNOWN_RESOURCE]
    made = [{**statement, "Action": known}] if known else []
    return [*made, *([{"Effect": "Allow", "Action": unknown, "Resource": ["*"]}] if unknown else [])]


@pytest.fixture(scope="session")
def as_user():
    """Makes a user with a role's policies on a sandbox, less some actions; its key id and secret."""
    named = StackNames(
        stack="sandbox", account=aws.ACCOUNT, region=aws.REGION, tables=["chef", "specimen", "other-chef"]
    )

    def make(endpoint, role, without=()):
        iam = aws.Aws(endpoint).client("iam")
        name = f"{role}-{'-'.join(without).replace(':', '-')}"
        iam.create_user(UserName=name)
        found = [part for each in statements(ROLES[role], named) for part in adapted(each)]
        left = [{**each, "Action": [action for action in each["Action"] if action not in without]} for each in found]
        for number, document in enumerate(documents([each for each in left if each["Action"]])):
            iam.put_user_policy(UserName=name, PolicyName=str(number), PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    return make
