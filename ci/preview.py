"""Previews this program on the sandbox against another version of it: `python -m ci.preview FOLDER`.

Brings the program of FOLDER up in a sandbox of its own, prints the events of a preview of this one, and takes it down.
It needs neither AWS nor a secret, so it may run for a pull request of a stranger.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulumi import RunError

from ci.events import POLICY
from sandbox import lifecycle, state
from sandbox.engine import program, values
from sandbox.engine.aws import Aws
from sandbox.engine.deployment import Deployment, Event
from sandbox.engine.errors import EngineError
from sandbox.engine.plan import Change, Goal, differences
from sandbox.engine.state import State
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox

NAME = "pull-request"


class Previewed(Deployment):
    """A preview that also remembers which properties of each resource differ, and its policy."""

    def __init__(self, before: State, report: Callable[[Event], None]) -> None:
        super().__init__(before, Aws(""), report, preview=True)
        self._before = before
        self.about: dict[str, dict[str, Any]] = {}

    def register(self, goal: Goal) -> tuple[str, dict[str, Any]]:
        record = self._before.find(goal.urn)
        ignored = {path.partition(".")[0] for path in goal.ignore}
        if record:
            changed = differences(record.inputs, {**record.inputs, **goal.inputs}) - ignored
            self.about[goal.urn] = {"diffs": sorted(changed)}
        if POLICY in goal.inputs:
            old = {POLICY: record.inputs.get(POLICY)} if record else {}
            new = values.for_state({POLICY: goal.inputs[POLICY]})
            self.about.setdefault(goal.urn, {}).update(old={"inputs": old}, new={"inputs": new})
        return super().register(goal)


def main() -> int:
    """1 if either program cannot run; the reason is then an event, too."""
    try:
        sandbox = lifecycle.up(NAME, program=Path(sys.argv[1]).resolve(), current=False)
        events = _preview(sandbox)
    except (SandboxError, EngineError, RunError) as error:
        _write([{"diagnosticEvent": {"severity": "error", "message": str(error)}}])
        return 1
    finally:
        lifecycle.down(NAME)
    _write(events)
    return 0


def _preview(sandbox: Sandbox) -> list[dict[str, Any]]:
    done: list[Event] = []
    deployment = Previewed(State.load(sandbox.location.resources), done.append)
    answers, sys.stdout = sys.stdout, sys.stderr  # what the program prints must not mix with the events
    try:
        program.run(state.PROJECT, deployment, state.read_json(sandbox.location.settings)["config"])
    finally:
        sys.stdout = answers
    return [{"resourcePreEvent": {"metadata": _metadata(each, deployment), "planning": True}} for each in done]


def _metadata(event: Event, deployment: Previewed) -> dict[str, Any]:
    about = {} if event.change is Change.SAME else deployment.about.get(event.urn, {})
    return {"op": event.change.value, "urn": event.urn, "type": event.type, **about}


def _write(events: list[dict[str, Any]]) -> None:
    for each in events:
        sys.stdout.write(json.dumps(each, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
