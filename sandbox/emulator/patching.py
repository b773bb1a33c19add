# pyright: basic
# MiniStack has no types that a strict check could use.
"""Replaces a function of MiniStack by one that can call what it replaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def wrap(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(old)` in the place of `module.name`.

    Raises:
        AttributeError: the module has no such name; the pinned version is not what is installed.
    """
    setattr(module, name, make(getattr(module, name)))
