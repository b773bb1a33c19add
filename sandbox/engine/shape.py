"""The few shapes in which AWS wants what Pulumi says otherwise."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

HEX_DIGITS = 7


@dataclass(frozen=True)
class AutoName:
    """Which property is named for the program when it does not say.

    Args:
        property: the property that holds the physical name.
        longest: the service's limit in characters; Pulumi refuses longer ones, and so does this.
        lower: the service takes lower case only.
    """

    property: str
    longest: int
    lower: bool = False

    def make(self, logical: str) -> str:
        """A new physical name.

        Raises:
            ValueError: the logical name leaves no room for the digits.
        """
        name = f"{logical}-{secrets.token_hex(4)[:HEX_DIGITS]}"
        if len(name) > self.longest:
            raise ValueError(
                f"the name {logical!r} and {HEX_DIGITS + 1} characters more are longer than the {self.longest} that "
                f"{self.property!r} may have"
            )
        return name.lower() if self.lower else name


def pick(inputs: Mapping[str, Any], wanted: str, **renamed: str) -> dict[str, Any]:
    """AWS arguments from inputs: the wanted ones with a capital first letter, others renamed; absent ones left out.

    `pick(inputs, "runtime", Role="role")` gives Runtime and Role.
    """
    names = {capital(name): name for name in wanted.split()} | renamed
    return {argument: pascal(inputs[name]) for argument, name in names.items() if inputs.get(name) is not None}


def known(value: Mapping[str, Any], names: str) -> Mapping[str, Any]:
    """The nested object as it is, if it has no other keys than these.

    Raises:
        ValueError: naming the others: what a handler does not act on must not be skipped in silence.
    """
    if unknown := sorted(value.keys() - set(names.split())):
        raise ValueError(f"the sandbox does not know {', '.join(map(repr, unknown))} among {names.replace(' ', ', ')}")
    return value


def pascal(value: Any) -> Any:
    """The value with all keys in it capitalised; not for maps whose keys are the user's own."""
    if isinstance(value, dict):
        return {capital(key): pascal(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [pascal(item) for item in cast("list[Any]", value)]
    return value


def capital(name: str) -> str:
    """`maxCapacity` → `MaxCapacity`."""
    return name[:1].upper() + name[1:]


def section(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object at `name`; empty when absent."""
    return inputs.get(name) or cast("dict[str, Any]", {})


def tags(inputs: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in section(inputs, "tags").items()]
