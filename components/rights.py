"""A right and where it holds, as a template that a stack fills in; and the policies of many such rights. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.policies import VERSION

LONGEST = 6144  # characters of a managed policy, without white space (IAM's quota)


@dataclass(frozen=True)
class Right:
    """Actions on resources.

    Attributes:
        actions: separated by spaces.
        on: patterns of ARNs; `{stack}` and the other names of StackNames stand for the stack's own.
        provider: actions that pulumi-aws calls and the sandbox does not, such as the reads of a refresh.
        condition: as in a policy, with the same names.
    """

    actions: str
    on: tuple[str, ...]
    provider: str = ""
    condition: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def every(self) -> list[str]:
        return sorted([*self.actions.split(), *self.provider.split()])


@dataclass(frozen=True, kw_only=True)
class StackNames:
    """One stack.

    Attributes:
        tables: the names of the entities' tables.
        functions: the names of the functions that are adopted, also with `:alias` where callers use one.
        clusters, instances, secrets: the ARNs of what is adopted: a cluster or an instance, its user's secret.
        boundary: the ARN of the policy that bounds the functions' roles; empty if there is none.
        state_bucket, state_key: the S3 bucket of Pulumi's state, and the ARN of the KMS key of its secrets; or empty.
    """

    stack: str
    account: str
    region: str
    tables: Sequence[str]
    partition: str = "aws"
    boundary: str = ""
    state_bucket: str = ""
    state_key: str = ""
    functions: Sequence[str] = ()
    clusters: Sequence[str] = ()
    instances: Sequence[str] = ()
    secrets: Sequence[str] = ()


def statements(rights: Iterable[Right], named: StackNames) -> list[dict[str, Any]]:
    """The statements that allow all of it: one for the same resources and condition."""
    merged: dict[str, tuple[set[str], list[str], Mapping[str, Any]]] = {}
    for each in rights:
        resources = [found for pattern in each.on for found in _filled(pattern, named)]
        if not resources:
            continue
        condition = _condition(each, named)
        key = json.dumps([resources, condition])
        merged.setdefault(key, (set(), resources, condition))[0].update(each.every)
    return [_statement(sorted(actions), resources, condition) for actions, resources, condition in merged.values()]


def documents(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As few policies as IAM's quota allows, in the order of the statements."""
    made: list[dict[str, Any]] = []
    for each in found:
        if not made or size({**made[-1], "Statement": [*made[-1]["Statement"], each]}) > LONGEST:
            made.append({"Version": VERSION, "Statement": []})
        made[-1]["Statement"].append(each)
    return made


def size(document: Mapping[str, Any]) -> int:
    """Characters, as IAM counts them."""
    return len(json.dumps(document, separators=(",", ":")))


def _statement(actions: list[str], resources: list[str], condition: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**made, "Condition": dict(condition)} if condition else made


def _condition(right: Right, named: StackNames) -> dict[str, dict[str, str]]:
    """The right's condition; one on a boundary is left out where there is none."""
    return {
        operator: filled
        for operator, keys in right.condition.items()
        if (filled := {key: found for key, value in keys.items() for found in _filled(value, named) if found})
    }


def _filled(pattern: str, named: StackNames) -> Iterator[str]:
    """The pattern for this stack; one with `{table}`, `{function}` or the like for each of them."""
    names = {key: value for key, value in vars(named).items() if isinstance(value, str)}
    several = {
        "table": named.tables,
        "function": named.functions,
        "cluster": named.clusters,
        "instance": named.instances,
        "secret": named.secrets,
    }
    key = next((each for each in several if f"{{{each}}}" in pattern), "")
    for one in several.get(key, [""]):
        filled = pattern
        for name, value in {**names, key: one}.items():
            filled = filled.replace(f"{{{name}}}", value)
        yield filled
