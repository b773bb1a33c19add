"""How long a switch of writes takes, and how long its clients wait, with a load and with rows waiting to be copied."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from functions.domain import names
from sandbox.bench import gate
from sandbox.bench.rows import Goal, Row, alone
from sandbox.bench.system import CHEFS, TIMEOUT, CommandFailedError, System
from sandbox.errors import SandboxError
from sandbox.fill import fill
from sandbox.load import Load

GROUP = "switch"
WRITES, QUEUED = (50, 200), (0, 1000, 10_000)  # a second; rows that wait when the command starts
ROWS = 500  # in the legacy table at first
UNMET = 4  # the exit code of a command whose precondition is unmet
WARM = {50: 20, 200: 50}  # instances that are made ready before a switch, by writes a second
PAUSE = 1.0  # seconds of load before a switch
CALM = 4.0  # seconds of load without a switch, whose longest wait is what the machine itself makes clients wait
LONGEST_WAIT, CUTOVER, COMPLETE = Goal(at_most=1), Goal(at_most=10), Goal(at_most=5)  # seconds


def rows(system: System) -> Iterator[Row]:
    """Copy starts, writes go to modern and back for each load, the gate is measured on either side, copy ends."""
    fill(system.sandbox, ROWS)
    system.runbook("copy", "start", "--entity", CHEFS)
    system.runbook("copy", "watch", "--entity", CHEFS)
    yield from gate.legacy_rows(system)
    loads = [(50, 0)] if system.quick else [(writes, queued) for writes in WRITES for queued in QUEUED]
    for writes, queued in loads:
        yield from _under_load(system, writes, queued)
    _catch_up(system)
    ready = ("--entity", CHEFS, "--execute")
    system.runbook("cutover", "reads", "--percent", "100", "--watch", "0", *ready)
    system.runbook("cutover", "writes", *ready)
    yield from gate.modern_rows(system)
    begun = time.monotonic()
    system.runbook("complete", *ready)
    yield alone(GROUP, "complete", "s", [time.monotonic() - begun], COMPLETE)


def _under_load(system: System, writes: int, queued: int) -> Iterator[Row]:
    """There and back; each row has the seconds of the command, or the longest that a client waited."""
    name = f"{writes}/s, {queued:,}"
    with Load(system.context.target, CHEFS, writes_per_s=writes, reads_per_s=0, seed=writes + queued) as load:
        time.sleep(PAUSE)
        _catch_up(system)
        if not queued:
            with load.window("calm"):
                time.sleep(CALM)
        ready = ("--entity", CHEFS, "--warm", f"{WARM[writes]}", "--execute")
        there = _switch(system, load, "there", queued, ("cutover", "writes", "--reads-stay", *ready))
        time.sleep(PAUSE)
        back = _switch(system, load, "back", 0, ("rollback", *ready))
        time.sleep(PAUSE)
        history = load.stop()
    if not queued:
        yield alone(GROUP, f"longest wait {writes}/s, no switch", "s", [history.window("calm").longest])
    yield alone(GROUP, f"cutover {name} queued", "s", [there], CUTOVER)
    yield alone(GROUP, f"longest wait {name}", "s", [history.window("there").longest], LONGEST_WAIT)
    yield alone(GROUP, f"rollback {name}", "s", [back], CUTOVER)
    yield alone(GROUP, f"longest wait back {name}", "s", [history.window("back").longest], LONGEST_WAIT)


def _switch(system: System, load: Load, window: str, queued: int, words: Sequence[str]) -> float:
    """Seconds until the command has succeeded; the rows that are to wait are changed just before.

    A check refuses to switch while more than 1,000 rows wait, so it may take more than one try.
    """
    if queued:
        _enqueue(system, queued)
    begun = time.monotonic()
    with load.window(window):
        while not _succeeds(system, words):
            if time.monotonic() - begun > TIMEOUT:
                raise SandboxError(f"`runbook {' '.join(words)}` was refused for {TIMEOUT:.0f} s.")
    return time.monotonic() - begun


def _succeeds(system: System, words: Sequence[str]) -> bool:
    """Whether the command did its work; False when a check refused."""
    try:
        system.runbook(*words)
    except CommandFailedError as error:
        if error.code != UNMET:
            raise
        return False
    return True


def _enqueue(system: System, count: int) -> None:
    """Have legacy change so many rows at once: its triggers queue them."""
    legacy = system.entity(CHEFS).legacy
    with system.connected(CHEFS) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM `{legacy.table}`")  # noqa: S608  # a checked name
        missing = count - int((cursor.fetchone() or (0,))[0])
        sql = f"INSERT INTO `{legacy.table}` (cheffirst, cheflast) VALUES (%s, %s)"  # noqa: S608  # likewise
        cursor.executemany(sql, [["queued", f"{number}"] for number in range(max(0, missing))])
        cursor.execute(f"UPDATE `{legacy.table}` SET cheflast = UUID() WHERE {names.KEY_COLUMN} IS NULL LIMIT {count}")  # noqa: S608


def _catch_up(system: System) -> None:
    system.runbook("copy", "watch", "--entity", CHEFS)
    system.runbook("verify", "--entity", CHEFS, "--settle", "30")
