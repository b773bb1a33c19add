"""How many records a second the bridge brings by the shop's own function (`bridge = "replay"`), against its own SQL.

Both bring inserts of orders to the shop's table, by the bridge's own code. Each makes one call of a function that does
nothing for each of its batches, as its mapping would. Replay then calls the shop's function once for each record.
"""

from __future__ import annotations

import itertools
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from components.bridge import REPLAY_BATCH
from functions.bridge import ownership, stream_guard
from functions.bridge.apply import Applier, BatchOutcome
from functions.bridge.by_function import FunctionApplier, until_after
from functions.bridge.legacy_calls import LegacyCalls
from functions.domain import changes, entities, names
from functions.domain.entities import Entity
from functions.install import tables, triggers
from sandbox.bench.bridge import GROUP
from sandbox.bench.calls import Calls
from sandbox.bench.cost import PerThousand, cost_rows
from sandbox.bench.records import Record
from sandbox.bench.rounds import interleaved, rate
from sandbox.bench.rows import Row, compared
from sandbox.bench.system import EMPTY_FUNCTION, System, chunks
from sandbox.bench.ways import BATCH, Refusing
from sandbox.brownfield import database, functions
from sandbox.brownfield.database import Rds
from sandbox.brownfield.system import ENTITIES, ENTITY
from sandbox.engine.aws import Aws
from sandbox.errors import SandboxError

MODULE = "orders_write"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/shop/stream/bench"
RECORDS = {"replay": REPLAY_BATCH, "direct": 2 * BATCH}  # of a round
BATCHES = {"replay": REPLAY_BATCH, "direct": BATCH}


@dataclass
class ShopOrders:
    """The shop's table, with the triggers of replay and its fence up, and the function that writes it."""

    system: System
    entity: Entity = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10**24))

    def __post_init__(self) -> None:
        account, server = Aws(self.system.sandbox.outputs["endpointUrl"]), self.system.context.aurora.database()
        made = database.make_database(account, Rds.SERVERLESS, self.system.sandbox.database.authority)
        database.fill(account, made, 0)
        functions.make_legacy(account, made)
        functions.wait_until_active(account, [MODULE])
        described = tomllib.loads(ENTITIES.read_text(encoding="utf-8"))[ENTITY]
        self.entity = entities.parse({ENTITY: {**described, "bridge": entities.REPLAY}})[ENTITY]
        tables.prepare(server, self.entity)
        stream_guard.confirm(server, self.entity, STREAM)
        for grant in tables.grants(self.entity):
            server.execute(f"GRANT {grant} TO '{names.BRIDGE_USER}'@'%'")
        control = f"`{self.entity.legacy.database}`.{names.CONTROL_TABLE}"
        server.execute(f"UPDATE {control} SET fenced = 1")  # noqa: S608  # ours
        triggers.install(server, self.entity)

    def rows(self) -> Iterator[Row]:
        """The rates, and what a thousand records call for."""
        found = interleaved({way: lambda way=way: self._rate(way) for way in RECORDS}, self.system.rounds)
        yield compared(GROUP, "replayed inserts, direct", "/s", found["replay"], found["direct"])
        each = {way: PerThousand.of(self.calls(way), RECORDS[way]) for way in RECORDS}
        yield from cost_rows("replay", "direct", each["replay"], each["direct"])

    def calls(self, way: str) -> Calls:
        """What a round calls, without the calls that the shop's function makes itself."""
        with self.system.counted() as calls:
            self.apply(way, self.inserts(RECORDS[way]))
        return calls

    def _rate(self, way: str) -> float:
        records = self.inserts(RECORDS[way])
        return rate(len(records), lambda: self.apply(way, records))

    def apply(self, way: str, records: Sequence[Record]) -> None:
        """Bring records to Aurora, by the shop's function (`replay`) or by SQL (`direct`).

        Raises:
            SandboxError: the bridge did not apply all of them.
        """
        for some in chunks(records, BATCHES[way]):
            self.system.call(EMPTY_FUNCTION)
            outcome = self._applied(way, some)
            if outcome.upserts != len(some):
                raise SandboxError(f"The bridge did not apply all of {len(some)} changes: {outcome}")

    def _applied(self, way: str, records: Sequence[Record]) -> BatchOutcome:
        bridge, quarantine = self.system.context.aurora.as_bridge(self.entity.legacy.database), Refusing()
        stream_guard.check(bridge, self.entity, STREAM)
        authority = ownership.read(bridge, self.entity)
        to = self.entity, bridge, quarantine, STREAM, dict.fromkeys
        if way == "direct":
            found = changes.from_stream(self.entity, records, authority.copy_idle)
            outcome = Applier(*to).apply(found, authority)
        else:
            found = changes.each_from_stream(self.entity, records, authority.copy_idle)
            outcome = FunctionApplier(*to, self._function, until_after(600)).apply(found, authority)
        stream_guard.check(bridge, self.entity, STREAM)
        return outcome

    @cached_property
    def _function(self) -> LegacyCalls:
        assert self.entity.contract is not None, "replay has a contract"
        client, name = self.system.context.clients.functions_once, functions.function_name(MODULE)
        return LegacyCalls(client, name, functions.TIMEOUT_SECONDS, self.entity.contract)

    def inserts(self, count: int) -> list[Record]:
        """Records of new orders."""
        return [self._insert(str(uuid.uuid4())) for _ in range(count)]

    def _insert(self, key: str) -> Record:
        texts = {"customer_id": "bench", "status": "open", "reference": "PO", "note": "n" * 100}
        image = {
            "pk": {"S": key},
            **{name: {"S": value} for name, value in texts.items()},
            "total_cents": {"N": "5"},
            "placed_at": {"S": "2026-01-01T08:00:00Z"},
        }
        data = {"Keys": {"pk": {"S": key}}, "SequenceNumber": str(next(self._numbers)), "NewImage": image}
        return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": data}
