"""The principal that the runbook and the tests act as: an administrator of the emulated account, but not its root."""

import json

from sandbox.engine.aws import Aws

USER = "operator"
# The user who deploys a stack administers its account. What must be narrow is what the functions may do.
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def create(aws: Aws) -> tuple[str, str]:
    """Make the operator; its access key id and secret access key."""
    iam = aws.client("iam")
    iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="administrator", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]
