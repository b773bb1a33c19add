"""Small Pulumi programs and a sandbox to run them in; the shared sandbox as chaos sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_programs import EVERY_TYPE, Programs

from sandbox import lifecycle
from sandbox.chaos.system import Arena


@pytest.fixture(scope="session")
def _small_name() -> Iterator[str]:
    name = f"test-{os.getpid()}-small"
    try:
        yield name
    finally:
        lifecycle.down(name)


@pytest.fixture
def programs(_small_name: str, tmp_path: Path) -> Programs:
    return Programs(_small_name, tmp_path)


@pytest.fixture(scope="session")
def everything() -> str:
    """A program with every resource type that the sandbox knows."""
    return EVERY_TYPE.read_text()


@pytest.fixture(scope="module")
def arena(sandbox, prepared):
    """Where chaos acts, which is for each test file as if nothing had run before."""
    return Arena(sandbox, "chefs", lambda _: None)
