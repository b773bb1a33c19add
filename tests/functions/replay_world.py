"""Orders whose changes legacy's own function brings. Like the shop's it swallows errors, and it keeps an audit.

The function runs here, on the real database as the shop's own user. What stands for Lambda only passes events on.
"""

from __future__ import annotations

import io
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from legacy_world import STREAM, Quarantined

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge import ownership, stream_guard
from functions.bridge.by_function import FunctionApplier
from functions.bridge.legacy_calls import LegacyCalls
from functions.bridge.permits import Owner
from functions.domain import changes, entities, names
from functions.domain.entities import Entity
from functions.install import tables, triggers
from functions.legacy.table import LegacyStore

ABSENT = {"absent": "/errorMessage"}
DATA = {"data": {name: f"{{{name}}}" for name in ("customer", "total", "note")}}
DOCUMENT: dict[str, Any] = {
    "modern": {"table": "orders-v3", "key": "pk"},
    "bridge": "replay",
    "fields": {
        "customer": {"column": "customer_id", "type": "string", "required": True, "max_length": 20},
        "total": {"column": "total_cents", "type": "integer", "required": True, "bits": 32},
        "note": {"column": "note", "type": "string", "max_length": 255},
        "placed_at": {"column": "placed_at", "type": "datetime", "required": True, "fraction": 0},
    },
    "api": {"reads": [], "writes": ["POST /orders", "PUT /orders/{id}", "DELETE /orders/{id}"]},
    "calls": {
        "create": {"call": "POST /orders", "body": {"data": {"id": "{id}", **DATA["data"]}}, **ABSENT},
        "update": {"call": "PUT /orders/{id}", "body": DATA, **ABSENT},
        "delete": {"call": "DELETE /orders/{id}", **ABSENT},
    },
}
TABLE = (
    "CREATE TABLE {database}.orders (order_id VARCHAR(36) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, "
    "customer_id VARCHAR(20) NOT NULL, total_cents INT NOT NULL, note VARCHAR(255), placed_at DATETIME NOT NULL)"
)
AUDIT = (
    "CREATE TABLE {database}.audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id VARCHAR(36) COLLATE utf8mb4_bin, "
    "what VARCHAR(10), note VARCHAR(255))"
)
MOST_CENTS = 1_000_000  # the function's own rule
SECONDS = 60.0


@dataclass
class OrdersFunction:
    """The legacy function, in the shop's manner: whatever goes wrong with the database, it answers 200."""

    database: DataApi

    def handler(self, event: Mapping[str, Any]) -> dict[str, Any]:
        path = event["pathParameters"] or {}
        data = json.loads(event["body"])["data"] if event["body"] else {}
        if data.get("total", 0) > MOST_CENTS:
            return {"statusCode": 422, "body": json.dumps({"errors": [{"code": "total_too_high"}]})}
        try:
            return self._write(event["httpMethod"], data.get("id") or path.get("id"), data)
        except DataApiError as error:
            return {"statusCode": 200, "body": json.dumps({"errorMessage": str(error)})}

    def _write(self, method: str, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        values = {"id": {"stringValue": key}}
        if method != "DELETE":
            values |= {name: {"stringValue": str(data[name])} for name in ("customer", "total")}
            values["note"] = {"isNull": True} if data["note"] is None else {"stringValue": data["note"]}
        statements = {
            "POST": "INSERT INTO orders (order_id, customer_id, total_cents, note, placed_at) "
            "VALUES (:id, :customer, :total, :note, UTC_TIMESTAMP())",
            "PUT": "UPDATE orders SET customer_id = :customer, total_cents = :total, note = :note WHERE order_id = :id",
            "DELETE": "DELETE FROM orders WHERE order_id = :id",
        }
        changed = self.database.execute(statements[method], values)
        found = changed or self.database.query("SELECT 1 FROM orders WHERE order_id = :id", {"id": values["id"]})
        if not found:
            return {"statusCode": 404, "body": json.dumps({"errors": [{"code": "order_not_found"}]})}
        note = values.get("note", {"isNull": True})
        self.database.execute(
            "INSERT INTO audit (order_id, what, note) VALUES (:id, :what, :note)",
            {"id": values["id"], "what": {"stringValue": method}, "note": note},
        )
        return {"statusCode": 200, "body": json.dumps({"data": {"id": key}})}


@dataclass
class Passing:
    """What stands for Lambda's client: it runs the function, and counts whose calls run at once."""

    function: OrdersFunction
    before: Callable[[Mapping[str, Any]], Any] = lambda _event: None
    after: Callable[[Mapping[str, Any]], Any] = lambda _event: None
    running: dict[str, int] = field(default_factory=dict[str, int])
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  # Lambda's names
        event = json.loads(Payload)
        key = (event["pathParameters"] or {}).get("id") or json.loads(event["body"])["data"]["id"]
        self._count(key, 1)
        try:
            answer = self.before(event) or self.function.handler(event)
            answer = self.after(event) or answer
        finally:
            self._count(key, -1)
        return self._answered(answer)

    @staticmethod
    def _answered(answer: Any) -> dict[str, Any]:
        failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}

    def _count(self, key: str, step: int) -> None:
        with self.lock:
            self.running[key] = self.running.get(key, 0) + step
            self.most = max(self.most, self.running[key])


@dataclass
class Orders:
    """The table with its triggers, the function, and the bridge."""

    entity: Entity
    server: DataApi
    database: DataApi  # as the bridge's user
    function: OrdersFunction
    quarantined: Quarantined = field(default_factory=Quarantined)

    def passing(self, function: OrdersFunction | None = None, **given: Any) -> Passing:
        return Passing(function or self.function, **given)

    def apply(
        self,
        *records: dict[str, Any],
        database: Any = None,
        functions: Any = None,
        seconds: float | Callable[[], float] = SECONDS,
        owner: Owner | None = None,
    ) -> Any:
        """Apply a batch as the bridge does, once.

        Args:
            records: of the stream.
            database: the bridge's, if not the real one.
            functions: what stands for Lambda's client.
            seconds: that the invocation has left, always or by a clock.
            owner: of the permits, if other invocations have the same.
        """
        database = database or self.database
        contract = self.entity.contract
        assert contract is not None
        calls = LegacyCalls(functions or self.passing(), "orders-write", 2, contract)
        read: Any = None
        left = seconds if callable(seconds) else lambda: seconds
        applier = FunctionApplier(self.entity, database, self.quarantined, STREAM, read, calls, left, owner)
        found = changes.each_from_stream(self.entity, records)
        return applier.apply(found, ownership.read(database, self.entity))

    def deliver(self, *records: dict[str, Any], **given: Any) -> Any:
        """Apply a batch as Lambda does: again while the bridge asks for it; open permits of the dead end meanwhile."""
        for _ in range(20):
            try:
                return self.apply(*records, **given)
            except DataApiError:
                self.end_permits()
        raise AssertionError("the bridge asks for the batch for ever")

    def deliver_waiting(self, *records: dict[str, Any], **given: Any) -> Any:
        """The same while the permits that are open are of bridges at work."""
        while True:
            try:
                return self.apply(*records, **given)
            except TransientError:
                continue

    def end_permits(self) -> None:
        """Let the deadlines pass."""
        self.server.execute(
            f"UPDATE {self._place}.{names.REPLAYS_TABLE} SET deadline = UTC_TIMESTAMP(6) WHERE item_key <> ''"
        )

    def permits(self) -> list[str]:
        rows = self.server.query(f"SELECT item_key FROM {self._place}.{names.REPLAYS_TABLE} WHERE item_key <> ''")
        return [cell_text(row[0]) for row in rows]

    def everything(self) -> dict[str, Any]:
        return {record.key: record.fields for record in LegacyStore(self.entity, self.database).page(1000, "").records}

    def notes(self) -> dict[str, Any]:
        return {key: fields["note"] for key, fields in self.everything().items()}

    def audit(self) -> list[tuple[str, str, str | None]]:
        rows = self.server.query(f"SELECT order_id, what, note FROM {self._place}.audit ORDER BY id")
        return [
            (cell_text(key), cell_text(what), None if note.get("isNull") else cell_text(note))
            for key, what, note in rows
        ]

    def queued(self) -> int:
        return len(self.server.query(f"SELECT 1 FROM {self._place}.{names.CHANGES_TABLE}"))

    def stray(self, sql: str) -> None:
        """What a writer past the gate does."""
        self.function.database.execute(sql)

    def control(self, **values: int) -> None:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        self.server.execute(f"UPDATE {self._place}.{names.CONTROL_TABLE} SET {sets}")

    def clear(self) -> None:
        """In phase modern, and empty."""
        self.server.execute(f"DELETE FROM {self._place}.{names.REPLAYS_TABLE} WHERE item_key <> ''")
        self.control(fenced=0, legacy_stamp=0, generation=1)
        for table in ("orders", "audit", names.DELETES_TABLE):
            self.server.execute(f"DELETE FROM {self._place}.{table}")
        self.server.execute(f"DELETE FROM {self._place}.{names.CHANGES_TABLE}")
        self.control(fenced=1)
        self.quarantined.changes.clear()

    @property
    def _place(self) -> str:
        return f"`{self.entity.legacy.database}`"


def make_orders(data_api: Callable[[str], DataApi], bridge_user: Callable[[Any], Any]) -> Orders:
    database = f"test_{uuid.uuid4().hex[:12]}"
    legacy = {"database": database, "table": "orders", "key": "order_id", "key_type": "string"}
    entity = entities.parse({"orders": {**DOCUMENT, "legacy": legacy}})["orders"]
    server = data_api("")
    server.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    for table in (TABLE, AUDIT):
        server.execute(table.format(database=database))
    tables.prepare(server, entity)
    stream_guard.confirm(server, entity, STREAM)
    triggers.install(server, entity)
    made = Orders(entity, server, data_api(database), OrdersFunction(data_api(database)))
    return bridge_user(made)


def order(key: str, sequence: int, note: str | None = None, total: int = 5, **more: Any) -> dict[str, Any]:
    """A stream record of an order that is there; without a note it was deleted."""
    keys = {"pk": {"S": key}}
    data: dict[str, Any] = {"Keys": keys, "SequenceNumber": str(sequence)}
    if note is not None:
        data["NewImage"] = {
            **keys,
            "customer": {"S": "c"},
            "total": {"N": str(total)},
            "note": {"S": note},
            "placed_at": {"S": "2026-01-01T08:00:00Z"},
            **more,
        }
    return {"eventName": "REMOVE" if note is None else "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": data}
