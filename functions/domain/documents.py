"""Values of type `json`: any document, which DynamoDB keeps as a native one and Aurora as JSON text.

MySQL's JSON keeps whole numbers of 64 bits, signed or unsigned, and any other number as a double. A number that neither
keeps exactly is refused, as it would become another one.
"""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn, cast

from functions.domain.errors import ValueProblemError, check_unicode, shown

LOWEST, HIGHEST = -(2**63), 2**64 - 1
DEEPEST = 28  # levels of nesting; DynamoDB allows 32 with the item's own
LARGEST = 1e125  # magnitude; DynamoDB's numbers reach 9.99e125, and these stay doubles


def canonical(value: Any, depth: int = 0) -> Any:
    """A checked document in which equal numbers have one spelling.

    Raises:
        ValueProblemError: not both systems can hold it.
    """
    if depth > DEEPEST:
        raise ValueProblemError(f"expected at most {DEEPEST} levels of nesting")
    if isinstance(value, str):
        check_unicode(value)
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if "" in members:
            raise ValueProblemError("expected no empty member name; DynamoDB cannot hold one")
        return {canonical(name, depth + 1): canonical(each, depth + 1) for name, each in members.items()}
    if isinstance(value, list):
        return [canonical(each, depth + 1) for each in cast("list[Any]", value)]
    if value is None or isinstance(value, bool):
        return value
    return _number(value)


def _number(value: Any) -> int | float:
    """One spelling for each number: whole ones of 64 bits as int, all others as the double that they are.

    Raises:
        ValueProblemError: it is neither.
    """
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    number = float(exact)
    if not math.isfinite(number) or abs(number) > LARGEST or 0 < abs(number) < 1 / LARGEST:
        raise ValueProblemError(f"expected numbers below {LARGEST:g} in magnitude, got {shown(value)}")
    if LOWEST <= exact <= HIGHEST and exact == exact.to_integral_value():
        return int(exact)
    if Decimal(repr(number)) != exact:
        raise ValueProblemError(f"expected whole numbers of 64 bits, or numbers of a double, got {shown(value)}")
    return number


def to_attribute(value: Any) -> dict[str, Any]:
    """A document as DynamoDB keeps it."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (int, float)):
        return {"N": repr(value)}
    if isinstance(value, list):
        return {"L": [to_attribute(each) for each in cast("list[Any]", value)]}
    return {"M": {name: to_attribute(each) for name, each in value.items()}}


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The document of an attribute; TypeError for DynamoDB's other types."""
    kind, value = next(iter(attribute.items()))
    if kind == "NULL":
        return None
    if kind == "N":
        return _number(Decimal(value))
    if kind == "L":
        return [from_attribute(each) for each in value]
    if kind == "M":
        return {name: from_attribute(each) for name, each in value.items()}
    if kind in ("S", "BOOL"):
        return value
    raise TypeError(kind)


def dumped(value: Any) -> str:
    """A document as text for a JSON column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loaded(text: str) -> Any:
    """The document of a JSON column's text.

    Raises:
        ValueProblemError: not both systems can hold it.
        ValueError: it is no JSON.
    """
    found = json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_members)
    return canonical(found)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueProblemError(f"expected each member name once, got {shown(repeated)}")
    return found
