"""The foreign client: writes rows while legacy is the source of truth, items while modern is, under its own keys."""

import random
import threading
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.domain import names
from functions.domain.phase import Phase
from sandbox.chaos.foreign import effects
from sandbox.chaos.foreign.effects import Call
from sandbox.chaos.foreign.items import Items
from sandbox.chaos.foreign.sql import Rows
from sandbox.chaos.system import Arena
from sandbox.load import Shape
from sandbox.load.records import DELETE, POST, Attempt

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PER_SECOND = 6.0  # operations
READS = 0.4  # share of them
TRIES_FENCE = 0.15  # share of the writes in phase modern that are sent to Aurora all the same
UNKNOWN = ""  # the phase when the journal does not answer
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


class ForeignClient:
    """One client, which waits for each answer before its next call.

    Args:
        arena: the sandbox.
        shape: of the records.
        keys: of records that are there and that no other client writes.
        seed: of its choices.
    """

    def __init__(self, arena: Arena, shape: Shape, keys: Sequence[str], seed: int) -> None:
        self._arena = arena
        self._rng = random.Random(f"{seed}/foreign")  # noqa: S311  # repeatable
        self._own = list(keys)
        self._operations = count(1)
        numbers = count(1)

        def value() -> str:
            return f"foreign-{seed}-{next(numbers)}"

        self._client = once(arena)
        connect = arena.sandbox.database.connect
        self._rows = Rows(connect, arena.entity, shape, value, self._rng)
        self._items = Items(self._client, arena.deployed.modern_table, arena.entity, shape, value, self._rng)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foreign", daemon=True)
        self.attempts: list[Attempt] = []

    def start(self) -> Self:
        self._rows.prepare()
        self._thread.start()
        return self

    def stop(self) -> Sequence[Attempt]:
        """Write no more; what was done."""
        self._over.set()
        self._thread.join()
        return self.attempts

    def _run(self) -> None:
        while not self._over.wait(self._rng.uniform(0.5, 1.5) / PER_SECOND):
            try:
                self._act()
            except Exception as error:  # noqa: BLE001  # its end would go unseen
                self._arena.problem(f"the foreign client failed: {type(error).__name__}: {error}")
                return

    def _act(self) -> None:
        """One read or write, on the side that the present phase makes the right one."""
        before = phase(self._arena, self._client)
        items = before == Phase.MODERN
        if before != Phase.LEGACY and not (items and self._rng.random() > TRIES_FENCE):
            return self._note(self._rows.write(self._rows_own()), before, items=False)
        side, own = (self._items, self._own) if items else (self._rows, self._rows_own())
        if own and self._rng.random() < READS:
            return self._note(side.read(self._rng.choice(own)), before, items=items)
        return self._note(side.write(own), before, items=items)

    def _note(self, call: Call, before: str, *, items: bool) -> None:
        counted = effects.counted(call, before, phase(self._arena, self._client), items=items)
        if items and counted.outcome and not call.outcome:
            self._arena.conflict(())
        self.attempts += effects.attempts(counted, next(self._operations))
        for one in counted.effects:
            self._keep(one.kind, one.key, done=not counted.outcome)

    def _keep(self, kind: str, key: str, *, done: bool) -> None:
        """A record that may be gone is written no more."""
        if kind == POST and done:
            self._own.append(key)
        elif kind == DELETE and key in self._own:
            self._own.remove(key)

    def _rows_own(self) -> list[str]:
        """Those that rows can have, whatever has made them."""
        natural = self._arena.entity.legacy.key_type == "string"
        return [key for key in self._own if natural or key.isdigit()]


def once(arena: Arena) -> "DynamoDBClient":
    """DynamoDB as the operator, without the SDK's retries: a repeated delete would say that nothing was there."""
    target = arena.target
    session = boto3.Session(target.access_key_id, target.secret_access_key, region_name=target.region)
    return session.client("dynamodb", endpoint_url=target.endpoint_url, config=ONCE)


def phase(arena: Arena, client: "DynamoDBClient") -> str:
    """The entity's phase as the journal has it; legacy before it has any."""
    key = {"entity": {"S": arena.name}, "record": {"S": names.STATE_RECORD}}
    try:
        item = client.get_item(TableName=arena.target.journal_table, Key=key, ConsistentRead=True).get("Item", {})
    except (ClientError, BotoCoreError):
        return UNKNOWN
    return item.get("phase", {}).get("S", Phase.LEGACY)
