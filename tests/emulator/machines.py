"""Programs of a machine that has only those that a test puts there."""

from __future__ import annotations

from pathlib import Path


def program(path: Path, text: str = "exit 0") -> None:
    """Make a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
