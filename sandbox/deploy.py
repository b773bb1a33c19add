"""Runs the engine in a process of its own: Pulumi's settings are global, and a sandbox may be deployed many times."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

from sandbox.engine.plan import Change
from sandbox.errors import SandboxError
from sandbox.state import PROJECT


@dataclass(frozen=True, kw_only=True)
class Step:
    change: Change
    urn: str
    type: str
    name: str
    seconds: float


Report: TypeAlias = "Callable[[Step], None]"
ENGINE = [sys.executable, "-m", "sandbox.engine"]  # the command


@dataclass(frozen=True, kw_only=True)
class Request:
    """One run of the program.

    Args:
        program: the folder with Pulumi.yaml and __main__.py.
        state: the engine's state file.
        endpoint: the emulator's URL; empty for a preview without one.
        config: the program's settings, over those of Pulumi.sandbox.yaml.
        preview: only say what would happen.
        anew: replace every resource that holds data.
        refresh: look at what is there first, as `pulumi up --refresh` does.
    """

    program: Path = PROJECT
    state: Path
    endpoint: str = ""
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    preview: bool = False
    anew: bool = False
    refresh: bool = False


def run(request: Request, log: Path | None, report: Report) -> dict[str, Any]:
    """Run the program; each step goes to `report` as it is done. Returns the stack's outputs.

    Args:
        request: what to run.
        log: where the program's own output goes; to stderr without one.
        report: called for each step.

    Raises:
        SandboxError: naming the resource's URN and type where there is one.
    """
    document = {
        "program": str(request.program),
        "state": str(request.state),
        "endpoint": request.endpoint,
        "config": dict(request.config),
        "preview": request.preview,
        "anew": request.anew,
        "refresh": request.refresh,
    }
    if log is None:
        return _converse(json.dumps(document), None, report)
    with log.open("w", encoding="utf-8") as output:
        return _converse(json.dumps(document), output, report)


def _converse(request: str, output: IO[str] | None, report: Report) -> dict[str, Any]:
    with subprocess.Popen(  # noqa: S603  # our own module
        ENGINE, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
    ) as engine:
        assert engine.stdin
        assert engine.stdout
        engine.stdin.write(request)
        engine.stdin.close()
        for line in engine.stdout:
            answer = json.loads(line)
            if "outputs" in answer:
                return answer["outputs"]
            if "error" in answer:
                raise SandboxError(answer["error"])
            answer["change"] = Change(answer["change"])
            report(Step(**answer))
    raise SandboxError(f"The engine ended with exit code {engine.returncode} and no answer.")
