"""Which changes of an item copy made, decided by what the stream shows of the item before and after.

Copy gives each item that it writes a value of its own: `legacy:<number>:<digest of the key>`. The number grows with
every write of the key. Other writers need not know the value: an update leaves it as it was, a clone brings it to
another key, and an older item brings an older number. None of these is copy's change.

A delete has only the image before it. So copy marks an item before it deletes it, with a digest of the rest of the
item: an item that somebody has written since does not fit its digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.domain import names

Image = Mapping[str, Any]  # an item in DynamoDB's typed form; bytes may be base64, as in a Lambda event
OLDER_VERSION = "legacy"  # the whole value, in items that an older version's copy wrote
VALUE = re.compile(r"legacy:([0-9]{1,30}):([0-9a-f]{16})")
NONE, WITHOUT_NUMBER = -1, 0
NANOSECONDS = 10**9
# From the making of a value to its record in the stream: a function's longest timeout, and clocks that differ. A value
# that is older comes from an item that was restored.
LONGEST_SECONDS = 3600.0
CREATED_UNIT = timedelta(seconds=1)  # of the stream's times of creation, which are rounded down


@dataclass(frozen=True)
class Idle:
    """A stretch of time in which copy wrote nothing, because modern was the source of truth; None: until now."""

    since: datetime
    until: datetime | None = None

    def covers(self, moment: datetime | None) -> bool:
        """Whether a record of this time is certainly from within."""
        return moment is not None and moment > self.since and (not self.until or moment + CREATED_UNIT <= self.until)


def mark(key: str, present: Image | None, now: int | None = None) -> dict[str, dict[str, str]]:
    """The attribute of an item that copy writes.

    Args:
        key: the item's.
        present: the item that it replaces.
        now: nanoseconds since 1970; the clock's by default.
    """
    number = max(_number(present) + 1, time.time_ns() if now is None else now)
    return {names.ORIGIN_ATTRIBUTE: {"S": f"{OLDER_VERSION}:{number}:{_key_digest(key)}"}}


def marked_for_delete(key: str, item: Image, now: int | None = None) -> dict[str, Any]:
    """The item as copy writes it before it deletes it."""
    return {**item, **mark(key, item, now), names.DELETING_ATTRIBUTE: {"S": _digest(item)}}


def is_marked(key: str, item: Image) -> bool:
    """Whether copy wrote this item; others may have changed it since."""
    text = _text(item)
    found = VALUE.fullmatch(text)
    return text == OLDER_VERSION or (found is not None and found[2] == _key_digest(key))


def by_copy(key: str, record: Mapping[str, Any], idle: Idle | None = None) -> bool:
    """Whether copy made the change that a stream record shows.

    Args:
        key: the item's.
        record: as Lambda or the stream's own API gives it.
        idle: when copy wrote nothing, whatever mark a record carries.
    """
    moment = created(record)
    if idle is not None and idle.covers(moment):
        return False
    data: Mapping[str, Any] = record["dynamodb"]
    before: Image = data.get("OldImage") or {}
    image: Image = before if record["eventName"] == "REMOVE" else data.get("NewImage") or {}
    if not is_marked(key, image) or _outdated(image, moment):
        return False
    if record["eventName"] == "REMOVE":
        return before.get(names.DELETING_ATTRIBUTE, {}).get("S") == _digest(before)
    return _number(image) > _number(before)


def created(record: Mapping[str, Any]) -> datetime | None:
    """When a record's change was made, rounded down to the second; None where the record does not say."""
    moment = record["dynamodb"].get("ApproximateCreationDateTime")
    if moment is None or isinstance(moment, datetime):
        return moment
    return datetime.fromtimestamp(float(moment), UTC)


def _outdated(image: Image, moment: datetime | None) -> bool:
    number = _number(image)
    return moment is not None and number > 0 and moment.timestamp() - number / NANOSECONDS > LONGEST_SECONDS


def _number(image: Image | None) -> int:
    text = _text(image or {})
    found = VALUE.fullmatch(text)
    if found:
        return int(found[1])
    return WITHOUT_NUMBER if text == OLDER_VERSION else NONE


def _text(image: Image) -> str:
    value = image.get(names.ORIGIN_ATTRIBUTE, {}).get("S")
    return value if isinstance(value, str) else ""


def _key_digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]


def _digest(item: Image) -> str:
    """Of an item without copy's own attributes, whichever API gave it."""
    own = {names.ORIGIN_ATTRIBUTE, names.DELETING_ATTRIBUTE}
    rest = {name: _plain(value) for name, value in item.items() if name not in own}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _plain(attribute: Mapping[str, Any]) -> list[Any]:
    kind, value = next(iter(attribute.items()))
    if kind == "M":
        return [kind, {name: _plain(each) for name, each in value.items()}]
    if kind == "L":
        return [kind, [_plain(each) for each in value]]
    if kind in {"SS", "NS", "BS"}:
        return [kind, sorted(map(_scalar, value))]
    return [kind, _scalar(value)]


def _scalar(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
