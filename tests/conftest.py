"""One sandbox for the whole run, with every part of the system and IAM enforcement on, and its database."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import kept
import psutil
import pytest
from afresh import AT_ONCE, afresh
from sweep import LONG

from runbook.stack import Context
from sandbox import deploy, lifecycle, state
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox

if TYPE_CHECKING:
    from pymysql import Connection

kept.install()
TESTS = Path(__file__).parent
ENTITIES = TESTS / "entities.toml"
PREFIX = "test-"
os.environ["STREAMBACK_STREAM_INTERVAL"] = "0.02"  # of a sandbox's streams: most tests wait for the bridge


def _clear_stale() -> None:
    """Remove the sandboxes of test runs that were killed."""
    for name in state.names():
        number = name.removeprefix(PREFIX).split("-")[0]
        if name.startswith(PREFIX) and number.isdigit() and not psutil.pid_exists(int(number)):
            with contextlib.suppress(SandboxError):  # another process of this run is at it
                lifecycle.down(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make sweep` and `make mysql`."""
    if LONG:
        return
    long = [item for item in items if "long" in item.keywords]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in set(long)]


@pytest.fixture(scope="session", autouse=True)
def _engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sandboxes that are brought up by this process get an engine that has imported Pulumi."""
    path = str(tmp_path_factory.mktemp("engine") / "socket")
    command = [sys.executable, str(TESTS / "forked_engine.py"), path]
    with subprocess.Popen(command, cwd=state.PROJECT, stdin=subprocess.PIPE) as server:
        deploy.ENGINE[:] = [sys.executable, "-IS", str(TESTS / "engine_client.py"), path]
        yield
        assert server.stdin
        server.stdin.close()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The system of `entities.toml` beside this file: chefs, and specimens with every type."""
    _clear_stale()
    name = f"{PREFIX}{os.getpid()}"
    try:
        yield lifecycle.up(name, AT_ONCE, entities=ENTITIES, current=False)
    finally:
        lifecycle.down(name)


@pytest.fixture(scope="module")
def prepared(sandbox: Sandbox) -> Context:
    """The context of that system, which is for each test file as if nothing had run before."""
    return afresh(sandbox)


@pytest.fixture
def database(sandbox: Sandbox) -> Iterator[Connection]:
    """A connection to the database behind the Data API, as its root, with autocommit."""
    connection = sandbox.database.connect()
    yield connection
    connection.close()
