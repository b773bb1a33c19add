"""Up, preview and destroy of a sandbox's stack by the pulumi CLI, and the stack's outputs."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from sandbox.deploy import Report, Request
from sandbox.engine.program import STACK
from sandbox.errors import SandboxError
from sandbox.pulumi_cli import checkpoint, workspace
from sandbox.pulumi_cli.events import Events
from sandbox.pulumi_cli.workspace import Workspace
from sandbox.state import Folder

AS_EVENTS = ("--json", "--non-interactive")
STREAM = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}  # else a preview prints one document at its end


def run(request: Request, folder: Folder, report: Report) -> dict[str, Any]:
    """Run the program through Pulumi's engine; each step goes to `report`. Returns the stack's outputs.

    Args:
        request: what to run; the state is in the sandbox's folder.
        folder: the sandbox's; its engine.log gets what the program and the engine say.
        report: called for each step.

    Raises:
        SandboxError: what the program or the engine found wrong, with the resource's URN where there is one.
    """
    place = workspace.of(folder)
    settings = place.write(folder, request.program, request.config, preview=request.preview)
    if not checkpoint.find(place.path):
        call(place, "stack", "init", STACK, "--no-select")
    verb = ["preview"] if request.preview else ["up", "--yes", "--skip-preview"]
    refresh = ["--refresh"] if request.refresh else []
    _stream(place, [*verb, *refresh, "--config-file", str(settings), *AS_EVENTS], folder.engine_log, report)
    return {} if request.preview else outputs(place)


def destroy(folder: Folder, report: Report) -> None:
    """Delete every resource of the stack, or none: the preview that comes first fails if one is protected.

    Raises:
        SandboxError: one could not be deleted, or is protected.
    """
    _stream(workspace.of(folder), ["destroy", "--yes", *AS_EVENTS], folder.engine_log, report)


def on_terminal(folder: Folder, arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run the CLI on this terminal; its exit code, and the stack's outputs after it.

    Raises:
        SandboxError: there is no pulumi CLI.
    """
    place = workspace.of(folder)
    done = subprocess.run(place.command(*arguments), cwd=place.path, env=place.environment, check=False)  # noqa: S603
    return done.returncode, outputs(place) if checkpoint.find(place.path) else {}


def outputs(place: Workspace) -> dict[str, Any]:
    """The stack's outputs, secret ones in plain text."""
    return json.loads(call(place, "stack", "output", "--json", "--show-secrets"))


def call(place: Workspace, *arguments: str) -> str:
    """What the CLI prints.

    Raises:
        SandboxError: it failed.
    """
    done = subprocess.run(  # noqa: S603  # the CLI that was found
        place.command(*arguments, "--non-interactive"),
        cwd=place.path,
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SandboxError(f"`pulumi {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _stream(place: Workspace, arguments: list[str], log: Path, report: Report) -> None:
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(  # noqa: S603  # the CLI that was found
            place.command(*arguments),
            cwd=place.path,
            env={**place.environment, **STREAM},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        ) as cli,
    ):
        assert cli.stdout
        errors = _follow(cli.stdout, output, report)
    if cli.returncode:
        said = errors or [log.read_text(encoding="utf-8").strip() or f"pulumi ended with exit code {cli.returncode}"]
        raise SandboxError("\n".join(said))


def _follow(lines: IO[str], output: IO[str], report: Report) -> list[str]:
    """Report each step; the errors."""
    events = Events()
    for line in lines:
        if not line.startswith("{"):
            output.write(line)
            continue
        event = json.loads(line)
        if step := events.step(event):
            report(step)
        if message := events.message(event):
            output.write(f"{message}\n")
    return events.errors
