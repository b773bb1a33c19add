"""Policies as plain documents: named actions on exact ARNs. Nothing here needs an engine."""

from collections.abc import Sequence
from typing import Any

import pulumi

VERSION = "2012-10-17"
AUDIENCE = "sts.amazonaws.com"  # for which an OIDC provider must have issued a token


def trust(service: str) -> dict[str, Any]:
    """The trust policy of a role that a service takes on."""
    return {
        "Version": VERSION,
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }


def trust_principals(arns: Sequence[str]) -> dict[str, Any]:
    """The trust policy of a role that users or roles take on."""
    statement = {"Effect": "Allow", "Principal": {"AWS": list(arns)}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def trust_identities(provider_arn: pulumi.Input[str], issuer: str, subjects: Sequence[str]) -> dict[str, Any]:
    """The trust policy of a role that jobs with these subjects take on, and no other of the OIDC provider.

    Args:
        issuer: the provider's URL without its scheme.
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:aud": AUDIENCE, f"{issuer}:sub": list(subjects)}},
    }
    return {"Version": VERSION, "Statement": [statement]}


def allow(actions: Sequence[str], resources: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


# What Lambda needs to connect a function to a VPC. It names the interfaces itself, hence the `*`.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
JOIN_NETWORK = allow(
    [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ],
    ["*"],
)


def document(statements: Sequence[dict[str, Any]]) -> pulumi.Output[str]:
    """The policy's JSON once its ARNs are known."""
    return pulumi.Output.json_dumps({"Version": VERSION, "Statement": list(statements)})


def logging(log_group_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Write to a function's own log group; its streams are named by Lambda, hence the `*` at the end."""
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(log_group_arn, ":*")])


def sql(
    cluster_arn: pulumi.Input[str], secret_arn: pulumi.Input[str], *, transactions: bool = False
) -> list[dict[str, Any]]:
    actions = ["rds-data:ExecuteStatement"]
    if transactions:
        actions += [f"rds-data:{verb}Transaction" for verb in ("Begin", "Commit", "Rollback")]
    return [allow(actions, [cluster_arn]), allow(["secretsmanager:GetSecretValue"], [secret_arn])]


def read_secret(secret_arn: pulumi.Input[str]) -> dict[str, Any]:
    return allow(["secretsmanager:GetSecretValue"], [secret_arn])


def connect(user_arn: str) -> dict[str, Any]:
    """Sign in to a database as one MySQL user, with a token."""
    return allow(["rds-db:connect"], [user_arn])


def read_items(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    return allow(["dynamodb:GetItem", "dynamodb:Scan"], [table_arn])


def look_items_up(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Read single items, or some of them at one moment."""
    return allow(["dynamodb:GetItem"], [table_arn])


def write_items(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    actions = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    return allow(actions, [table_arn])


def put_items(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    return allow(["dynamodb:PutItem"], [table_arn])


def quarantine_items(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Put entries, and count tries."""
    return allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], [table_arn])


def copy_items(table_arns: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """Look many items up and write them; one statement, for a role's policies have 10,240 characters at most."""
    verbs = ("BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Scan", "UpdateItem")
    return allow([f"dynamodb:{verb}" for verb in verbs], table_arns)


def keep_records(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Read records of the journal, several at once too, change single ones, and make other writes depend on them."""
    verbs = ("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "UpdateItem")
    return allow([f"dynamodb:{verb}" for verb in verbs], [table_arn])


def count_records(table_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Read and change the gate's records of the journal."""
    return allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [table_arn])


def read_stage(api: str, stage: str, region: str, partition: str) -> dict[str, Any]:
    """Read a REST API's stage, and the methods that it serves; `api` is the API's id."""
    place = f"arn:{partition}:apigateway:{region}::/restapis/{api}/stages/{stage}"
    return allow(["apigateway:GET"], [place, f"{place}/exports/oas30"])


def read_callers(function_arns: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """Read who may call functions, and which versions their aliases name. Nothing of their code or environment."""
    return allow(["lambda:GetAlias", "lambda:GetPolicy"], function_arns)


def describe_tables(table_arns: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    return allow(["dynamodb:DescribeTable"], table_arns)


def invoke(function_arns: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    return allow(["lambda:InvokeFunction"], function_arns)


def map_over_executions(machine_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Let a state machine run its distributed map: Step Functions names the children, hence the `*` at the end.

    https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    """
    executions = pulumi.Output.from_input(machine_arn).apply(lambda arn: arn.replace(":stateMachine:", ":execution:"))
    children = pulumi.Output.concat(executions, ":*")
    return [
        allow(["states:StartExecution"], [machine_arn]),
        allow(["states:DescribeExecution", "states:StopExecution"], [children]),
    ]


def read_stream(stream_arn: pulumi.Input[str]) -> dict[str, Any]:
    actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
    return allow(actions, [stream_arn])


def put_failures(bucket_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Put dead-lettered batches into one bucket; Lambda names the objects, hence the `*` at the end."""
    return [allow(["s3:PutObject"], [pulumi.Output.concat(bucket_arn, "/*")]), allow(["s3:ListBucket"], [bucket_arn])]


def make_account(secret_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Draw a password and keep it in one secret; AWS knows no resource for the drawing, hence the `*`."""
    return [
        allow(["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"], [secret_arn]),
        allow(["secretsmanager:GetRandomPassword"], ["*"]),
    ]
