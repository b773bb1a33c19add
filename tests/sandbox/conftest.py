"""Small Pulumi programs and a sandbox to run them in; the shared sandbox as chaos sees it."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import lifecycle
from sandbox.chaos.system import Arena
from sandbox.deploy import Step
from sandbox.lifecycle import Sandbox

IMPORTS = "import json\nimport pulumi\nimport pulumi_aws as aws\nfrom pulumi import ResourceOptions\n"


@dataclass
class Programs:
    """Runs small programs in one sandbox, each after the other, and remembers what the last one did."""

    name: str
    folder: Path
    steps: list[Step] = field(default_factory=list)

    def write(self, body: str) -> Path:
        """The folder of a program with this body."""
        (self.folder / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
        (self.folder / "__main__.py").write_text(IMPORTS + textwrap.dedent(body))
        return self.folder

    def up(self, body: str, **config: Any) -> Sandbox:
        """Bring the sandbox to what the program says."""
        self.steps = []
        return lifecycle.up(self.name, config, program=self.write(body), current=False, report=self.steps.append)

    def preview(self, body: str, **config: Any) -> list[Step]:
        """What `up` would do."""
        return lifecycle.preview(self.name, config, program=self.write(body))

    @property
    def changes(self) -> Counter[str]:
        """How many resources were created, changed and so on by the last `up`."""
        return Counter(step.change.value for step in self.steps)

    def done(self, change: str) -> set[str]:
        """The names of the resources to which this was done."""
        return {step.name for step in self.steps if step.change == change}


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
    return (Path(__file__).parent / "every_type.py").read_text()


@pytest.fixture(scope="module")
def arena(sandbox, prepared):
    """Where chaos acts, which is for each test file as if nothing had run before."""
    return Arena(sandbox, "chefs", lambda _: None)
