"""Replaces a function of MiniStack by one that can call what it replaces."""
# pyright: basic

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from sandbox.errors import SandboxError

PINNED = "1.5.33"


def check_version(gap: str) -> None:
    """Refuse to patch another MiniStack than the one that `gap` was written for.

    Raises:
        SandboxError: naming both versions.
    """
    found = version("ministack")
    if found != PINNED:
        raise SandboxError(
            f"sandbox/emulator/{gap}.py fills a gap of ministack {PINNED}, but {found} is installed. "
            "Install the packages of requirements.txt, or see whether the gap still exists."
        )


def wrap(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(old)` in the place of `module.name`.

    Raises:
        AttributeError: the module has no such name; the pinned version is not what is installed.
    """
    setattr(module, name, make(getattr(module, name)))
