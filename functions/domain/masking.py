"""Hides values of masked fields: what stands in their place, and how they are taken out of an error's text."""

import re

from functions.domain.entities import Entity

MASKED = "***"
QUOTED = f"'{MASKED}'"
# The mapping's own messages end with the value, which may be cut short within its quotes, and with the item it was in.
GOT = re.compile(r"\bgot (?!DynamoDB type)")
IN_ITEM = re.compile(r", in the item (?:'[^']*'|\"[^\"]*\")$")
# MySQL quotes a value without escaping what is in it. So everything from the first quote to the last one is hidden. Of
# the text after that only the words below are kept, because a long message is cut within the value. An apostrophe is
# no quote.
OPENING, CLOSING = re.compile(r"(?<!\w)['\"]"), re.compile(r"['\"](?!\w)")
WORDS_AFTER = r"(?: at row \d+| cannot be null| doesn't have a default value| is violated)?"
CODE_AFTER = r"\W*(?:error code:? \d+; SQLState: \w+\W*)?$"


def without_masked(entity: Entity, reason: str) -> str:
    """A reason without the values that it quotes, if the entity has masked fields.

    Names of columns and fields stay where they are surely no part of a value, because they say where to look.
    """
    if not any(field.masked for field in entity.fields.values()):
        return reason
    got, opening = GOT.search(reason), OPENING.search(reason)
    if got and (opening is None or got.end() <= opening.start()):
        item = f", in the item {QUOTED}" if IN_ITEM.search(reason) else ""
        return f"{reason[: got.end()]}{QUOTED}{item}"
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
        return QUOTED + (code[0] if code else "")
    if re.fullmatch(f"'(?:{known})'", quoted):
        return quoted + after
    named = re.search(rf"(?<=['\"]) for column '(?:{known})'$", quoted)
    return QUOTED + (named[0] if named else "") + after
