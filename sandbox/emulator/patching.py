# pyright: basic
# MiniStack has no types that a strict check could use.
"""Replaces a function of MiniStack by one that can call what it replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(old)` in the place of `module.name`.

    Raises:
        AttributeError: the module has no such name; the pinned version is not what is installed.
    """
    setattr(module, name, make(getattr(module, name)))
