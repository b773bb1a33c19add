"""Reads the events of a preview, one JSON document a line, as Pulumi's engine writes them.

`pulumi preview --json` prints them with PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true, and `python -m ci.preview` does.
https://www.pulumi.com/docs/reference/cloud-rest-api/schema/appresourcepreevent/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

POLICY = "policy"  # the property of a role's policy
COLOURS = re.compile(r"<\{%.*?%\}>")  # in Pulumi's messages


class Kind(StrEnum):
    """What happens to a resource, the gravest first."""

    REPLACE = "replace"
    DELETE = "delete"
    UPDATE = "update"
    CREATE = "create"


KINDS = {
    "replace": Kind.REPLACE,
    "create-replacement": Kind.REPLACE,
    "delete-replaced": Kind.REPLACE,
    "delete": Kind.DELETE,
    "update": Kind.UPDATE,
    "create": Kind.CREATE,
    "import": Kind.CREATE,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What would happen to one resource.

    Attributes:
        changed: its properties that differ; empty where Pulumi does not say.
        granted: actions that its policy allows and did not.
        revoked: actions that its policy allowed and does not any more.
    """

    kind: Kind
    urn: str
    type: str
    changed: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A preview of one stack.

    Attributes:
        unchanged: how many resources stay as they are.
        errors: why it failed; empty if it did not.
    """

    stack: str
    steps: list[Step] = field(default_factory=list[Step])
    unchanged: int = 0
    errors: list[str] = field(default_factory=list[str])


def read(stack: str, lines: Iterable[str]) -> Outcome:
    """The outcome that a preview's output holds; a line that is no event is part of an error."""
    steps: dict[str, Step] = {}
    same: set[str] = set()
    errors: list[str] = []
    for line in filter(str.strip, lines):
        event = _event(line)
        if event is None:
            errors.append(line.strip())
        elif about := event.get("resourcePreEvent"):
            _add(about["metadata"], steps, same)
        else:
            errors += _errors(event)
    order = list(Kind)
    found = sorted(steps.values(), key=lambda step: (order.index(step.kind), step.type, step.name))
    return Outcome(stack=stack, steps=found, unchanged=len(same - steps.keys()), errors=list(dict.fromkeys(errors)))


def _event(line: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return cast("Mapping[str, Any]", document) if isinstance(document, dict) else None


def _add(about: Mapping[str, Any], steps: dict[str, Step], same: set[str]) -> None:
    """Note one event; a replacement has several of one URN, with its keys in any of them."""
    urn, kind = about["urn"], KINDS.get(about["op"])
    if kind is None:
        same.add(urn)
        return
    before = steps.get(urn)
    if before and before.kind is Kind.REPLACE:
        kind = Kind.REPLACE
    changed = dict.fromkeys([*(before.changed if before else ()), *_changed(about)])
    granted, revoked = _rights(about)
    steps[urn] = Step(kind=kind, urn=urn, type=about["type"], changed=tuple(changed), granted=granted, revoked=revoked)


def _changed(about: Mapping[str, Any]) -> list[str]:
    """The top-level properties that differ."""
    paths: list[str] = [*(about.get("keys") or []), *(about.get("diffs") or []), *(about.get("detailedDiff") or {})]
    return sorted({re.split(r"[.\[]", path)[0] for path in paths})


def _rights(about: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, new = (_actions(about.get(side)) for side in ("old", "new"))
    if old is None or new is None:  # not known before the update
        return (), ()
    return tuple(sorted(new - old)), tuple(sorted(old - new))


def _actions(side: Mapping[str, Any] | None) -> set[str] | None:
    """What a policy allows; nothing where there is none, and None where the preview does not know."""
    inputs: Mapping[str, Any] = (side or {}).get("inputs") or {}
    text = inputs.get(POLICY)
    if text is None:
        return set()
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, TypeError, KeyError):
        return None
    allowed = [each["Action"] for each in statements if each.get("Effect") == "Allow"]
    return {action for each in allowed for action in ([each] if isinstance(each, str) else each)}


def _errors(event: Mapping[str, Any]) -> list[str]:
    """What stopped the preview: Pulumi's errors, and rules of the policy pack."""
    if (found := event.get("diagnosticEvent")) and found["severity"] == "error":
        return [COLOURS.sub("", found["message"]).strip()]
    if (found := event.get("policyEvent")) and found["enforcementLevel"] == "mandatory":
        urn = found.get("resourceUrn", "").rpartition("::")[2]
        return [f"{found['policyName']}: {urn}: {COLOURS.sub('', found['message']).strip()}"]
    return []
