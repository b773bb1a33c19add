"""Rules about rights: named actions on named resources, but where AWS leaves no choice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from policy.rules import UNKNOWN, Resource, rule

ROLE = "aws:iam/role:Role"
POLICIES = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/policy:Policy",
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


@rule(*POLICIES)
def rights_are_named(policy: Resource) -> Iterator[str]:
    """A policy allows named actions on named resources; each exception stands with its reason in policy/rights.py."""
    for statement in _statements(policy.properties.get("policy")):
        if statement.get("Effect") == "Allow":
            yield from _unnamed(statement)


@rule(ROLE)
def roles_name_who_takes_them_on(role: Resource) -> Iterator[str]:
    """A role's trust policy names a service or an account's principal."""
    for statement in _statements(role.properties.get("assumeRolePolicy")):
        if "*" in json.dumps(statement.get("Principal", "*")):
            yield "name the principal in assume_role_policy"


@rule(ROLE)
def roles_have_no_policy_of_awss(role: Resource) -> Iterator[str]:
    """A role has none of AWS's own policies: they allow far more than a function needs, and AWS changes them."""
    if role.properties.get("managedPolicyArns"):
        yield "write the rights in a RolePolicy"


def _unnamed(statement: Mapping[str, Any]) -> Iterator[str]:
    """What a statement leaves open."""
    yield from (f"write Action and Resource, not {key}" for key in ("NotAction", "NotResource") if key in statement)
    actions = _listed(statement.get("Action"))
    yield from (f"name the action in {action}" for action in actions if "*" in action)
    for resource in _listed(statement.get("Resource")):
        if "*" in resource:
            wide = [action for action in actions if not _forced(action, resource)]
            yield from (f"name the resource of {action}, got {resource}" for action in wide)


def _forced(action: str, resource: str) -> bool:
    return action in FORCED and re.fullmatch(FORCED[action].resource, resource) is not None


def _statements(document: str | None) -> list[Mapping[str, Any]]:
    if not document or document == UNKNOWN:
        return []
    found = json.loads(document)["Statement"]
    return cast("list[Mapping[str, Any]]", found if isinstance(found, list) else [found])


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
