"""Runs the Pulumi program of a folder once, in this process. Pulumi's settings are global: one run a process."""

import asyncio
import json
import logging
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
import yaml
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_in_stack

from sandbox.engine.aws import REGION
from sandbox.engine.deployment import Deployment
from sandbox.engine.errors import EngineError
from sandbox.engine.monitor import Log, Monitor

STACK = "sandbox"


def run(folder: Path, deployment: Deployment, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Run `folder`/__main__.py with the stack's configuration and the overrides; the stack's outputs.

    Raises:
        EngineError: what the program or the engine found wrong.
    """
    project = _yaml(folder / "Pulumi.yaml").get("name", "")
    if not project:
        raise EngineError(f"{folder / 'Pulumi.yaml'}: no project name found")
    monitor = Monitor(deployment)
    _configure(project, monitor, deployment.preview)
    pulumi.runtime.set_all_config(settings_of(project, folder, overrides))
    asyncio.run(_in_stack(folder))
    deployment.finish()
    return monitor.outputs


async def _in_stack(folder: Path) -> None:
    os.chdir(folder)  # the program's assets are relative to it, as under the Pulumi CLI
    sys.path.insert(0, str(folder))
    await run_in_stack(lambda: _main(folder))


def _main(folder: Path) -> None:
    runpy.run_path(str(folder / "__main__.py"), run_name="__main__")


def _configure(project: str, monitor: Monitor, preview: bool) -> None:
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(),
            engine=Log(logging.getLogger("pulumi")),
            project=project,
            stack=STACK,
            dry_run=preview,
            organization="organization",
            root_directory=None,
            callbacks=None,
        )
    )


def settings_of(project: str, folder: Path, overrides: Mapping[str, Any]) -> dict[str, str]:
    """The stack's configuration as Pulumi holds it: Pulumi.sandbox.yaml if there is one, then the overrides."""
    config: dict[str, Any] = {"aws:region": REGION, **(_yaml(folder / f"Pulumi.{STACK}.yaml").get("config") or {})}
    config |= {key if ":" in key else f"{project}:{key}": value for key, value in overrides.items()}
    return {key: _text(value) for key, value in config.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")) or {})
