"""How much memory copy and verify need, by the number of rows: it must not grow with them.

Each works in a process of its own, which prints its peak.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from functions.domain import names
from sandbox import lifecycle
from sandbox.bench import copying
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import System
from sandbox.errors import SandboxError
from sandbox.state import PROJECT

GROUP = "memory"
FEW, MANY = 10_000, 100_000  # rows; `--rows` sets how many are many
GOAL = Goal(at_most=1.1)
WORK = ("copy", "verify")


def rows(system: System, many: int) -> Iterator[Row]:
    """The peak of each with many rows, against a tenth or fewer of them."""
    few, most = (_peaks(system, count) for count in (FEW, many))
    for work in WORK:
        yield compared(GROUP, f"{work}, {many:,} rows", "MB", [most[work]], [few[work]], GOAL)


def _peaks(system: System, count: int) -> dict[str, float]:
    copying.fill(system, count)
    copying.begin(system, backfilled=False)
    table = system.table(f"bench-memory-{count}")
    try:
        return {work: _peak(system, work, table, count) for work in WORK}
    finally:
        system.context.clients.dynamodb.delete_table(TableName=table)


def _peak(system: System, work: str, table: str, count: int) -> float:
    """Megabytes."""
    command = [sys.executable, "-m", "sandbox.bench.memory", system.sandbox.name, work, table, str(count)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    if done.returncode:
        raise SandboxError(f"{work} of {count} rows failed: {done.stderr}")
    return float(done.stdout)


def _copy(system: System, table: str, count: int) -> None:
    """All lanes, with the backfill, until every row is copied."""
    copied = 0
    with ThreadPoolExecutor(names.LANES) as pool:
        while copied < count:
            copied += sum(pool.map(partial(copying.drain, system, table), range(names.LANES)))


def main() -> None:
    """Do one work, and print the process's peak in megabytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sandbox")
    parser.add_argument("work", choices=WORK)
    parser.add_argument("table")
    parser.add_argument("rows", type=int)
    chosen = parser.parse_args()
    system = System(lifecycle.find(chosen.sandbox), quick=False)
    (_copy if chosen.work == "copy" else copying.verify)(system, chosen.table, chosen.rows)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    sys.stdout.write(f"{kilobytes / 1024}\n")


if __name__ == "__main__":
    main()
