"""The rules as Pulumi's policy pack wants them, all mandatory.

A rule that needs more than one resource, or whether the stack is in production, is checked when the program has run:
Pulumi gives a pack no settings, but the outputs of the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pulumi_policy import (
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy import access, data, operations, rights
from policy.rules import RULES, UNKNOWN, Resource, Rule, StackRule, in_production

_ = (rights, data, operations, access)  # importing them declares their rules


def policies() -> list[Policy]:
    return [_before(each) if isinstance(each, Rule) and not each.production else _after(each) for each in RULES]


def _before(rule: Rule) -> ResourceValidationPolicy:
    """A rule over a single resource, checked before Pulumi makes it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(
            type=args.resource_type,
            urn=args.urn,
            name=args.name,
            properties=_known(args.props),
            protect=args.opts.protect,
        )
        for found in rule.broken([resource]):
            report(found.text, found.urn)

    return ResourceValidationPolicy(rule.name, rule.says, validate)


def _after(rule: Rule | StackRule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_resource(each) for each in args.resources]
        if rule.production and not in_production(resources):
            return
        for found in rule.broken(resources):
            report(found.text, found.urn)

    return StackValidationPolicy(rule.name, rule.says, validate)


def _resource(given: PolicyResource) -> Resource:
    return Resource(
        type=given.resource_type,
        urn=given.urn,
        name=given.name,
        properties=_known(given.props),
        protect=given.opts.protect,
        dependencies=frozenset(each.urn for each in given.dependencies),
    )


def _known(value: Any) -> Any:
    """A copy of properties with UNKNOWN for each value that a preview does not have."""
    if isinstance(value, Mapping):
        return {key: _item(cast("Mapping[str, Any]", value), key) for key in cast("Mapping[str, Any]", value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(_items(cast("Sequence[Any]", value)))
    return value


def _items(values: Sequence[Any]) -> Iterator[Any]:
    yield from (_item(values, index) for index in range(len(values)))


def _item(container: Any, key: str | int) -> Any:
    try:
        return _known(container[key])
    except UnknownValueError:
        return UNKNOWN
