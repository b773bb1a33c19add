"""The project's own program by Pulumi's engine, and the pulumi CLI on a sandbox's stack."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox import lifecycle
from sandbox.deploy import Step
from sandbox.kinds import Engine
from sandbox.lifecycle import Sandbox
from sandbox.pulumi_cli import workspace
from sandbox.pulumi_cli.events import Events

UP = ("up", "--yes", "--skip-preview", "--json")
REFRESH = ("refresh", "--yes", "--skip-preview", "--json")


@dataclass
class Stack:
    """One stack of the program in one sandbox."""

    name: str
    engine: Engine = Engine.PULUMI
    steps: list[Step] = field(default_factory=list)

    def up(self, **config: Any) -> Sandbox:
        """Bring it to what the program says."""
        self.steps = []
        return lifecycle.up(self.name, config, engine=self.engine, current=False, report=self.steps.append)

    def preview(self, **config: Any) -> set[tuple[str, str]]:
        """What `up` would change."""
        return changes(lifecycle.preview(self.name, config))


def changes(steps: Iterable[Step]) -> set[tuple[str, str]]:
    """The kinds of change, each with a type of resource that it happens to."""
    return {(step.change.value, step.type.rsplit(":", 1)[-1]) for step in steps if step.change != "same"}


def pulumi(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the CLI on the stack of a sandbox, as `sandbox pulumi` does."""
    place = workspace.of(lifecycle.find(name).location)
    return subprocess.run(
        place.command(*arguments, "--non-interactive"),
        cwd=place.path,
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def steps_of(done: subprocess.CompletedProcess[str]) -> list[Step]:
    """What a command with `--json` did."""
    assert done.returncode == 0, done.stdout + done.stderr
    events = Events()
    found = [events.step(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    return [step for step in found if step]
