"""How long a change takes from DynamoDB to Aurora, against how long it takes to reach a handler that does nothing.

Both have a table of their own and a mapping with the same batch and the same window. The bridge's change has arrived
when a direct connection sees its row, the other's when its handler is called.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.aws.retry import poll
from functions.domain import names
from sandbox.bench.rounds import interleaved, percentile
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import DISHES, System
from sandbox.errors import SandboxError

GROUP = "lag"
TABLE, FUNCTION = "bench-lag", "bench-lag"
RATES = (1, 50, 200, 500)  # writes a second
SECONDS = 4  # of writes at each
QUICK = (50,)
LOOK_SECONDS = 0.002  # between two looks at the table
ROUNDS = 2
OVERLAP = 2000  # keys that are looked at again: a lower one may be committed later
ARRIVAL_SECONDS = 30.0  # after the last write, for the last change
SMALL = {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}  # no window, which AWS allows up to a batch of ten
SINGLE = Goal(at_most=3)


@dataclass
class Lag:
    """The two tables with their mappings."""

    system: System
    file: Path = field(init=False)
    mapping: str = field(init=False)  # of the handler that does nothing
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.file = self.system.sandbox.folder / "bench-arrived.txt"
        self.file.touch()
        table = self.system.table(TABLE, stream=True)
        function = self.system.function(FUNCTION, BENCH_FILE=str(self.file))
        clients = self.system.context.clients
        stream = clients.dynamodb.describe_table(TableName=table)["Table"].get("LatestStreamArn", "")
        made = clients.functions.create_event_source_mapping(
            EventSourceArn=stream, FunctionName=function, StartingPosition="TRIM_HORIZON", **self._deployed()
        )
        self.mapping = made["UUID"]

    def rows(self) -> Iterator[Row]:
        """A single change without a window, then p50, p99 and the longest at each rate with the deployed window."""
        deployed = self._deployed()
        self._configure(SMALL)
        shares = {"p50": 0.5}
        yield from self._compared("single", 2, 4 if self.system.quick else 8, shares, SINGLE)
        self._configure(deployed)
        for rate in QUICK if self.system.quick else RATES:
            yield from self._compared(f"{rate}/s", rate, rate * SECONDS, {"p50": 0.5, "p99": 0.99, "max": 1.0})

    def _compared(
        self, name: str, rate: float, count: int, shares: Mapping[str, float], goal: Goal | None = None
    ) -> Iterator[Row]:
        lags: dict[str, list[list[float]]] = {"bridge": [], "empty": []}
        ways = {"bridge": self.system.deployed(DISHES).modern_table, "empty": TABLE}

        def run(way: str) -> float:
            lags[way].append(self._lags(way, ways[way], rate, count))
            return 0.0

        interleaved({way: lambda way=way: run(way) for way in ways}, ROUNDS)
        for share, value in shares.items():
            ours, other = ([1e3 * percentile(some, value) for some in lags[way][1:]] for way in ("bridge", "empty"))
            yield compared(GROUP, f"{name}, {share}, empty handler", "ms", ours, other, goal)

    def _lags(self, way: str, table: str, rate: float, count: int) -> list[float]:
        """Seconds of each change of one round."""
        prefix = uuid.uuid4().hex[:8]
        watch = _Watch(self.system) if way == "bridge" else None
        written = self._write(table, prefix, rate, count)
        arrived = watch.arrived if watch else self._called
        missing = poll(lambda: written.keys() <= arrived().keys(), timeout=ARRIVAL_SECONDS, first=0.01, longest=0.05)
        if watch:
            watch.end()
        if not missing:
            raise SandboxError(f"Not every change of {table} arrived in {ARRIVAL_SECONDS:.0f} s.")
        found = arrived()
        return [found[key] - moment for key, moment in written.items()]

    def _write(self, table: str, prefix: str, rate: float, count: int) -> dict[str, float]:
        """Write items at a rate, several in one call where it is high; returns the moment after each call began."""
        at_once = max(1, round(rate / 50))
        written: dict[str, float] = {}
        begun = time.monotonic()
        for number in range(0, count, at_once):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            keys = [f"{prefix}-{next(self._keys)}" for _ in range(min(at_once, count - number))]
            written |= dict.fromkeys(keys, time.time())
            self.system.put(table, [{"DishId": {"S": key}, "label": {"S": key}} for key in keys])
        return written

    def _called(self) -> dict[str, float]:
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return {key: float(moment) for moment, key in (line.split() for line in lines)}

    def _deployed(self) -> dict[str, Any]:
        """The bridge's mapping, as far as it says when a batch is delivered."""
        identifier = self.system.deployed(DISHES).bridge_mapping_id
        found: Any = self.system.context.clients.functions.get_event_source_mapping(UUID=identifier)
        wanted = ("BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor")
        return {name: found[name] for name in wanted}

    def _configure(self, values: Mapping[str, Any]) -> None:
        for identifier in (self.system.deployed(DISHES).bridge_mapping_id, self.mapping):
            self.system.context.clients.functions.update_event_source_mapping(UUID=identifier, **values)


class _Watch:
    """Looks at the legacy table all the time, for the moment in which each row appears."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._moments: dict[str, float] = {}
        self._ending = threading.Event()
        self._looking = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        self._looking.wait()

    def arrived(self) -> dict[str, float]:
        return dict(self._moments)

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        legacy, last = self._system.entity(DISHES).legacy, 0
        sql = f"SELECT `{legacy.key}`, {names.KEY_COLUMN} FROM `{legacy.table}` WHERE `{legacy.key}` > %s"  # noqa: S608
        with self._system.connected(DISHES) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COALESCE(MAX(`{legacy.key}`), 0) FROM `{legacy.table}`")  # noqa: S608
            last = int((cursor.fetchone() or (0,))[0])
            self._looking.set()
            while not self._ending.wait(LOOK_SECONDS):
                cursor.execute(sql, [last - OVERLAP])
                now = time.time()
                for number, key in cursor.fetchall():
                    last = max(last, int(number))
                    self._moments.setdefault(key.decode() if isinstance(key, bytes) else str(key), now)
