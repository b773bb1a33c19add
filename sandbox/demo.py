"""`make demo`: the complete migration under load: cutover, rollback, cutover again, with a line for each step."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from functions.domain import entities
from runbook.aws.outputs import Target
from runbook.stack import resolve
from sandbox import chefs, lifecycle
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox
from sandbox.load import History, Load, Waits

NAME = "demo"
ENTITY = "chefs"
CHEFS = 10_000
WRITES, READS = 20, 50  # a second, through the public API; half of what two cores can do beside copy
RATE = 1000  # rows a second that copy may take, so that the clients keep their share of this machine
AT_ONCE = 1000  # rows in one INSERT
PAUSE = 3.0  # seconds of ordinary traffic between two switches
OUTAGE = 10.0  # seconds, with --kill-database
LONGEST = 1.0  # seconds that a switch should let a client wait
SWITCHES = ("cutover writes", "rollback", "cutover writes again")
CAUSES = ("Took ", "Writes were held ")  # begin the lines in which a command says what its time was spent on

console = Console()


class DemoError(Exception):
    """A step of the demo failed."""


@dataclass
class Result:
    rows: int
    rate: float
    equal: int
    different: int
    history: History
    windows: list[tuple[str, Waits]] = field(default_factory=list["tuple[str, Waits]"])

    @property
    def failed(self) -> int:
        """Requests with an answer that the API must not give, over the whole demo."""
        return len(self.history.failures)

    @property
    def longest(self) -> float:
        """The longest that anybody waited in a switch, in seconds."""
        return max(waits.longest for name, waits in self.windows if name in SWITCHES)

    @property
    def held(self) -> bool:
        """Whether nothing was lost and no request failed."""
        return not self.different and not self.failed

    @property
    def swift(self) -> bool:
        """Whether no client waited for longer than a switch should take; that depends on the machine, too."""
        return self.longest < LONGEST


class Demo:
    entity = ENTITY

    def __init__(self, sandbox: Sandbox, *, count: int, kill_database: bool = False) -> None:
        self._sandbox = sandbox
        self._outputs = sandbox.location.outputs
        self._target: Target = resolve(outputs=self._outputs)
        self._legacy = self._target.mapping[self.entity].legacy
        self._count = count
        self._kill_database = kill_database

    def run(self) -> Result:
        """The story.

        Raises:
            DemoError: a step failed.
        """
        self._fill()
        self._runbook("init", says="beside the rows: invisible columns, the bridge's user, routes, journal")
        self._runbook("smoke", says="the article's eight requests, update and delete")
        self._runbook("preflight", says="every check is green")
        console.print(f"\n  {WRITES} writes and {READS} reads a second on the public API from here on\n")
        with Load(self._target, ENTITY, writes_per_s=WRITES, reads_per_s=READS) as load:
            copied = self._copy(load)
            self._over_and_back(load)
            found = self._verify("both sides again, record by record", grace=30)
            self._step(load, "complete", "complete", "--execute", says="no trace is left in Aurora")
            time.sleep(PAUSE)
            history = load.stop()
        return Result(
            rows=copied["rows_done"],
            rate=copied["rate"],
            equal=found["equal"],
            different=len(found["differences"]),
            history=history,
            windows=[(name, waits) for name, waits in history.windows() if name not in {"start", "between"}],
        )

    def _fill(self) -> None:
        begun = time.monotonic()
        self._legacy_tables()
        fields = entities.parse(self._sandbox.outputs["mapping"])[ENTITY].fields
        names = ", ".join(field.column for field in fields.values())
        sql = f"INSERT INTO `{self._legacy.table}` ({names}) VALUES (%s, %s)"  # noqa: S608  # checked names
        rows = [
            tuple(each.get(name, field.default) for name, field in fields.items())
            for each in chefs.generate(self._count)
        ]
        with self._sandbox.database.connect(database=self._legacy.database) as client, client.cursor() as cursor:
            for start in range(0, len(rows), AT_ONCE):
                cursor.executemany(sql, rows[start : start + AT_ONCE])
            client.commit()
        done(f"{self._count:,} rows in Aurora, written by an old application", time.monotonic() - begun)

    def _legacy_tables(self) -> None:
        functions, name = self._sandbox.client("lambda"), self._target.legacy_init_function
        event = json.dumps({"httpMethod": "GET", "path": "/aurora"})
        answer = functions.invoke(FunctionName=name, Payload=event)
        if "FunctionError" in answer:
            raise DemoError(f"{name} failed: {answer['Payload'].read()}")

    def _copy(self, load: Load) -> dict[str, Any]:
        """Copy under load; returns copy's own figures."""
        begun = time.monotonic()
        load.mark("copy")
        self._call("copy", "start", "--entity", self.entity, "--rate", f"{RATE}")
        self._call("copy", "watch", "--entity", self.entity)
        seconds = time.monotonic() - begun
        load.mark("between")
        status = json.loads(self._call("copy", "status", "--entity", self.entity, "--json"))["entities"][0]
        done(f"runbook copy start --rate {RATE}, watch", seconds, f"{status['rows_done']:,} keys done, under load")
        self._verify("every record on both sides, while both change")
        return {**status, "rate": status["rows_done"] / seconds}

    def _over_and_back(self, load: Load) -> None:
        reads = ("cutover", "reads", "--percent")
        self._step(load, "reads at 10%", *reads, "10", "--watch", "5", "--execute", says="API Gateway's canary")
        self._step(load, "reads at 100%", *reads, "100", "--watch", "0", "--execute", says="all reads")
        ready = ("--warm", f"{WRITES}", "--execute")  # as many as come in the second that they may be held
        self._step(load, SWITCHES[0], "cutover", "writes", *ready, says="copies the last rows, switches")
        if self._kill_database:
            self._outage()
        time.sleep(PAUSE)
        self._step(load, SWITCHES[1], "rollback", *ready, says="reads and writes back to legacy")
        time.sleep(PAUSE)
        self._call("copy", "watch", "--entity", self.entity)
        self._verify("before the second time", "--changed-since", "last")
        self._step(load, "reads again", *reads, "100", "--watch", "0", "--execute", says="all reads")
        self._step(load, SWITCHES[2], "cutover", "writes", *ready, says="no new backfill was needed")
        time.sleep(PAUSE)

    def _step(self, load: Load, name: str, *words: str, says: str) -> None:
        begun = time.monotonic()
        with load.window(name):
            printed = self._call(*words, "--entity", self.entity)
        done(f"runbook {' '.join(words)}", time.monotonic() - begun, f"{says}, under load")
        for line in printed.splitlines():
            if line.startswith(CAUSES):
                console.print(f"    [dim]{escape(line)}[/]", highlight=False)

    def _verify(self, says: str, *words: str, grace: float = 10) -> dict[str, Any]:
        answer = self._call("verify", "--entity", self.entity, "--settle", f"{grace:g}", *words, "--json")
        found = json.loads(answer)["entities"][0]
        done(f"runbook {' '.join(('verify', *words))}", found["seconds"], f"{found['equal']:,} equal; {says}")
        return found

    def _outage(self) -> None:
        database = self._sandbox.database
        database.kill()
        console.print(f"  [yellow]![/] kill -9 of the legacy database, for {OUTAGE:.0f} seconds")
        time.sleep(OUTAGE)
        database.start()
        console.print("  [green]✓[/] the database is back")

    def _runbook(self, command: str, says: str) -> None:
        begun = time.monotonic()
        self._call(command)
        done(f"runbook {command}", time.monotonic() - begun, says)

    def _call(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "runbook"), *words, "--outputs", str(self._outputs)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
        if ended.returncode:
            raise DemoError(f"`runbook {' '.join(words)}` ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout


def done(what: str, seconds: float, says: str = "") -> None:
    """Print a step that has ended."""
    console.print(f"  [green]✓[/] {what}  [dim]{says}{', ' if says else ''}{seconds:.1f} s[/]", highlight=False)


def final_table(result: Result) -> Table:
    title = "Cutover, rollback, cutover again: nothing lost" if result.held else "It did not hold"
    shown = Table(title=title)
    for name in ("meanwhile", "reads", "longest", "writes", "longest", "asked to retry", "failed"):
        shown.add_column(name, justify="left" if name == "meanwhile" else "right")
    for name, waits in (*result.windows, ("the whole demo", result.history.waits())):
        shown.add_row(
            name,
            f"{waits.reads:,}",
            _milliseconds(waits.read),
            f"{waits.writes:,}",
            _milliseconds(waits.write),
            f"{waits.retried}",
            f"{waits.failed}",
        )
    shown.caption = (
        f"{result.rows:,} keys copied under load, {result.rate:,.0f} a second.\n"
        f"{result.equal:,} records equal on both sides, {result.different} different.\n"
        f"The longest wait in a switch was {result.longest:.1f} s, expected under {LONGEST:.0f} s"
        f"{'' if result.swift else '; the lines above say what for'}."
    )
    return shown


def _milliseconds(waits: Sequence[float]) -> str:
    return f"{waits[-1] * 1000:.0f} ms" if waits else "-"


def _curls(sandbox: Sandbox) -> None:
    found = sandbox.outputs
    user = f"{found['accessKeyId']}:{found['secretAccessKey']}"
    signed = f'curl -s --aws-sigv4 "aws:amz:{found["region"]}:execute-api" --user "{user}"'
    body = """-X POST -d '{"firstName": "Ana", "lastName": "Roš"}'"""
    calls = (f'"{found["apiUrl"]}/chefs?limit=3"', f'{body} "{found["apiUrl"]}/chefs"')
    console.print("\nThe sandbox is still running. Try these calls:\n")
    for call in (*calls, f'"{found["apiUrl"]}/aurora/chefs?limit=3"'):
        console.print(f"  {signed} {call}\n", soft_wrap=True, highlight=False, markup=False)
    console.print(f"The runbook is in .venv/bin. Take it down with: .venv/bin/sandbox down --name {NAME}")


def main() -> int:
    """Run the demo; 0 only if every promise held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    parser.add_argument("--count", type=int, default=CHEFS, help="set how many rows Aurora has at the start")
    parser.add_argument("--kill-database", action="store_true", help="kill the database for ten seconds during the run")
    chosen = parser.parse_args()
    held = False
    try:
        lifecycle.down(NAME)
        begun = time.monotonic()
        console.print("[bold]streamback[/]: from Aurora MySQL to DynamoDB, and back\n")
        sandbox = lifecycle.up(NAME)
        seconds, (status,) = time.monotonic() - begun, lifecycle.statuses(NAME)
        done("sandbox up", seconds, f"{status.resources} resources")
        result = Demo(sandbox, count=chosen.count, kill_database=chosen.kill_database).run()
        held = result.held
        console.print()
        console.print(final_table(result))
        for failure in result.history.failures[:5]:
            console.print(f"  {failure}", markup=False)
        if chosen.keep:
            _curls(sandbox)
    except (SandboxError, DemoError) as error:
        console.print(f"[red]The demo failed:[/] {error}", markup=True, highlight=False)
    finally:
        if not chosen.keep:
            lifecycle.down(NAME)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
