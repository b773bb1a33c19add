"""Cursors of a listing: opaque to the client, valid only for the system and entity that wrote them."""

import base64
import json
from typing import Any, cast

from functions.domain.errors import InvalidFieldError

AGAIN = "start the listing again"


def write(system: str, entity: str, after: str) -> str | None:
    """A cursor for the place `after`; None at the end."""
    if not after:
        return None
    text = json.dumps([system, entity, after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(cursor: str | None, system: str, entity: str) -> str:
    """The place that a cursor names; "" for none, the start.

    Raises:
        InvalidFieldError: it is not a cursor, or belongs to another listing (the endpoint has moved meanwhile).
    """
    if not cursor:
        return ""
    found = _decoded(cursor)
    if found[:2] != [system, entity] or len(found) != 3 or not isinstance(found[2], str):  # noqa: PLR2004
        raise InvalidFieldError("cursor", f"is not one of this listing; {AGAIN}")
    return found[2]


def _decoded(cursor: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise InvalidFieldError("cursor", f"is not a cursor; {AGAIN}") from error
    return cast("list[Any]", found) if isinstance(found, list) else []
