"""`make demo`: the whole road on this machine, from an empty folder to a rollback, with a line for each step."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from functions.domain import entities, names
from runbook import target as targets
from sandbox import chefs, lifecycle, state
from sandbox.errors import SandboxError
from sandbox.lag import LagSampler, percentile
from sandbox.story import Readers, Seen, StoryError, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runbook.target import Target
    from sandbox.lifecycle import Sandbox

NAME = "demo"
ENTITY = "chefs"
CHEFS = 10_000
PUBLIC_CHEFS = 8  # written through the public endpoint while it is on modern
CUTOVER_AT, ROLLBACK_AT = 0.25, 0.75  # shares of the chefs after which the endpoint moves
MISMATCH = 3  # what `runbook verify` ends with when the sides differ
OUTAGE = 10.0  # seconds, with --kill-database
ARRIVAL_PATIENCE = 180.0  # seconds

console = Console()


@dataclass
class Result:
    """What the demo found."""

    written: int
    bridged: int
    equal: int
    different: int
    lags: list[float]
    readers: Seen
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return not self.different and not self.readers.failed and self.written == self.bridged == self.equal


class Demo:
    """One run on one sandbox."""

    def __init__(self, sandbox: Sandbox, *, count: int, kill_database: bool) -> None:
        self._sandbox = sandbox
        self._outputs = sandbox.location.outputs
        self._target: Target = targets.resolve(outputs=self._outputs)
        self._entity = entities.parse(sandbox.outputs["mapping"])[ENTITY]
        self._count = count
        self._kill_database = kill_database
        self._moved: list[str] = []

    def run(self) -> Result:
        """The story.

        Raises:
            StoryError: a step failed.
        """
        self._runbook("init", says="legacy tables, bridge, routes, journal")
        self._runbook("smoke", says="the article's eight requests, update and delete")
        sampler = LagSampler(self._sandbox.mariadb.connect, self._entity)
        begun = time.monotonic()
        with Readers(self._target, f"/{ENTITY}") as seen:
            written = self._write(sampler)
            seconds = time.monotonic() - begun
            bridged = self._wait_for(written)
        return self._result(written, bridged, sampler.finish(), seen, seconds)

    def _write(self, sampler: LagSampler) -> int:
        """The chefs, and the moves of the endpoint while they are written."""
        with _progress() as progress:
            task = progress.add_task(f"{self._count:,} chefs through /dynamo/{ENTITY}", total=self._count)
            done = threading.Semaphore(0)

            def written(key: str) -> None:
                sampler.written(key)
                progress.advance(task)
                done.release()

            mover = _Background(lambda: self._move(done, progress))
            mover.start()
            keys = write_all(self._target, f"/dynamo/{ENTITY}", self._generated(), written)
            mover.finish()
        return len(keys) + PUBLIC_CHEFS

    def _generated(self) -> Iterator[dict[str, str]]:
        return chefs.generate(self._count)

    def _move(self, done: threading.Semaphore, progress: Progress) -> None:
        self._after(done, int(self._count * CUTOVER_AT))
        self._switch(progress, "cutover", "reads")
        self._switch(progress, "cutover", "writes")
        public = write_all(self._target, f"/{ENTITY}", chefs.generate(PUBLIC_CHEFS, seed=1), lambda _: None)
        progress.console.print(
            f"  [green]✓[/] POST /{ENTITY}: {len(public)} chefs through the public endpoint, now modern"
        )
        if self._kill_database:
            self._outage(progress)
        self._after(done, int(self._count * (ROLLBACK_AT - CUTOVER_AT)))
        self._switch(progress, "rollback")

    @staticmethod
    def _after(done: threading.Semaphore, count: int) -> None:
        for _ in range(count):
            done.acquire()

    def _switch(self, progress: Progress, *words: str) -> None:
        begun = time.monotonic()
        self._call(*words, "--entity", ENTITY, "--execute")
        took = time.monotonic() - begun
        progress.console.print(
            f"  [green]✓[/] runbook {' '.join(words)} --execute  [dim]{took:.1f} s, under load[/]"
        )

    def _outage(self, progress: Progress) -> None:
        database = self._sandbox.mariadb
        database.kill()
        progress.console.print(f"  [yellow]![/] kill -9 of the database, for {OUTAGE:.0f} seconds")
        time.sleep(OUTAGE)
        database.start()
        progress.console.print("  [green]✓[/] the database is back")

    def _runbook(self, command: str, says: str) -> None:
        begun = time.monotonic()
        self._call(command)
        console.print(f"  [green]✓[/] runbook {command}  [dim]{says}, {time.monotonic() - begun:.1f} s[/]")

    def _call(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "runbook"), *words, "--outputs", str(self._outputs)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
        if done.returncode not in (0, MISMATCH):
            raise StoryError(
                f"`runbook {' '.join(words)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def _wait_for(self, written: int) -> int:
        """Wait until Aurora has every written chef; returns how many it has."""
        legacy = self._entity.legacy
        sql = (
            f"SELECT COUNT(*) FROM `{legacy.database}`.`{legacy.table}` WHERE {names.KEY_COLUMN} IS NOT NULL"  # noqa: S608
        )
        deadline = time.monotonic() + ARRIVAL_PATIENCE
        with self._sandbox.mariadb.connect() as connection, connection.cursor() as cursor:
            while True:
                cursor.execute(sql)
                found = (cursor.fetchone() or (0,))[0]
                if found >= written or time.monotonic() > deadline:
                    return found
                time.sleep(0.05)

    def _result(self, written: int, bridged: int, lags: list[float], seen: Seen, seconds: float) -> Result:
        found = json.loads(self._call("verify", "--entity", ENTITY, "--json"))["entities"][0]
        console.print(
            f"  [green]✓[/] runbook verify  [dim]every record on both sides, {found['seconds']:.1f} s[/]"
        )
        return Result(
            written=written,
            bridged=bridged,
            equal=found["equal"],
            different=len(found["differences"]),
            lags=lags,
            readers=seen,
            seconds=seconds,
        )


class _Background:
    """Work in a thread whose failure is raised where it is awaited."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="mover", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001  # handed to whoever awaits it
            self._failure = failure


def _progress() -> Progress:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def table(result: Result) -> Table:
    """The figures at the end."""
    shown = Table(title="The way back is open" if result.held else "It did not hold", show_header=False)
    p50, p99 = percentile(result.lags, 0.5), percentile(result.lags, 0.99)
    rows = (
        ("chefs written to DynamoDB", f"{result.written:,} in {result.seconds:.0f} s"),
        ("bridged to Aurora", f"{result.bridged:,}"),
        ("lag of the bridge, p50 / p99", f"{p50:.2f} s / {p99:.2f} s ({len(result.lags):,} samples)"),
        ("equal on both sides", f"{result.equal:,}"),
        ("different, or on one side only", f"{result.different:,}"),
        ("public reads while it moved", f"{result.readers.total:,}, {result.readers.failed} failed"),
        ("slowest public read", f"{result.readers.slowest * 1000:.0f} ms"),
    )
    for name, value in rows:
        shown.add_row(name, value)
    return shown


def _curls(sandbox: Sandbox) -> None:
    found = sandbox.outputs
    user = f"{found['accessKeyId']}:{found['secretAccessKey']}"
    signed = f'curl -s --aws-sigv4 "aws:amz:{found["region"]}:execute-api" --user "{user}"'
    body = """-X POST -d '{"firstName": "Ana", "lastName": "Roš"}'"""
    calls = (f'"{found["apiUrl"]}/chefs?limit=3"', f'{body} "{found["apiUrl"]}/dynamo/chefs"')
    console.print("\nIt is still up. Three things to try:\n")
    for call in (*calls, f'"{found["apiUrl"]}/aurora/chefs?limit=3"'):
        console.print(f"  {signed} {call}\n", soft_wrap=True, highlight=False, markup=False)
    console.print(f"The runbook is in .venv/bin. Take it down with: .venv/bin/sandbox down --name {NAME}")


def main() -> int:
    """Run the demo; 0 only if every promise held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    parser.add_argument("--count", type=int, default=CHEFS, help="how many chefs to write")
    parser.add_argument(
        "--kill-database", action="store_true", help="kill -9 the database for ten seconds meanwhile"
    )
    chosen = parser.parse_args()
    held = False
    try:
        lifecycle.down(NAME)
        begun = time.monotonic()
        console.print("[bold]streamback[/]: from Aurora MySQL to DynamoDB, and the way back\n")
        sandbox = lifecycle.up(NAME)
        resources = len(state.read_json(sandbox.location.resources).get("records", []))
        console.print(
            f"  [green]✓[/] sandbox up  [dim]{resources} resources, {time.monotonic() - begun:.1f} s[/]"
        )
        result = Demo(sandbox, count=chosen.count, kill_database=chosen.kill_database).run()
        held = result.held
        console.print(table(result))
        if chosen.keep:
            _curls(sandbox)
    except (SandboxError, StoryError) as error:
        console.print(f"[red]The demo failed:[/] {error}", markup=True, highlight=False)
    finally:
        if not chosen.keep:
            lifecycle.down(NAME)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
