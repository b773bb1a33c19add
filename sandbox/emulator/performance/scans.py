"""A page of a Scan costs what the page has, not what the table has.

MiniStack sorts all keys of a table, and hashes them for a parallel scan, for each page: with ten thousand items that is
twenty milliseconds in which it serves no other request. Here the keys are kept in order, and a scan is shown only those
that its page can need. This file can go when MiniStack pages by itself.
"""
# pyright: basic

import bisect
import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ministack.services import dynamodb

from sandbox.emulator.patching import check_version, wrap

TABLES = 64  # whose keys are kept
KEYS = type({}.keys())


def install() -> None:
    check_version("performance/scans")
    order = Order()
    scan = Scan(order)
    wrap(dynamodb, "_set_item", order.noting)
    wrap(dynamodb, "_remove_item", order.noting)
    wrap(dynamodb, "_scan", scan.paged)
    dynamodb.sorted = scan.sorted  # pyright: ignore[reportAttributeAccessIssue]  # stands before the built-in one


@lru_cache(200_000)
def share(key: str) -> int:
    """What MiniStack takes modulo the number of segments."""
    return int.from_bytes(hashlib.sha1(key.encode(), usedforsecurity=False).digest()[:4], "big")


class Order:
    """The partition keys of each table, sorted."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Any, list[str]]] = {}

    def noting(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps what adds an item to a table or removes one."""

        def noted(table: Any, key: Any, *rest: Any) -> Any:
            before = key in table["items"]
            answer = change(table, key, *rest)
            if before != (key in table["items"]):
                self._note(table["items"], key, added=not before)
            return answer

        return noted

    def _note(self, items: Any, key: Any, *, added: bool) -> None:
        kept, keys = self._kept.get(id(items), (None, []))
        if kept is not items:
            return
        at = bisect.bisect_left(keys, key)
        if added:
            keys.insert(at, key)
        elif keys[at : at + 1] == [key]:
            del keys[at]

    def of(self, items: Any) -> list[str]:
        """The keys of a table; sorted anew when somebody has changed them otherwise."""
        kept, keys = self._kept.get(id(items), (None, []))
        if kept is not items or len(keys) != len(items):
            keys = sorted(items)
            if len(self._kept) >= TABLES:
                self._kept.clear()
            self._kept[id(items)] = items, keys
        return keys


class Scan:
    """Shows a scan the keys that its page can need; the event loop does one scan at a time."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._shown: list[str] | None = None
        self._items: Any = None

    def paged(self, scan: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def shown(data: Any) -> Any:
            self._items = _simple(data)
            self._shown = None if self._items is None else self._page(data)
            try:
                return scan(data)
            finally:
                self._shown = self._items = None

        return shown

    def sorted(self, some: Iterable[Any], **how: Any) -> list[Any]:
        """As the built-in one, but for the keys of the table that is scanned."""
        if self._shown is not None and isinstance(some, KEYS) and _same(some, self._items):
            return self._shown
        return sorted(some, **how)

    def _page(self, data: Any) -> list[str]:
        """From the starting key on, one more than the limit, so that it shows that there are more."""
        keys, limit = self._order.of(self._items), int(data["Limit"])
        start = data.get("ExclusiveStartKey")
        at = bisect.bisect_left(keys, next(iter(start.values()))["S"]) if start else 0
        segments, segment = int(data.get("TotalSegments") or 1), int(data.get("Segment") or 0)
        found: list[str] = []
        left = limit + 2  # the starting key itself may be among them
        for index in range(at, len(keys)):
            if segments == 1 or share(keys[index]) % segments == segment:
                found.append(keys[index])
                left -= len(self._items[keys[index]])
            if left <= 0:
                break
        return found


def _simple(data: Any) -> Any:
    """The items of the table, if its scan is one that can be paged here: by a text key alone, with a limit."""
    table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
    if not table or table.get("sk_name") or data.get("IndexName") or not _counts(data.get("Limit")):
        return None
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    start = data.get("ExclusiveStartKey")
    texts = kinds.get(table["pk_name"]) == "S" and (not start or "S" in start.get(table["pk_name"], {}))
    return table["items"] if texts and (not start or len(start) == 1) else None


def _counts(limit: Any) -> bool:
    return isinstance(limit, int) and limit > 0


def _same(keys: Any, items: Any) -> bool:
    return len(keys) == len(items) and next(iter(keys), None) is next(iter(items), None)
