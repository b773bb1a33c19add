"""How long the import of each handler takes, and its memory, against a handler that only imports boto3.

Each import is that of a new process on this machine, in seconds of its CPU: what Lambda does on every cold start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from sandbox.bench.rounds import interleaved
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import System
from sandbox.state import PROJECT

GROUP = "cold start"
BASE = "boto3"
PARTS = "boto3,aws_lambda_powertools,aws_lambda_powertools.event_handler.api_gateway"  # what all handlers share
GOAL, OF_PARTS = Goal(at_most=1.3), Goal(at_most=1.2)
HANDLERS = {
    "bridge": "functions.bridge.handler",
    "copy": "functions.copy.worker",
    "gate": "functions.gate.handler",
    "modern writes": "functions.gate.modern_write",
    "modern reads": "functions.modern.read",
    "legacy writes": "functions.legacy.write",
    "legacy reads": "functions.legacy.read",
    "install": "functions.install.handler",
}
QUICK = ("bridge", "gate", "modern writes", "copy")
PROGRAM = """
import json, sys, time
begun = time.process_time()
for name in sys.argv[1].split(","):
    __import__(name)
taken = time.process_time() - begun
kilobytes = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([taken * 1e3, kilobytes / 1024]))
"""
VARIABLES = {"AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_METRICS_NAMESPACE": "bench"}


def rows(system: System) -> Iterator[Row]:
    """The time in milliseconds and the memory in MB of each handler."""
    chosen = {name: module for name, module in HANDLERS.items() if not system.quick or name in QUICK}
    memory: dict[str, list[float]] = {}
    modules = {BASE: BASE, PARTS: PARTS, **chosen}
    variants = {name: partial(_measured, module, memory.setdefault(name, [])) for name, module in modules.items()}
    found = interleaved(variants, system.rounds)
    for name in chosen:
        yield compared(GROUP, f"{name}, import", "ms", found[name], found[BASE], GOAL)
        yield compared(GROUP, f"{name}, its libraries", "ms", found[name], found[PARTS], OF_PARTS)
        yield compared(GROUP, f"{name}, memory", "MB", memory[name], memory[BASE])


def _measured(module: str, memory: list[float]) -> float:
    """Milliseconds of CPU; the memory is added to a list."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", PROGRAM, module],
        cwd=PROJECT,
        env={**os.environ, **VARIABLES},
        capture_output=True,
        text=True,
        check=True,
    )
    taken, megabytes = json.loads(done.stdout)
    memory.append(megabytes)
    return taken
