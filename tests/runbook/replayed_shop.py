"""The shop, adopted, with bridge = "replay", prepared up to a copy that has caught up."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from afresh import AT_ONCE, until
from journal_states import long_at_the_gate
from pymysql.err import MySQLError
from shop_world import ShopWorld, order
from typer.testing import CliRunner

from functions.bridge import by_function
from functions.domain import names
from functions.domain.phase import Phase
from runbook.commands.cli import app
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import Choices, OperationKind
from runbook.errors import PreconditionError
from runbook.quarantine.entry import Entry
from runbook.quarantine.store import EntryStore
from runbook.stack import Context, resolve
from runbook.verify import run as verify
from sandbox import lifecycle
from sandbox.brownfield import bringing_up, ledger
from sandbox.brownfield.functions import SOURCES, function_name
from sandbox.brownfield.system import ENTITY, TABLE
from sandbox.chaos.system import Arena

ROWS = 20
PERMIT_SECONDS, INSIST_SECONDS = 5, 180.0
CHOICES = Choices(propagation_wait=0.0, warm=0, reads_stay=True, timeout=INSIST_SECONDS)
LEFT = (
    "SELECT p.id FROM information_schema.processlist p "
    "JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id "
    "WHERE p.user = %s AND p.command = 'Sleep' AND p.time >= %s"
)
WRITER = function_name("orders_write")


class ReplayedShop(ShopWorld):
    """What its clients, its operator and its database do and show."""

    @cached_property
    def context(self) -> Context:
        """One for many commands, so that its clients can be watched."""
        return Context.of(resolve(outputs=self.sandbox.location.outputs))

    def deploy(self, *, replay: bool = True) -> None:
        """`pulumi up` with this kind of bridge."""
        self.__dict__.pop("context", None)
        bringing_up.deploy(self.sandbox.name, bringing_up.ALL, config=AT_ONCE, current=False, replay=replay)

    def switch(self, verb: str, scope: Scope = Scope.WRITES, choices: Choices = CHOICES) -> Switch:
        """One command of the operator."""
        return Switch(self.context, self.entity, OperationKind(verb), scope, choices)

    @property
    def phase(self) -> Phase:
        return self.context.journal.state(ENTITY).phase

    def go(self, phase: Phase) -> None:
        """Have writes on legacy or on modern."""
        if self.phase != phase:
            self.insist(self.switch("cutover" if phase == Phase.MODERN else "rollback").execute)

    @staticmethod
    def insist(run: Callable[[], object]) -> None:
        """Run a command again while its checks refuse it: a bridge that was killed has its last batch to bring."""
        deadline = time.monotonic() + INSIST_SECONDS
        while True:
            try:
                run()
            except PreconditionError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            else:
                return

    def bridge_works(self) -> bool:
        """Whether its last batch was applied."""
        uuid = self.entity.bridge_mapping_id
        found = self.context.clients.functions.get_event_source_mapping(UUID=uuid)
        return not found.get("LastProcessingResult", "").startswith("PROBLEM")

    def cli(self, *words: str) -> tuple[int, Any]:
        """A command of the runbook for the shop's orders: its exit code and its document."""
        command = [*words, "--entity", ENTITY, "--json", "--outputs", str(self.sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert result.stdout, (result.stderr, result.exception)
        return result.exit_code, json.loads(result.stdout)

    def rule(self, most_cents: int | None) -> None:
        """Have the legacy function refuse orders of more than so much; None for the shop's own code."""
        source, place = (SOURCES / "orders_write.py").read_text(), "        path: dict[str, str]"
        if most_cents is not None:
            refusal = 'return respond(422, {"errors": [{"code": "total_too_high"}]})'
            total = '(json.loads(event.get("body") or "null") or {"data": {}})["data"].get("total_cents", 0)'
            source = source.replace(place, f"        if {total} > {most_cents}:\n            {refusal}\n{place}", 1)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("orders_write.py", source)
        self.context.clients.functions.update_function_code(FunctionName=WRITER, ZipFile=packed.getvalue())

    def entry(self, key: str) -> Entry | None:
        """What the quarantine has of an order."""
        found = EntryStore(self.context, self.entity).entries()
        return next((one for one in found if one.key == key), None)

    def made(self, note: str, **fields: Any) -> str:
        """An order that a client makes; its key."""
        body = order(note=note, **fields)
        answer = self.send("POST", "/v2/orders", body)
        assert answer.status == 201, answer
        return body["data"]["order_id"]

    def changed(self, key: str, note: str, **fields: Any) -> None:
        """A client replaces an order."""
        answer = self.send("PUT", f"/v2/orders/{key}", order(note=note, **fields))
        assert answer.status == 202, answer

    def removed(self, key: str) -> None:
        """A client removes an order."""
        assert self.send("DELETE", f"/v2/orders/{key}").status == 200

    def put(self, keys: Sequence[str], note: str, **fields: Any) -> None:
        """Items that a writer past the API makes or replaces, all at once."""
        items = [self._item(key, note, fields) for key in keys]
        client = self.context.clients.dynamodb
        for start in range(0, len(items), 25):
            client.batch_write_item(
                RequestItems={TABLE: [{"PutRequest": {"Item": one}} for one in items[start : start + 25]]}
            )

    @staticmethod
    def _item(key: str, note: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        texts = {"customer_id": "test", "status": "open", "reference": "PO", **fields}
        return {
            "pk": {"S": key},
            **{name: {"S": value} for name, value in texts.items()},
            "total_cents": {"N": "5"},
            "note": {"S": note},
            "placed_at": {"S": "2026-01-01T08:00:00.000000Z"},
        }

    def rows(self) -> dict[str, str]:
        """The notes of the orders in Aurora."""
        return ledger.present(self.sandbox)

    def audit(self, key: str) -> list[tuple[str, str | None]]:
        """What the legacy function says that it did to an order: action and note, in order."""
        return self.sql("SELECT action, note FROM shop.order_audit WHERE order_id = %s ORDER BY id", key)

    def permits(self) -> int:
        """How many there are, without those that are void."""
        return self.sql(f"SELECT COUNT(*) FROM shop.{names.REPLAYS_TABLE} WHERE item_key <> '' AND sequence >= 0")[0][0]

    @contextlib.contextmanager
    def brief_permits(self) -> Iterator[None]:
        """Let permits count for some seconds, as if bridge and function had timeouts as short as that.

        A transaction that a bridge has left ends as fast; Aurora ends it after three minutes.
        """
        functions, over = self.context.clients.functions, threading.Event()
        bridge = functions.get_function_configuration(FunctionName=self.entity.bridge_function)["Timeout"]
        longest = bridge + int(self.entity.legacy_write_timeout) + by_function.MARGIN_SECONDS - PERMIT_SECONDS
        ending = f"UPDATE shop.{names.REPLAYS_TABLE} SET deadline = UTC_TIMESTAMP(6) WHERE item_key <> '' AND deadline "

        def end() -> None:
            while not over.wait(0.2):
                with contextlib.suppress(MySQLError):  # by then it has ended by itself, or `complete` dropped the table
                    for (thread,) in self.sql(LEFT, names.BRIDGE_USER, PERMIT_SECONDS - 2):
                        self.sql(f"KILL {int(thread)}")
                    self.sql(f"{ending} BETWEEN UTC_TIMESTAMP(6) AND UTC_TIMESTAMP(6) + INTERVAL {int(longest)} SECOND")

        ender = threading.Thread(target=end)
        ender.start()
        try:
            yield
        finally:
            over.set()
            ender.join()

    def kill_workers(self, *functions: str) -> int:
        """`kill -9` of the processes that run these functions; how many there were."""
        found = Arena(self.sandbox, ENTITY, lambda _: None).workers(frozenset(functions))
        for each in found:
            each.kill()
        return len(found)

    def sql(self, statement: str, *values: Any) -> Any:
        with contextlib.closing(self.sandbox.database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def equal(self) -> bool:
        """Whether both sides are equal, record by record."""
        return verify.run(self.context, self.entity, verify.VerifyOptions()).clean


def replayed_shop(role: str, *, replay: bool = True) -> Iterator[ReplayedShop]:
    """A sandbox of a test file's own, removed at its end."""
    name = f"test-{os.getpid()}-{role}"
    try:
        shop = bringing_up.shop(name, ROWS)
        first = bringing_up.deploy(name, current=False, config=AT_ONCE, replay=replay)
        ReplayedShop(first, shop).runbook("adopt", "--execute")
        made = ReplayedShop(bringing_up.deploy(name, current=False, config=AT_ONCE, replay=replay), shop)
        made.runbook("init")
        made.runbook("copy", "start", "--entity", ENTITY)
        long_at_the_gate(made.context, ENTITY)
        made.runbook("copy", "watch", "--entity", ENTITY)
        until(made.equal)
        yield made
    finally:
        lifecycle.down(name)
