"""`make bench`: what capture, fence and gate cost, and how fast copy, bridge and verify are, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from functions.aws.retry import poll
from functions.domain import names
from runbook.aws.clients import Clients
from runbook.stack import resolve
from sandbox import lifecycle
from sandbox.emulator.behaviour import data_api_traits
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox
from sandbox.load import shape_of
from sandbox.load.client import Client, Endpoint

if TYPE_CHECKING:
    from pymysql import Connection

NAME = "bench"
ENTITY = "chefs"
ROUNDS = 5  # in which the variants take turns, so that what else the machine does hits all alike
REQUESTS = 60  # through the API, per variant and round
TIMEOUT = 300.0  # seconds for copy and bridge
DYNAMO_BATCH = 25

console = Console()


@dataclass(frozen=True)
class Figure:
    what: str
    value: str
    note: str = ""


class Bench:
    def __init__(self, sandbox: Sandbox, *, writes: int, rows: int) -> None:
        self._sandbox = sandbox
        self._target = resolve(outputs=sandbox.location.outputs)
        self._clients = Clients(self._target)
        self._entity = self._target.mapping[ENTITY]
        self._deployed = self._target.entity(ENTITY)
        self._shape = shape_of(self._target, ENTITY)
        self._writes = writes
        self._rows = rows

    def run(self) -> Iterator[Figure]:
        """Every figure, in an order in which none disturbs the next."""
        self._runbook("init", "--create-tables")
        with contextlib.closing(self._sandbox.database.connect()) as connection:
            yield from self._legacy_writes(connection)
            self._fill(connection)
        yield self._copy()
        yield self._verify()
        yield from self._gate()
        yield self._bridge()

    def _legacy_writes(self, connection: Connection) -> Iterator[Figure]:
        """An INSERT and an UPDATE, each its own transaction, with and without the triggers."""
        triggers = self._captured(connection)
        variants = {
            "without triggers": (),
            "with capture": ("capture",),
            "with the fence": ("fence",),
            "with both": ("fence", "capture"),
        }
        ways = {"direct connection": self._direct(connection), "Data API": self._data_api()}
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for variant, roles in variants.items():
                self._only(connection, triggers, roles)
                for way, write in ways.items():
                    found.setdefault((way, variant), []).append(statistics.median(self._timed(write)))
        for (way, variant), times in found.items():
            yield self._write_figure(way, variant, times, found[way, "without triggers"])
        self._only(connection, triggers, ("fence", "capture"))

    @staticmethod
    def _write_figure(way: str, variant: str, rounds: Sequence[float], plain: Sequence[float]) -> Figure:
        """By the best round of each: whatever else the machine did made the others slower."""
        best = min(rounds)
        more = best - min(plain)
        note = f"{more * 1e6:+.0f} µs" if more else f"{1 / best:,.0f} a second"
        return Figure(f"legacy write, {way}, {variant}", f"{best * 1e6:,.0f} µs", note)

    def _captured(self, connection: Connection) -> dict[str, str]:
        """Install the triggers; their CREATE statements by name."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT token FROM `{self._entity.legacy.database}`.{names.TOKENS_TABLE} "  # noqa: S608  # names of ours
                "WHERE entity = %s",
                [ENTITY],
            )
            (token,) = cursor.fetchone() or (0,)
        answer = self._clients.functions.invoke(
            FunctionName=self._target.bridge_install_function,
            Payload=json.dumps({"action": "capture", "entity": ENTITY, "token": token}).encode(),
        )
        if answer.get("FunctionError"):
            raise SandboxError(f"The triggers could not be installed: {answer['Payload'].read().decode()}")
        with connection.cursor() as cursor:
            cursor.execute(f"USE `{self._entity.legacy.database}`")
            cursor.execute("SHOW TRIGGERS")
            found = [row[0] for row in cursor.fetchall()]
            return {name: _definition(cursor, name) for name in found}

    @staticmethod
    def _only(connection: Connection, triggers: dict[str, str], roles: Sequence[str]) -> None:
        """Have the triggers of these roles, and empty what capture collected."""
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {names.CHANGES_TABLE}")  # noqa: S608  # our own name
            for name, create in triggers.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                if any(name.startswith(f"{names.RESERVED_PREFIX}{role}_") for role in roles):
                    cursor.execute(create)

    def _direct(self, connection: Connection) -> Callable[[str], None]:
        def write(sql: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql)

        return write

    def _data_api(self) -> Callable[[str], None]:
        client, target, database = self._clients.rds_data, self._target, self._entity.legacy.database

        def write(sql: str) -> None:
            client.execute_statement(
                resourceArn=target.cluster_arn, secretArn=target.master_secret_arn, database=database, sql=sql
            )

        return write

    def _timed(self, write: Callable[[str], None]) -> list[float]:
        """Seconds of each write; what was written is removed again."""
        legacy, column = self._entity.legacy, self._entity.fields[self._shape.fields[0]].column
        times: list[float] = []
        for number in range(self._writes // ROUNDS // 2):
            for sql in (
                f"INSERT INTO `{legacy.table}` (`{column}`) VALUES ('bench')",  # noqa: S608  # checked names
                f"UPDATE `{legacy.table}` SET `{column}` = 'bench {number}' ORDER BY `{legacy.key}` DESC LIMIT 1",  # noqa: S608
            ):
                begun = time.perf_counter()
                write(sql)
                times.append(time.perf_counter() - begun)
        write(f"DELETE FROM `{legacy.table}`")  # noqa: S608  # checked names
        return times

    def _fill(self, connection: Connection) -> None:
        legacy, fields = self._entity.legacy, self._entity.fields
        columns = ", ".join(f"`{fields[name].column}`" for name in self._shape.fields)
        marks = ", ".join(["%s"] * len(self._shape.fields))
        bodies = (self._shape.body(f"row {number}") for number in range(self._rows))
        with connection.cursor() as cursor:
            sql = f"INSERT INTO `{legacy.table}` ({columns}) VALUES ({marks})"  # noqa: S608  # checked names
            cursor.executemany(sql, [[body[name] for name in self._shape.fields] for body in bodies])
            cursor.execute(f"DELETE FROM {names.CHANGES_TABLE}")  # noqa: S608  # our own name

    def _copy(self) -> Figure:
        begun = time.monotonic()
        self._runbook("copy", "start", "--entity", ENTITY)
        self._wait(lambda: self._items() >= self._rows)
        took = time.monotonic() - begun
        return Figure("copy", f"{self._rows / took:,.0f} rows/s", f"{self._rows:,} rows in {took:.1f} s")

    def _verify(self) -> Figure:
        found = json.loads(self._runbook("verify", "--entity", ENTITY, "--json"))["entities"][0]
        rate = self._rows / max(found["seconds"], 0.001)
        return Figure("verify", f"{rate:,.0f} rows/s", f"{self._rows:,} rows in {found['seconds']:.1f} s")

    def _gate(self) -> Iterator[Figure]:
        """A POST straight to legacy's writer, and through the gate in phase legacy."""
        ways = {"straight": self._target.legacy_write_function, "through the gate": self._target.gate_function}
        found: dict[str, list[float]] = {way: [] for way in ways}
        client = Client(Endpoint.of(self._target))
        for round_ in range(ROUNDS + 1):
            for way, function in ways.items():
                self._route(function)
                middle = statistics.median(self._posted(client) for _ in range(REQUESTS))
                found[way] += [middle] if round_ else []  # the first round starts the functions
        self._route(self._target.gate_function)  # where `copy start` had sent it
        for way, middles in found.items():
            best = min(middles)
            more = best - min(found["straight"])
            note = f"{more * 1e3:+.1f} ms" if more else "median of the best round"
            yield Figure(f"POST /{ENTITY}, {way}", f"{best * 1e3:.1f} ms", note)

    def _route(self, function: str) -> None:
        path = f"/variables/{self._deployed.writes_variable}"
        self._clients.apigateway.update_stage(
            restApiId=self._target.api_id,
            stageName=self._target.stage_name,
            patchOperations=[{"op": "replace", "path": path, "value": function}],
        )

    def _posted(self, client: Client) -> float:
        begun = time.perf_counter()
        answer = client.send("POST", f"/{ENTITY}", body=self._shape.body("bench"))
        if answer.status != 201:  # noqa: PLR2004  # created
            raise SandboxError(f"POST /{ENTITY} answered {answer}")
        return time.perf_counter() - begun

    def _bridge(self) -> Figure:
        """Items written to DynamoDB at once, until Aurora has all of them."""
        key = self._entity.modern.key
        puts: list[Any] = [
            {
                "PutRequest": {
                    "Item": {
                        key: {"S": f"bench-{number}"},
                        **{name: {"S": text} for name, text in self._shape.body(f"item {number}").items()},
                    }
                }
            }
            for number in range(self._rows)
        ]
        begun = time.monotonic()
        for start in range(0, len(puts), DYNAMO_BATCH):
            self._clients.dynamodb.batch_write_item(
                RequestItems={self._deployed.modern_table: puts[start : start + DYNAMO_BATCH]}
            )
        self._wait(lambda: self._bridged() >= self._rows)
        took = time.monotonic() - begun
        return Figure("bridge", f"{self._rows / took:,.0f} changes/s", f"{self._rows:,} in {took:.1f} s")

    def _bridged(self) -> int:
        legacy = self._entity.legacy
        with contextlib.closing(self._sandbox.database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                f"SELECT COUNT(*) FROM `{legacy.database}`.`{legacy.table}` WHERE {names.KEY_COLUMN} LIKE 'bench-%'"  # noqa: S608
            )
            return int((cursor.fetchone() or (0,))[0])

    def _items(self) -> int:
        pages = self._clients.dynamodb.get_paginator("scan").paginate(
            TableName=self._deployed.modern_table, Select="COUNT"
        )
        return sum(page["Count"] for page in pages)

    @staticmethod
    def _wait(done: Callable[[], bool]) -> None:
        if not poll(done, timeout=TIMEOUT, first=0.2, longest=0.2):
            raise SandboxError(f"What is measured did not end in {TIMEOUT:.0f} s.")

    def _runbook(self, *words: str) -> str:
        program = str(Path(sys.executable).parent / "runbook")
        command = [program, *words, "--outputs", str(self._sandbox.location.outputs)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
        if done.returncode:
            raise SandboxError(f"`runbook {' '.join(words)}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


def _definition(cursor: Any, name: str) -> str:
    cursor.execute(f"SHOW CREATE TRIGGER {name}")
    text = str(cursor.fetchone()[2])
    return f"CREATE TRIGGER{text.split(' TRIGGER', 1)[1]}"


def table(figures: Sequence[Figure]) -> Table:
    shown = Table(title="What it costs, on this machine")
    shown.add_column("what")
    shown.add_column("measured", justify="right")
    shown.add_column("", style="dim")
    for figure in figures:
        shown.add_row(figure.what, figure.value, figure.note)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--writes", type=int, default=2000, help="set how many writes each variant makes")
    parser.add_argument("--rows", type=int, default=10_000, help="set how many rows to copy, verify and bridge")
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    try:
        lifecycle.down(NAME)
        sandbox = lifecycle.up(NAME, data_api=data_api_traits.LENIENT, current=False)  # as AWS documents it
        for figure in Bench(sandbox, writes=chosen.writes, rows=chosen.rows).run():
            console.print(f"  {figure.what}: {figure.value}  [dim]{figure.note}[/]", highlight=False)
            figures.append(figure)
    except SandboxError as error:
        console.print(f"[red]The bench failed:[/] {error}", highlight=False)
        return 1
    finally:
        if not chosen.keep:
            lifecycle.down(NAME)
    console.print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
