"""The few shapes in which AWS wants what Pulumi says otherwise."""

import contextlib
import json
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


def camel(value: Any) -> Any:
    """The value with the first letter of all keys in it in lower case; the reverse of `pascal`."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [camel(item) for item in cast("list[Any]", value)]
    return value


def found(answer: Mapping[str, Any], wanted: str, **renamed: str) -> dict[str, Any]:
    """The reverse of `pick`: inputs from a service's answer, as far as it has them."""
    names = {name: capital(name) for name in wanted.split()} | renamed
    return {name: camel(answer[member]) for name, member in names.items() if answer.get(member) is not None}


WHOLE = ("variables", "tags")  # maps with keys of the user's own: one more of them is a difference


def seen(asked: Any, there: Any, *, whole: bool = False) -> Any:
    """What a refresh notes for an input: `asked` where the service has the same, in another form perhaps.

    Of an object only the asked members count, since services add defaults to it.
    """
    if isinstance(asked, dict) and isinstance(there, dict):
        return _seen_object(cast("dict[str, Any]", asked), cast("dict[str, Any]", there), whole=whole)
    if isinstance(asked, list) and isinstance(there, list):
        return _seen_list(cast("list[Any]", asked), cast("list[Any]", there))
    return cast("Any", asked if _alike(asked, there) else there)


def _seen_object(asked: dict[str, Any], there: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    if whole:
        return asked if asked == there else there
    kept = {key: value for key, value in asked.items() if key in there or not value}
    return {key: seen(value, there.get(key, value), whole=key in WHOLE) for key, value in kept.items()}


def _seen_list(asked: list[Any], there: list[Any]) -> list[Any]:
    if len(asked) == len(there) and asked and isinstance(asked[0], dict):
        return [seen(*pair) for pair in zip(asked, there, strict=True)]
    return asked if sorted(map(str, asked)) == sorted(map(str, there)) else there


def _alike(asked: Any, there: Any) -> bool:
    if isinstance(asked, str) and not isinstance(there, dict | list):
        return asked == str(there) or (asked[:1] in {"{", "["} and _document(asked) == _document(str(there)))
    if isinstance(asked, str) and isinstance(there, dict):  # a policy, which boto3 parses
        return _document(asked) == there
    return asked == there


def _document(text: str) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text
