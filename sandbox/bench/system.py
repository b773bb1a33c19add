"""The sandbox that the rows are measured in: its stack, its two entities, its clients, a table and a function."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.aws.data_api import DataApi
from functions.aws.retry import poll
from functions.domain import names
from functions.domain.entities import Entity
from runbook.aws.outputs import EntityTarget
from runbook.stack import Context, resolve
from sandbox.bench.calls import Calls, counted
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox

if TYPE_CHECKING:
    from pymysql import Connection

ENTITIES = Path(__file__).with_name("entities.toml")
CHEFS, DISHES = "chefs", "dishes"
TIMEOUT = 120.0  # seconds for whatever is waited for
DYNAMO_BATCH = 25  # BatchWriteItem's limit
PLAIN_TABLE, EMPTY_FUNCTION = "bench-plain", "bench-empty"
# It writes down what it gets where a file is named; `sandbox.bench.lag` reads that.
EMPTY = """
import os, time
PATH = os.environ.get("BENCH_FILE")

def handler(event, context):
    if PATH and "Records" in event:
        now = time.time()
        with open(PATH, "a") as file:
            file.writelines(f"{now} {each['dynamodb']['Keys']['DishId']['S']}\\n" for each in event["Records"])
    return {}
"""


class CommandFailedError(SandboxError):
    """A command of the runbook ended with an exit code other than 0."""

    def __init__(self, words: Sequence[str], code: int, printed: str) -> None:
        super().__init__(f"`runbook {' '.join(words)}` ended with {code}: {printed}")
        self.code = code


@dataclass(frozen=True)
class System:
    """What a group of rows is measured with.

    Attributes:
        quick: whether few and short rounds are enough.
    """

    sandbox: Sandbox
    quick: bool

    @cached_property
    def context(self) -> Context:
        return Context.of(resolve(outputs=self.sandbox.location.outputs))

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 5

    def entity(self, name: str) -> Entity:
        return self.context.target.mapping[name]

    def deployed(self, name: str) -> EntityTarget:
        return self.context.target.entity(name)

    def as_bridge(self, name: str) -> DataApi:
        """The entity's legacy database as the bridge sees it."""
        return self.context.aurora.as_bridge(self.entity(name).legacy.database)

    @contextlib.contextmanager
    def connected(self, name: str) -> Generator[Connection]:
        """A direct connection to an entity's legacy database, as its root."""
        with contextlib.closing(self.sandbox.database.connect(database=self.entity(name).legacy.database)) as opened:
            yield opened

    def execute(self, name: str, *statements: str) -> None:
        """Run statements on an entity's legacy database, over a direct connection."""
        with self.connected(name) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def count(self, name: str, where: str = "TRUE") -> int:
        legacy = self.entity(name).legacy
        with self.connected(name) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM `{legacy.table}` WHERE {where}")  # noqa: S608  # checked names
            return int((cursor.fetchone() or (0,))[0])

    def runbook(self, *words: str) -> str:
        """What a command of the runbook printed.

        Raises:
            CommandFailedError: with what it printed.
        """
        program = str(Path(sys.executable).parent / "runbook")
        command = [program, *words, "--outputs", str(self.sandbox.location.outputs)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
        if done.returncode:
            raise CommandFailedError(words, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def wait(self, done: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait until it is done.

        Raises:
            SandboxError: it is not, in time.
        """
        if not poll(done, timeout=seconds, first=0.02, longest=0.1):
            raise SandboxError(f"What is measured did not end in {seconds:.0f} s.")

    def table(self, name: str = PLAIN_TABLE, *, stream: bool = False) -> str:
        """Make a DynamoDB table of a dish's key, of no entity; returns its name."""
        made: dict[str, Any] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        key = self.entity(DISHES).modern.key
        self.context.clients.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": made} if stream else {}),  # pyright: ignore[reportArgumentType]
        )
        return name

    def function(self, name: str = EMPTY_FUNCTION, **variables: str) -> str:
        """Deploy a function that does nothing, with the rights of a function of the stack; returns its name."""
        functions = self.context.clients.functions
        role = functions.get_function_configuration(FunctionName=self.deployed(DISHES).bridge_function)["Role"]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", EMPTY)
        functions.create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.13",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Environment={"Variables": variables},
            Timeout=20,
        )
        return name

    def call(self, function: str, event: Any = None) -> dict[str, Any]:
        """Call a function and wait for its answer.

        Raises:
            SandboxError: it failed.
        """
        answer = self.context.clients.functions.invoke(FunctionName=function, Payload=json.dumps(event or {}).encode())
        text = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise SandboxError(f"{function} failed: {text}")
        return json.loads(text or "null") or {}

    def put(self, table: str, items: Sequence[dict[str, Any]]) -> None:
        """Write items with BatchWriteItem."""
        self.write(table, [{"PutRequest": {"Item": item}} for item in items])

    def write(self, table: str, requests: Sequence[Any]) -> None:
        """Send requests with BatchWriteItem, in their order."""
        client = self.context.clients.dynamodb
        for some in chunks(requests, DYNAMO_BATCH):
            client.batch_write_item(RequestItems={table: some})  # pyright: ignore[reportArgumentType]

    def empty(self, table: str, key: str) -> None:
        """Delete every item of a table."""
        pages = self.context.clients.dynamodb.get_paginator("scan").paginate(TableName=table)
        found = [item for page in pages for item in page["Items"]]
        self.write(table, [{"DeleteRequest": {"Key": {key: item[key]}}} for item in found])

    def capture(self, name: str) -> None:
        """Install an entity's triggers, as `copy start` does, and begin an epoch of legacy."""
        with self.connected(name) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT token FROM {names.TOKENS_TABLE} WHERE entity = %s", [name])  # noqa: S608  # ours
            token = int((cursor.fetchone() or (0,))[0])
        event = {"action": "capture", "entity": name, "token": token}
        self.call(self.context.target.bridge_install_function, event)

    @contextlib.contextmanager
    def counted(self) -> Generator[Calls]:
        """Count what this process calls in the block with the clients of the runbook."""
        clients = self.context.clients
        tables = clients.dynamodb, clients.dynamodb_once
        with counted(
            *tables, clients.rds_data, clients.functions, clients.functions_once, clients.s3, clients.secrets
        ) as calls:
            yield calls

    def prepare(self) -> None:
        """Prepare what the groups share; modern is then the source of truth of the dishes."""
        self.runbook("init", "--create-tables")
        self.table()
        self.function()
        self.choose(DISHES, modern=True)

    def choose(self, name: str, *, modern: bool) -> None:
        """Choose an entity's source of truth as far as the bridge sees it, without a switch: by its fence."""
        self.execute(name, f"UPDATE {names.CONTROL_TABLE} SET fenced = {int(modern)} WHERE entity = '{name}'")  # noqa: S608


def chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The values in runs of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
