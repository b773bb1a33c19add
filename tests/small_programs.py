"""Small Pulumi programs and a sandbox to run them in, by either engine."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import lifecycle
from sandbox.deploy import Step
from sandbox.kinds import Engine
from sandbox.lifecycle import Sandbox

EVERY_TYPE = Path(__file__).parent / "sandbox" / "every_type.py"  # has every resource type that the sandbox knows
IMPORTS = "import json\nimport pulumi\nimport pulumi_aws as aws\nfrom pulumi import ResourceOptions\n"


@dataclass
class Programs:
    """Runs small programs in one sandbox, each after the other, and remembers what the last one did."""

    name: str
    folder: Path
    engine: Engine = Engine.IN_PROCESS
    steps: list[Step] = field(default_factory=list)

    def write(self, body: str) -> Path:
        """The folder of a program with this body."""
        (self.folder / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
        (self.folder / "__main__.py").write_text(IMPORTS + textwrap.dedent(body))
        return self.folder

    def up(self, body: str, **config: Any) -> Sandbox:
        """Bring the sandbox to what the program says."""
        self.steps = []
        return lifecycle.up(
            self.name, config, program=self.write(body), engine=self.engine, current=False, report=self.steps.append
        )

    def preview(self, body: str, **config: Any) -> list[Step]:
        """What `up` would do."""
        return lifecycle.preview(self.name, config, program=self.write(body), engine=self.engine)

    @property
    def changes(self) -> Counter[str]:
        """How many resources were created, changed and so on by the last `up`."""
        return Counter(step.change.value for step in self.steps)

    def done(self, change: str) -> set[str]:
        """The names of the resources to which this was done."""
        return {step.name for step in self.steps if step.change == change}
