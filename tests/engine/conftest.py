"""Sandboxes that Pulumi's own engine brings up. Without a pulumi CLI nothing here runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pulumi_stacks import Stack
from small_programs import EVERY_TYPE, Programs

from sandbox import lifecycle, state
from sandbox.kinds import Engine
from sandbox.pulumi_cli import programs as cli

MISSING = "tests/engine did not run, because there is no pulumi CLI: bring it with `make engine`"


def _has_cli() -> bool:
    return cli.find(state.default_root() / state.CACHE) is not None


@pytest.fixture(scope="session", autouse=True)
def _cli() -> None:
    """Skip these tests where there is no CLI."""
    if not _has_cli():
        pytest.skip(MISSING)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run, and how to get it."""
    if not _has_cli():
        terminalreporter.write_line(f"{MISSING}.")


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    """The name of this file's sandbox."""
    given = f"test-{os.getpid()}-engine"
    try:
        yield given
    finally:
        lifecycle.down(given)


@pytest.fixture(scope="module")
def stack(name: str) -> Stack:
    """The project's own program in that sandbox, which a test brings up."""
    return Stack(name)


@pytest.fixture(scope="module")
def programs(name: str, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Small programs in that sandbox."""
    return Programs(name, tmp_path_factory.mktemp("program"), Engine.PULUMI)


@pytest.fixture(scope="session")
def everything() -> str:
    """A program with every resource type that the sandbox knows."""
    return EVERY_TYPE.read_text()
