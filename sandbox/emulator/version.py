"""The gaps are filled by private names of one MiniStack version; with another one they must be looked at again."""

from __future__ import annotations

from importlib.metadata import version

from sandbox.errors import SandboxError

PINNED = "1.5.33"


def check(gap: str) -> None:
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
