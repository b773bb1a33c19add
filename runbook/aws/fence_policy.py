"""The policy that refuses every write of a modern table, but copy's and those that the runbook makes. Pure.

The runbook's own principal is refused, too, for the actions that it does not need. So it can see by a write of its
own, without any other principal's help, whether the policy is in force: what refuses it refuses all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

VERSION = "2012-10-17"
EVERY_WRITE, OWN_WRITES = "StreambackFence", "StreambackFenceBesideRunbook"  # the names of the two statements
# Transactions are authorized as the single writes that they are made of.
WRITES = ("dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem")
NEEDED = ("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem")  # by watermarks and heartbeats
# Replicates a global table; AWS refuses to change replicas while a policy denies it.
REPLICATION = "aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"


def fenced(before: str, table: str, copier: str, caller: str) -> str:
    """The policy with the fence added to it.

    Args:
        before: the policy that is there; empty for none.
        table: the table's ARN.
        copier: the ARN of copy's role.
        caller: the runbook's principal, as STS names it.
    """
    policy = _parsed(before)
    partition, account = caller.split(":")[1], table.split(":")[4]
    copying = [copier, f"arn:{partition}:iam::{account}:role/{REPLICATION}"]
    ours = [
        _deny(EVERY_WRITE, WRITES, table, copying),
        _deny(OWN_WRITES, NEEDED, table, [*copying, *principals(caller)]),
    ]
    return _text({"Version": VERSION, **policy, "Statement": [*_others(policy), *ours]})


def lifted(text: str) -> str:
    """The policy without the fence; empty if nothing else is in it."""
    policy = _parsed(text)
    others = _others(policy)
    return _text({**policy, "Statement": others}) if others else ""


def has_fence(text: str) -> bool:
    policy = _parsed(text)
    return len(_others(policy)) < len(_statements(policy))


def principals(caller: str) -> list[str]:
    """What `aws:PrincipalArn` is for a caller: of a role's session the role, whose path STS does not name."""
    head, _, session = caller.partition(":assumed-role/")
    if not session:
        return [caller]
    role = session.split("/")[0]
    iam = head.replace(":sts:", ":iam:")
    return [f"{iam}:role/{role}", f"{iam}:role/*/{role}"]


def _deny(sid: str, actions: Sequence[str], table: str, but: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": table,
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": list(but)}},
    }


def _parsed(text: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", json.loads(text)) if text else {}


def _statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: Any = policy.get("Statement", [])
    return cast("list[Mapping[str, Any]]", found if isinstance(found, list) else [found])


def _others(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in _statements(policy) if each.get("Sid") not in {EVERY_WRITE, OWN_WRITES}]


def _text(policy: Mapping[str, Any]) -> str:
    return json.dumps(policy, separators=(",", ":"))
