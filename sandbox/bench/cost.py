"""How many calls to AWS a thousand records take, and the dollars of a million, by AWS's list prices (`calls.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from functions.gate.gate import GateRecords, Stays, WriteGate, WriterFunction
from sandbox.bench.bridge import Throughput
from sandbox.bench.calls import MILLION, SERVICES, Calls
from sandbox.bench.copying import Copying
from sandbox.bench.rows import Row, alone, compared
from sandbox.bench.system import EMPTY_FUNCTION, System
from sandbox.bench.ways import BATCH

GROUP = "calls per 1,000 records"
DOLLARS = "$/million"
THOUSAND = 1000.0
WARM, REQUESTS = 150, 50  # through the gate: the first on each of its records reads the phase, too
FEW = 100  # records of a way that makes a call for each
UNUSED = ("s3", "secretsmanager")


@dataclass(frozen=True)
class PerThousand:
    """What one way costs.

    Attributes:
        requests: for a thousand records, by service.
        dollars: for a million.
    """

    requests: Mapping[str, float]
    dollars: float

    @classmethod
    def of(cls, calls: Calls, count: int) -> PerThousand:
        """From what so many records took."""
        requests = {service: calls.requests[service] * THOUSAND / count for service in SERVICES}
        return cls(requests, calls.dollars * MILLION / count)


def bridge_rows(throughput: Throughput) -> Iterator[Row]:
    """Of inserts of 1 KB, with their invocations."""
    ours = PerThousand.of(throughput.calls("bridge", BATCH), BATCH)
    for way, count in {"article": FEW, "tutorial": FEW, "BatchExecute": BATCH}.items():
        yield from cost_rows("bridge", way, ours, PerThousand.of(throughput.calls(way, count), count))


def copy_rows(copying: Copying) -> Iterator[Row]:
    """Of rows of 100 bytes; and that copy and verify call no service that is paid for beside these."""
    found, count = copying.calls(), len(copying.records)
    each = {name: PerThousand.of(calls, count) for name, calls in found.items()}
    yield from cost_rows("copy", "loop", each["copy"], each["loop"])
    yield from cost_rows("verify", "fetch all", each["verify"], each["fetch"])
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
    each = PerThousand.of(calls, REQUESTS)
    for service in ("dynamodb", "lambda"):
        yield alone(GROUP, f"gate, {SERVICES[service]}", "calls", [each.requests[service]])
    yield alone(GROUP, f"gate, {DOLLARS}", "USD", [each.dollars])


def cost_rows(name: str, way: str, ours: PerThousand, other: PerThousand) -> Iterator[Row]:
    """The calls of one way and of another, by service, and their dollars."""
    for service, label in SERVICES.items():
        if other.requests[service]:
            figures = [ours.requests[service]], [other.requests[service]]
            yield compared(GROUP, f"{name}, {label}, {way}", "calls", *figures)
    yield compared(GROUP, f"{name}, {DOLLARS}, {way}", "USD", [ours.dollars], [other.dollars])
