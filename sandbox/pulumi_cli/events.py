"""What the pulumi CLI reports while it works: one JSON event a line, read as the sandbox's own steps."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.deploy import Step
from sandbox.engine.plan import Change

PREFIX = "aws:"  # of the types that are resources at the emulator
OPERATIONS = {
    "same": Change.SAME,
    "create": Change.CREATE,
    "update": Change.UPDATE,
    "create-replacement": Change.REPLACE,
    "delete": Change.DELETE,
}
ENDINGS = ("update failed", "preview failed", "destroy failed")  # follow the error that is the cause
COLOURS = re.compile(r"<\{%.*?%\}>")


class Events:
    """Reads events in their order.

    Attributes:
        errors: what went wrong, each with its URN where there is one.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._begun: dict[str, float] = {}

    def step(self, event: Mapping[str, Any]) -> Step | None:
        """The step that the event ends; None for any other event."""
        if "resourcePreEvent" in event:
            self._begun[event["resourcePreEvent"]["metadata"]["urn"]] = event["timestamp"]
        found = event.get("resOutputsEvent", {}).get("metadata", {})
        if found.get("op") not in OPERATIONS or not found["type"].startswith(PREFIX):
            return None
        urn = found["urn"]
        seconds = event["timestamp"] - self._begun.get(urn, event["timestamp"])
        name = urn.rsplit("::", 1)[-1]
        return Step(change=OPERATIONS[found["op"]], urn=urn, type=found["type"], name=name, seconds=seconds)

    def message(self, event: Mapping[str, Any]) -> str:
        """What the event says to a reader; empty where it says nothing. Errors are kept."""
        found = event.get("diagnosticEvent", {})
        text = COLOURS.sub("", found.get("message", "")).strip()
        if found.get("severity") == "error" and text and text not in ENDINGS:
            self.errors.append(f"{found['urn']}: {text}" if found.get("urn") else text)
        return text
