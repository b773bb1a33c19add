"""Asks the emulator for what only it can do: see the modules of sandbox/emulator/behaviour that have a PATH."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from sandbox.chaos.system import Arena

TIMEOUT = 5.0  # seconds


def ask(arena: Arena, path: str, wanted: Mapping[str, Any]) -> Any:
    """Send a document to one of the emulator's own paths; its answer, None for an empty one."""
    url = f"{arena.target.endpoint_url}{path}"
    request = urllib.request.Request(url, json.dumps(wanted).encode(), method="POST")  # noqa: S310  # loopback
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  # loopback
        text = answer.read()
    return json.loads(text) if text else None
