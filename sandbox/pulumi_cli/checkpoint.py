"""The state file that Pulumi's engine keeps of a sandbox's stack."""

from pathlib import Path
from typing import Any

from sandbox.engine.program import STACK
from sandbox.pulumi_cli.events import PREFIX
from sandbox.state import Folder, read_json


def home(folder: Folder) -> Path:
    """The folder of all that Pulumi's engine keeps of a sandbox."""
    return folder.path / "pulumi"


def find(home: Path) -> Path | None:
    """The state file; None before the stack was created."""
    return next((home / "state").glob(f".pulumi/stacks/*/{STACK}.json"), None)


def resources(folder: Folder) -> list[dict[str, Any]]:
    """The resources at the emulator, as the engine recorded them."""
    return [each for each in _latest(folder).get("resources", []) if each["type"].startswith(PREFIX)]


def is_interrupted(folder: Folder) -> bool:
    """Whether an engine ended while it created a resource: it is unknown how far it came."""
    pending: list[dict[str, Any]] = _latest(folder).get("pending_operations") or []
    return any(each["type"] == "creating" for each in pending)


def _latest(folder: Folder) -> dict[str, Any]:
    file = find(home(folder))
    return read_json(file)["checkpoint"].get("latest") or {} if file else {}
