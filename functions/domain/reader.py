"""Reads the tables of entities.toml key by key, and collects every mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from functions.domain import names


class Reader:
    """Reads the keys of one table; what it did not read is unknown."""

    def __init__(self, path: str, value: Any, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.left: dict[str, Any] = {}
        if isinstance(value, Mapping):
            self.left = dict(cast("Mapping[str, Any]", value))
        else:
            self.problem("", f"expected a table, got {value!r}")

    def problem(self, key: str, text: str) -> None:
        self.problems.append(f"{self.path}{'.' if key else ''}{key}: {text}")

    def text(self, key: str, pattern: re.Pattern[str], default: str | None = None) -> str:
        value = self.left.pop(key, default)
        if value is None:
            self.problem(key, "is missing")
        elif not isinstance(value, str) or not pattern.fullmatch(value):
            self.problem(key, f"expected a name like {pattern.pattern}, got {value!r}")
        elif value.lower().startswith(names.RESERVED_PREFIX):
            self.problem(key, f"{value!r} begins with {names.RESERVED_PREFIX!r}, which is streamback's own")
        return value if isinstance(value, str) else ""

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.left.pop(key, default)
        if value not in choices:
            self.problem(key, f"expected one of {', '.join(choices)}, got {value!r}")
        return str(value)

    def flag(self, key: str) -> bool:
        value = self.left.pop(key, False)
        if not isinstance(value, bool):
            self.problem(key, f"expected true or false, got {value!r}")
        return value is True

    def number(self, key: str, low: int, high: int, default: int | None) -> int | None:
        value = self.left.pop(key, default)
        if value is not None and (type(value) is not int or not low <= value <= high):
            self.problem(key, f"expected a whole number from {low} to {high}, got {value!r}")
            return default
        return value

    def table(self, key: str) -> Reader:
        if key not in self.left:
            self.problem(key, "is missing")
            return Reader(f"{self.path}.{key}", {}, [])
        return Reader(f"{self.path}.{key}", self.left.pop(key), self.problems)

    def close(self) -> None:
        for key in self.left:
            self.problem(key, "is not a known key")
