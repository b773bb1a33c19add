"""How many calls to AWS a thousand records take, and the dollars of a million, by AWS's list prices (`calls.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from functions.gate.gate import GateRecords, Stays, WriteGate, WriterFunction
from sandbox.bench.bridge import BATCH, Throughput
from sandbox.bench.calls import METERED, MILLION, SERVICES, Calls
from sandbox.bench.copying import Copying
from sandbox.bench.rows import Row, alone, compared
from sandbox.bench.system import EMPTY_FUNCTION, System

GROUP = "calls per 1,000 records"
DOLLARS = "$/million"
THOUSAND = 1000.0
WARM, REQUESTS = 150, 50  # through the gate: the first on each of its records reads the phase, too
UNUSED = ("s3", "secretsmanager")


def bridge_rows(throughput: Throughput) -> Iterator[Row]:
    """Of inserts of 1 KB, with their invocations."""
    ours = throughput.calls("bridge", BATCH)
    for way in ("article", "tutorial", "BatchExecute"):
        yield from _compared("bridge", way, ours, throughput.calls(way, BATCH), BATCH)


def copy_rows(copying: Copying) -> Iterator[Row]:
    """Of rows of 100 bytes; and that copy and verify call no service that is paid for beside these."""
    found, count = copying.calls(), len(copying.records)
    yield from _compared("copy", "loop", found["copy"], found["loop"], count)
    yield from _compared("verify", "fetch all", found["verify"], found["fetch"], count)
    unused = sum(calls.requests[service] for calls in found.values() for service in UNUSED)
    yield alone(GROUP, "copy, verify: S3 and secrets", "calls", [float(unused)])


def gate_rows(system: System) -> Iterator[Row]:
    """What the gate itself calls for a thousand requests, its call of the writer included."""
    clients, target = system.context.clients, system.context.target
    gate = WriteGate(
        phases=GateRecords(clients.dynamodb, target.journal_table, "bench"),
        legacy=WriterFunction(clients.functions, EMPTY_FUNCTION),
        modern=WriterFunction(clients.functions, EMPTY_FUNCTION),
        stays=Stays.of(29, 28),
        limit=1.0,
    )
    for _ in range(WARM):
        gate({})
    with system.counted() as calls:
        for _ in range(REQUESTS):
            gate({})
    for service in ("dynamodb", "lambda"):
        yield alone(GROUP, f"gate, {SERVICES[service]}", "calls", [calls.requests[service] * THOUSAND / REQUESTS])
    yield alone(GROUP, f"gate, {DOLLARS}", "USD", [calls.dollars * MILLION / REQUESTS])


def _compared(name: str, way: str, ours: Calls, other: Calls, count: int) -> Iterator[Row]:
    for service in (METERED, "dynamodb", "lambda"):
        if other.requests[service]:
            measured, against = ([calls.requests[service] * THOUSAND / count] for calls in (ours, other))
            yield compared(GROUP, f"{name}, {SERVICES[service]}, {way}", "calls", measured, against)
    measured, against = ([calls.dollars * MILLION / count] for calls in (ours, other))
    yield compared(GROUP, f"{name}, {DOLLARS}, {way}", "USD", measured, against)
