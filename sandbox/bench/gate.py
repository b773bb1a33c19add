"""What the gate adds to a public write: to one that legacy's writer does, and to one that streamback's own does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sandbox.bench.rounds import interleaved, seconds
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import CHEFS, EMPTY_FUNCTION, System
from sandbox.errors import SandboxError
from sandbox.load import shape_of
from sandbox.load.client import Client, Endpoint

GROUP = "gate"
OWN, FOREIGN, OF_CALLS = Goal(at_most=1.30), Goal(at_most=2.0), Goal(at_most=1.25)
COUNTED = {"entity": {"S": "bench"}, "record": {"S": "count"}}  # a record of the journal that nothing obeys
PRIVATE = f"/dynamo/{CHEFS}"  # modern's route that no gate stands in
CREATED = 201


def legacy_rows(system: System) -> Iterator[Row]:
    """A POST straight to legacy's writer, and through the gate in phase legacy, in milliseconds."""
    target = system.context.target
    ways = {"straight": target.entities["chefs"].legacy_write_function, "gate": target.gate_function}
    variants = {way: partial(_routed, system, function) for way, function in ways.items()}
    found = _interleaved(system, {**variants, "calls": partial(_with_calls, system, variants["straight"], called=True)})
    _route(system, target.gate_function)  # where `copy start` has sent it
    yield compared(GROUP, "POST to legacy's writer", "ms", found["gate"], found["straight"], FOREIGN)
    yield compared(GROUP, "to legacy, calls alone", "ms", found["gate"], found["calls"], OF_CALLS)


def modern_rows(system: System) -> Iterator[Row]:
    """A POST to modern's writer in phase modern, which is a gate of its own on its public route only."""
    target = system.context.target
    own = system.deployed(CHEFS).write_function
    ways = {"own": own, "gate": target.gate_function}
    variants = {way: partial(_routed, system, function) for way, function in ways.items()}
    private = partial(_posted, system, PRIVATE)
    found = _interleaved(system, {**variants, "private": private, "calls": partial(_with_calls, system, private)})
    _route(system, target.gate_function)
    yield compared(GROUP, "POST to modern's own writer", "ms", found["own"], found["private"], OWN)
    yield compared(GROUP, "to modern's own, calls alone", "ms", found["own"], found["calls"], OF_CALLS)
    yield compared(GROUP, "POST to modern by the gate", "ms", found["gate"], found["private"])


def _interleaved(system: System, variants: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    return interleaved(variants, system.rounds)  # its first round, which does not count, starts the functions


def _with_calls(system: System, write: Callable[[], float], *, called: bool = False) -> float:
    """A write, and the calls that a gate cannot do without: two updates, and one of a function if it is `called`."""

    def calls() -> None:
        for expression in ("SET a = :a", "REMOVE a"):
            values: dict[str, Any] = {} if "REMOVE" in expression else {"ExpressionAttributeValues": {":a": {"N": "1"}}}
            system.context.clients.dynamodb_once.update_item(
                TableName=system.context.target.journal_table, Key=COUNTED, UpdateExpression=expression, **values
            )
        if called:
            system.call(EMPTY_FUNCTION)

    return write() + 1e3 * statistics.median(seconds(calls) for _ in range(20 if system.quick else 60))


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
