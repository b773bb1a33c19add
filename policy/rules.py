"""What a rule is: a pure function over one resource, or over a stack's, that yields what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

UNKNOWN = "known only after the update"  # stands in a preview for what AWS has yet to name
STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a stack.

    Attributes:
        type: such as `aws:dynamodb/table:Table`.
        properties: by Pulumi's names, which are camelCase.
        dependencies: the URNs of the resources whose outputs it uses.
    """

    type: str
    urn: str
    name: str
    properties: Mapping[str, Any]
    protect: bool = False
    dependencies: frozenset[str] = field(default_factory=frozenset[str])


@dataclass(frozen=True)
class Violation:
    rule: str
    urn: str
    text: str


Check: TypeAlias = "Callable[[Resource], Iterator[str]]"
StackCheck: TypeAlias = "Callable[[Sequence[Resource]], Iterator[tuple[Resource, str]]]"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule over resources of some types.

    Attributes:
        kinds: the types that it looks at; empty for all.
        production: it holds in production only.
    """

    name: str
    says: str
    kinds: frozenset[str]
    production: bool
    check: Check

    def broken(self, resources: Iterable[Resource]) -> Iterator[Violation]:
        for each in resources:
            if not self.kinds or each.type in self.kinds:
                yield from (Violation(self.name, each.urn, text) for text in self.check(each))


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule over resources that belong together."""

    name: str
    says: str
    check: StackCheck
    production: bool = False

    def broken(self, resources: Iterable[Resource]) -> Iterator[Violation]:
        yield from (Violation(self.name, each.urn, text) for each, text in self.check(list(resources)))


RULES: list[Rule | StackRule] = []  # in the order in which the modules declare them


def rule(*kinds: str, production: bool = False) -> Callable[[Check], Check]:
    """Make a function a rule over resources of these types. Its name is the rule's; its docstring says what it asks."""

    def declare(check: Check) -> Check:
        name, says = _described(check)
        RULES.append(Rule(name=name, says=says, kinds=frozenset(kinds), production=production, check=check))
        return check

    return declare


def stack_rule(check: StackCheck) -> StackCheck:
    """The same for a function over all resources of a stack."""
    name, says = _described(check)
    RULES.append(StackRule(name=name, says=says, check=check))
    return check


def violations(resources: Sequence[Resource], *, production: bool) -> list[Violation]:
    """Everything that is wrong with a stack."""
    wanted = [each for each in RULES if production or not each.production]
    return [found for each in wanted for found in each.broken(resources)]


def in_production(resources: Iterable[Resource]) -> bool:
    """Whether the stack exports `production: true`, as the program does; a pack is not given the stack's settings."""
    return any(each.type == STACK and each.properties.get("production") is True for each in resources)


def of(kind: str, resources: Iterable[Resource]) -> list[Resource]:
    return [each for each in resources if each.type == kind]


def at(value: Any, *path: str | int) -> Any:
    """What stands at a path in nested properties; None where there is nothing."""
    for step in path:
        if isinstance(value, Mapping):
            value = cast("Mapping[str | int, Any]", value).get(step)
        elif isinstance(value, Sequence) and isinstance(step, int) and step < len(cast("Sequence[Any]", value)):
            value = cast("Sequence[Any]", value)[step]
        else:
            return None
    return value


def _described(check: Callable[..., Any]) -> tuple[str, str]:
    return check.__name__.replace("_", "-"), (check.__doc__ or "").partition("\n")[0]
