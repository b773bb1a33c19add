"""What has to happen to one resource: the program's wish compared with what is there. Pure."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from sandbox.engine import values
from sandbox.engine.registry import Handler
from sandbox.engine.state import Record


class Change(StrEnum):
    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One resource as the program wants it.

    Args:
        urn, type, name: who it is; `name` is the logical one.
        inputs: decoded (see values.py).
        sources: the URNs that each input comes from.
        ignore: property paths whose changes the program leaves to others.
        replace_on: properties whose change replaces it.
        protect, retain, delete_first: the resource options.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    ignore: Sequence[str] = ()
    replace_on: Sequence[str] = ()
    protect: bool = False
    retain: bool = False
    delete_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do, with the inputs to do it with.

    Args:
        change: what happens.
        inputs: the goal's, plus the name that was made, less the changes to ignore.
        changed: the properties that differ from the record's.
        delete_first: a replacement needs its predecessor's place.
    """

    change: Change
    inputs: dict[str, Any]
    changed: frozenset[str] = field(default_factory=frozenset[str])
    delete_first: bool = False


def plan(goal: Goal, record: Record | None, handler: type[Handler], *, anew: bool = False) -> Plan:
    """Compare the goal with the record; `anew` replaces the resource under its present name even if nothing changed.

    Raises:
        ValueError: an input that the handler does not know, or a name that is too long.
    """
    if unknown := unknown_properties(goal.inputs, handler):
        raise ValueError(f"the sandbox does not know the property {', '.join(map(repr, unknown))} of this type")
    if record is None:
        return Plan(change=Change.CREATE, inputs=named(goal.inputs, goal.name, handler))
    present = record.inputs.get(handler.autoname.property, "") if handler.autoname else ""
    inputs = _ignoring(named(goal.inputs, goal.name, handler, present), record.inputs, goal.ignore)
    changed = differences(record.inputs, inputs)
    if anew or fixed(changed, handler) or changed & set(goal.replace_on):
        return _replacement(goal, handler, inputs, changed, keep_name=anew)
    return Plan(change=Change.UPDATE if changed else Change.SAME, inputs=inputs, changed=changed)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> frozenset[str]:
    """The names of the properties that differ; the unknown ones of a preview do."""
    stored = values.for_state(dict(new))
    return frozenset(key for key in old.keys() | stored.keys() if old.get(key) != stored.get(key))


def unknown_properties(inputs: Mapping[str, Any], handler: type[Handler]) -> list[str]:
    """The inputs that the handler does not know."""
    return sorted(inputs.keys() - handler.properties)


def named(inputs: Mapping[str, Any], logical: str, handler: type[Handler], present: str = "") -> dict[str, Any]:
    """The inputs with a physical name: the program's, else the `present` one, else a new one.

    Raises:
        ValueError: the logical name is too long for one.
    """
    name = handler.autoname
    made = {name.property: present or name.make(logical)} if name and name.property not in inputs else {}
    return {**inputs, **made}


def fixed(changed: frozenset[str], handler: type[Handler]) -> frozenset[str]:
    """Those of the changed properties that cannot change in place."""
    return changed - handler.updates - {"tags"}


def _replacement(
    goal: Goal, handler: type[Handler], inputs: dict[str, Any], changed: frozenset[str], *, keep_name: bool
) -> Plan:
    name = handler.autoname
    same_name = name is not None and (keep_name or (name.property in goal.inputs and name.property not in changed))
    if name and not same_name and name.property not in goal.inputs:
        inputs = {**inputs, name.property: name.make(goal.name)}
    first = handler.delete_first or goal.delete_first or same_name
    return Plan(change=Change.REPLACE, inputs=inputs, changed=changed, delete_first=first)


def _ignoring(inputs: dict[str, Any], old: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    result = copy.deepcopy({key: value for key, value in inputs.items() if not isinstance(value, values.Archive)})
    result |= {key: value for key, value in inputs.items() if isinstance(value, values.Archive)}
    for path in paths:
        _restore(result, old, path.split("."))
    return result


def _restore(new: dict[str, Any], old: Mapping[str, Any], path: list[str]) -> None:
    """Put the old value at `path` into `new`; absent where it was absent."""
    head, *rest = path
    below, before = new.get(head), old.get(head)
    if rest and isinstance(below, dict) and isinstance(before, dict):
        _restore(cast("dict[str, Any]", below), cast("dict[str, Any]", before), rest)
    elif before is None:
        new.pop(head, None)
    else:
        new[head] = copy.deepcopy(before)
