"""Rules about rights: named actions on named resources, but where AWS leaves no choice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from policy.rules import UNKNOWN, Resource, at, rule

ROLE, ATTACHMENT = "aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
MANAGED = "aws:iam/policy:Policy"  # the program makes such only for who deploys and operates
POLICIES = (
    "aws:iam/rolePolicy:RolePolicy",
    MANAGED,
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
)


@dataclass(frozen=True)
class Wildcard:
    """A `*` that may stand in a resource.

    Attributes:
        resource: a pattern that the resource must match whole.
        reason: why AWS leaves no choice.
    """

    resource: str
    reason: str


STREAMS = Wildcard(r"arn:[^*]+:\*", "Lambda names the log streams; the log group is named")
INTERFACES = Wildcard(
    r"\*",
    "Lambda names the network interfaces "
    "(https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions)",
)
CHILDREN = Wildcard(r"arn:[^*]+:\*", "Step Functions names the children of a distributed map; the machine is named")
# Every `*` that AWS forces, by action.
FORCED: Mapping[str, Wildcard] = {
    "logs:CreateLogStream": STREAMS,
    "logs:PutLogEvents": STREAMS,
    "s3:PutObject": Wildcard(r"arn:[^*]+/\*", "Lambda names the objects; the bucket is named"),
    "secretsmanager:GetRandomPassword": Wildcard(r"\*", "drawing a password has no resource"),
    "states:DescribeExecution": CHILDREN,
    "states:StopExecution": CHILDREN,
    "ec2:AssignPrivateIpAddresses": INTERFACES,
    "ec2:CreateNetworkInterface": INTERFACES,
    "ec2:DeleteNetworkInterface": INTERFACES,
    "ec2:DescribeNetworkInterfaces": INTERFACES,
    "ec2:DescribeSubnets": INTERFACES,
    "ec2:UnassignPrivateIpAddresses": INTERFACES,
}
# The same in a policy of those who deploy and operate (docs/security.md).
OF_PEOPLE = (
    Wildcard(r"arn:[^*]+[:/]streamback-[a-z0-9-]+-\*(/\*)?", "Pulumi ends each name; the stack is named"),
    Wildcard(r"arn:[^*]+:(role|policy)/streamback/[a-z0-9-]+/\*", "the roles around a stack, by their path"),
    Wildcard(r"arn:[^*]+:table/[^*]+/stream/\*", "DynamoDB names the stream; the table is named"),
    Wildcard(
        r"arn:[^*]+:s3:::[^*]+/\.pulumi/[^*]+/streamback/[a-z0-9-]+(\.|/)\*",
        "Pulumi names its files; the stack is named",
    ),
    Wildcard(r"arn:[^*]+:secret:rds!cluster-\*", "RDS names the master user's secret"),
    Wildcard(r"arn:[^*]+:apigateway:[^*]+::/(restapis|tags)/\*", "API Gateway names the API"),
    Wildcard(r"arn:[^*]+:execute-api:[^*]+:\*/prod/\*", "API Gateway names the API; the stage is named"),
    Wildcard(r"arn:[^*]+:ec2:[^*]+:(vpc|subnet|security-group)/\*", "EC2 names them; a tag names the stack"),
    Wildcard(r"arn:[^*]+:lambda:[^*]+:event-source-mapping:\*", "Lambda names the mapping"),
    Wildcard(r"arn:[^*]+:lambda:[^*]+:\*:layer:\*", "layers of AWS's own account"),
)
# AWS knows no resource for these, or asks for it in a condition.
WITHOUT_RESOURCE = frozenset(
    (
        "cloudwatch:GetMetricData",
        "cloudwatch:GetMetricStatistics",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcs",
        "kms:DescribeKey",
        "lambda:CreateEventSourceMapping",
        "lambda:DeleteEventSourceMapping",
        "lambda:GetAccountSettings",
        "lambda:UpdateEventSourceMapping",
        "logs:DescribeLogGroups",
        "rds:DescribeGlobalClusters",
        "rds:DescribeOrderableDBInstanceOptions",
        "states:ValidateStateMachineDefinition",
    )
)


@rule(*POLICIES)
def rights_are_named(policy: Resource) -> Iterator[str]:
    """A policy allows named actions on named resources; each exception stands with its reason in policy/rights.py."""
    for statement in _statements(policy.properties.get("policy")):
        if statement.get("Effect") == "Allow":
            yield from _unnamed(statement, _open_to_people if policy.type == MANAGED else _forced)


@rule(ROLE)
def roles_name_who_takes_them_on(role: Resource) -> Iterator[str]:
    """A role's trust policy names a service or an account's principal."""
    for statement in _statements(role.properties.get("assumeRolePolicy")):
        if "*" in json.dumps(statement.get("Principal", "*")):
            yield "name the principal in assume_role_policy"


@rule(ROLE)
def roles_for_an_identity_provider_name_the_job(role: Resource) -> Iterator[str]:
    """A role that an OIDC provider's tokens take on asks for the audience and the whole subject."""
    for statement in _statements(role.properties.get("assumeRolePolicy")):
        if at(statement, "Principal", "Federated"):
            asked: Mapping[str, Any] = at(statement, "Condition", "StringEquals") or {}
            exact = {key.rpartition(":")[2] for key, value in asked.items() if "*" not in json.dumps(value)}
            yield from (f"ask for `{key}` with StringEquals" for key in ("aud", "sub") if key not in exact)


@rule(ROLE, ATTACHMENT)
def roles_have_no_policy_of_awss(resource: Resource) -> Iterator[str]:
    """A role has none of AWS's own policies: they allow far more than a function needs, and AWS changes them."""
    attached = resource.properties.get("policyArn") or ""
    if resource.properties.get("managedPolicyArns") or AWS_OWN.match(attached):
        yield "write the rights in a RolePolicy"


AWS_OWN = re.compile(r"arn:[\w-]+:iam::aws:")


def _unnamed(statement: Mapping[str, Any], may_be_open: Callable[[str, str], bool]) -> Iterator[str]:
    """What a statement leaves open."""
    yield from (f"write Action and Resource, not {key}" for key in ("NotAction", "NotResource") if key in statement)
    actions = _listed(statement.get("Action"))
    yield from (f"name the action in {action}" for action in actions if "*" in action)
    for resource in _listed(statement.get("Resource")):
        if "*" in resource:
            wide = [action for action in actions if not may_be_open(action, resource)]
            yield from (f"name the resource of {action}, got {resource}" for action in wide)


def _forced(action: str, resource: str) -> bool:
    return action in FORCED and re.fullmatch(FORCED[action].resource, resource) is not None


def _open_to_people(action: str, resource: str) -> bool:
    """Whether a `*` may stand in a right of those who deploy and operate."""
    if resource == "*":
        return action in WITHOUT_RESOURCE
    return any(re.fullmatch(each.resource, resource) for each in OF_PEOPLE)


def _statements(document: str | None) -> list[Mapping[str, Any]]:
    if not document or document == UNKNOWN:
        return []
    found = json.loads(document)["Statement"]
    return cast("list[Mapping[str, Any]]", found if isinstance(found, list) else [found])


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
