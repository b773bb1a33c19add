"""What the gate adds to a public write: to one that legacy's writer does, and to one that streamback's own does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

from sandbox.bench.rounds import interleaved, seconds
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import CHEFS, System
from sandbox.errors import SandboxError
from sandbox.load import shape_of
from sandbox.load.client import Client, Endpoint

GROUP = "gate"
OWN = Goal(at_most=1.30)
PRIVATE = f"/dynamo/{CHEFS}"  # modern's route that no gate stands in
CREATED = 201


def legacy_rows(system: System) -> Iterator[Row]:
    """A POST straight to legacy's writer, and through the gate in phase legacy, in milliseconds."""
    target = system.context.target
    ways = {"straight": target.entities["chefs"].legacy_write_function, "gate": target.gate_function}
    found = _interleaved(system, {way: partial(_routed, system, function) for way, function in ways.items()})
    _route(system, target.gate_function)  # where `copy start` has sent it
    yield compared(GROUP, "POST to legacy's writer", "ms", found["gate"], found["straight"])


def modern_rows(system: System) -> Iterator[Row]:
    """A POST to modern's writer in phase modern, which is a gate of its own on its public route only."""
    target = system.context.target
    own = system.deployed(CHEFS).write_function
    ways = {"own": own, "gate": target.gate_function}
    variants = {way: partial(_routed, system, function) for way, function in ways.items()}
    found = _interleaved(system, {**variants, "private": partial(_posted, system, PRIVATE)})
    _route(system, target.gate_function)
    yield compared(GROUP, "POST to modern's own writer", "ms", found["own"], found["private"], OWN)
    yield compared(GROUP, "POST to modern by the gate", "ms", found["gate"], found["private"])


def _interleaved(system: System, variants: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    return interleaved(variants, system.rounds)  # its first round, which does not count, starts the functions


def _routed(system: System, function: str) -> float:
    _route(system, function)
    return _posted(system, f"/{CHEFS}")


def _route(system: System, function: str) -> None:
    """Name the function behind the public writes; the sandbox's stage changes at once."""
    target = system.context.target
    path = f"/variables/{system.deployed(CHEFS).writes_variable}"
    system.context.clients.apigateway.update_stage(
        restApiId=target.api_id,
        stageName=target.stage_name,
        patchOperations=[{"op": "replace", "path": path, "value": function}],
    )


def _posted(system: System, path: str) -> float:
    """The median of some requests, in milliseconds."""
    client, body = Client(Endpoint.of(system.context.target)), shape_of(system.context.target, CHEFS).body("bench")

    def post() -> None:
        answer = client.send("POST", path, body=body)
        if answer.status != CREATED:
            raise SandboxError(f"POST {path} answered {answer}")

    times = [seconds(post) for _ in range(20 if system.quick else 60)]
    client.close()
    return 1e3 * statistics.median(times)
