"""An entry of the quarantine: one key whose change the bridge could not apply, wherever it is parked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from functions.domain.entities import Entity

MASKED = "'***'"
# The mapping's own words end in what it got, which may be cut short within its quotes, and the item it was in.
GOT = re.compile(r"\bgot (?!DynamoDB type)")
IN_ITEM = re.compile(r", in the item (?:'[^']*'|\"[^\"]*\")$")
# MySQL quotes a value without escaping what is in it. So all is hidden from the first quote to the last one, and after
# that all but the words below, since a long message is cut within the value. An apostrophe is no quote.
OPENING, CLOSING = re.compile(r"(?<!\w)['\"]"), re.compile(r"['\"](?!\w)")
WORDS_AFTER = r"(?: at row \d+| cannot be null| doesn't have a default value| is violated)?"
CODE_AFTER = r"\W*(?:error code:? \d+; SQLState: \w+\W*)?$"


class Kind(StrEnum):
    """What is parked."""

    UPSERT = "upsert"
    DELETE = "delete"
    PROBE = "probe"
    EMPTY = "empty"  # an object that holds nothing that is not settled
    UNREADABLE = "unreadable"  # an object that is no invocation record


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key in quarantine.

    Attributes:
        key: the item's; of an object without a key, the object's own.
        reason: the newest, with the values of masked fields left out.
        code: MySQL's error number; 0 for none.
        sequence: the highest of the newest stream; 0 where none is known.
        stream: the ARN of the stream it belongs to; empty where none is known.
        at: when it was parked last, in UTC; empty where nobody noted it.
        objects: the failure objects it is in.
        noted: its record's `quarantined_at` and `sequence` in the table as they were read; None when it is not there.
    """

    entity: str
    key: str
    kind: Kind
    reason: str
    code: int
    sequence: int
    stream: str
    at: str
    objects: tuple[str, ...] = ()
    noted: tuple[str | None, str | None] | None = None


def without_masked(entity: Entity, reason: str) -> str:
    """A reason without what it quotes, where the entity has fields that are not to be shown.

    Column and field names stay where they surely are no part of a value, since they tell where to look.
    """
    if not any(field.masked for field in entity.fields.values()):
        return reason
    got, opening = GOT.search(reason), OPENING.search(reason)
    if got and (opening is None or got.end() <= opening.start()):
        item = f", in the item {MASKED}" if IN_ITEM.search(reason) else ""
        return f"{reason[: got.end()]}{MASKED}{item}"
    if opening is None:
        return reason
    return reason[: opening.start()] + _without_quoted(entity, reason[opening.start() :])


def _without_quoted(entity: Entity, text: str) -> str:
    """The end of a database's message, from its first quote on."""
    known = "|".join(re.escape(name) for each in entity.fields.values() for name in (each.name, each.column))
    end = max((found.end() for found in CLOSING.finditer(text, 1)), default=len(text))
    quoted, after = text[:end], text[end:]
    column = rf"(?: for column (?:`\w+`\.)*`(?:{known})`)?"
    if not re.match(rf"{column}{WORDS_AFTER}{CODE_AFTER}", after, re.IGNORECASE):
        code = re.search(r"; error code:? \d+; SQLState: \w+\W*$", after, re.IGNORECASE)
        return MASKED + (code[0] if code else "")
    if re.fullmatch(f"'(?:{known})'", quoted):
        return quoted + after
    named = re.search(rf"(?<=['\"]) for column '(?:{known})'$", quoted)
    return MASKED + (named[0] if named else "") + after


def merged(one: Entry, other: Entry) -> Entry:
    """Two entries of a key as one: the newer with the places of both."""
    old, new = sorted((one, other), key=lambda entry: (entry.at, entry.sequence))
    sequence = max(old.sequence, new.sequence) if old.stream == new.stream else new.sequence
    return replace(new, sequence=sequence, objects=(*one.objects, *other.objects), noted=one.noted or other.noted)


def instant(text: str) -> str:
    """A moment in one spelling, so that moments sort; empty when it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
