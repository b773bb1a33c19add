"""Orders in MySQL over a connection: `read` answers GET, `write` POST, PUT and DELETE, as the others of this folder do.

Whatever goes wrong in `write`, the answer is 200 with an `errorMessage`, which the shop's clients look for.
"""

import json
import os
import ssl
import uuid
from pathlib import Path
from typing import Any

import boto3
import pymysql

COLUMNS = ("order_id", "customer_id", "status", "total_cents", "reference", "note", "placed_at")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM orders"  # noqa: S608  # constants
INSERT = (
    "INSERT INTO orders (order_id, customer_id, status, total_cents, reference, note, placed_at) "
    "VALUES (%(order_id)s, %(customer_id)s, %(status)s, %(total_cents)s, %(reference)s, %(note)s, UTC_TIMESTAMP())"
)
UPDATE = (
    "UPDATE orders SET customer_id = %(customer_id)s, status = %(status)s, total_cents = %(total_cents)s, "
    "reference = %(reference)s, note = %(note)s WHERE order_id = %(order_id)s"
)
AUDIT = "INSERT INTO order_audit (order_id, action, note, at) VALUES (%s, %s, %s, UTC_TIMESTAMP(6))"
DEADLOCK, TRIES = 1213, 3  # MySQL has rolled the transaction back, and asks for it again
AUTHORITIES = Path(__file__).with_name("database-ca.pem")

secrets = boto3.client("secretsmanager")
trusted = ssl.create_default_context(cafile=str(AUTHORITIES))
kept: list[Any] = []  # the connection of this instance, once there is one


def read(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers the API's reads."""
    try:
        path: dict[str, str] = event.get("pathParameters") or {}
        with connection().cursor() as cursor:
            if path:
                return one(cursor, path["orderId"])
            return many(cursor, event.get("queryStringParameters") or {})
    except Exception as error:  # noqa: BLE001
        return respond(500, {"errorMessage": str(error)})


def write(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers the API's writes."""
    try:
        for _ in range(TRIES - 1):
            try:
                return transaction(event)
            except pymysql.OperationalError as error:
                if error.args[0] != DEADLOCK:
                    raise
        return transaction(event)
    except Exception as error:  # noqa: BLE001
        return respond(200, {"errorMessage": str(error)})


def transaction(event: dict[str, Any]) -> dict[str, Any]:
    """Order and audit are written together or not at all."""
    database = connection()
    database.begin()
    try:
        with database.cursor() as cursor:
            answer = change(cursor, event)
        database.commit()
    except Exception:
        database.rollback()
        raise
    return answer


def connection() -> Any:
    """The instance's connection; a new one, with the secret's password, if there is none or it is lost."""
    if kept:
        try:
            kept[0].ping(reconnect=False)
        except pymysql.MySQLError:
            kept.clear()
    if not kept:
        login = json.loads(secrets.get_secret_value(SecretId=os.environ["SECRET_ARN"])["SecretString"])
        kept.append(
            pymysql.connect(
                host=os.environ["DATABASE_HOST"],
                port=int(os.environ["DATABASE_PORT"]),
                user=login["username"],
                password=login["password"],
                database="shop",
                charset="utf8mb4",
                autocommit=True,
                ssl=trusted,
                connect_timeout=5,
            )
        )
    return kept[0]


def one(cursor: Any, order_id: str) -> dict[str, Any]:
    cursor.execute(f"{SELECT} WHERE order_id = %s", (order_id,))
    found = cursor.fetchone()
    return respond(200, {"data": order(found)}) if found else missing(order_id)


def many(cursor: Any, filters: dict[str, str]) -> dict[str, Any]:
    if "customer_id" not in filters:
        return respond(400, {"errors": [{"code": "customer_id_required"}]})
    limit = min(int(filters.get("limit", "20")), 100)
    cursor.execute(f"{SELECT} WHERE customer_id = %s ORDER BY placed_at DESC LIMIT %s", (filters["customer_id"], limit))
    found = [order(row) for row in cursor.fetchall()]
    return respond(200, {"data": found, "meta": {"count": len(found)}})


def change(cursor: Any, event: dict[str, Any]) -> dict[str, Any]:
    path: dict[str, str] = event.get("pathParameters") or {}
    if event["httpMethod"] == "POST":
        return create(cursor, json.loads(event["body"])["data"])
    if event["httpMethod"] == "PUT":
        return replace(cursor, path["orderId"], json.loads(event["body"])["data"])
    return remove(cursor, path["orderId"])


def create(cursor: Any, data: dict[str, Any]) -> dict[str, Any]:
    order_id = data.get("order_id") or str(uuid.uuid4())
    cursor.execute(INSERT, {**values(data), "order_id": order_id})
    cursor.execute(AUDIT, (order_id, "created", data.get("note")))
    return respond(201, {"data": {**data, "order_id": order_id}})


def replace(cursor: Any, order_id: str, data: dict[str, Any]) -> dict[str, Any]:
    cursor.execute("SELECT 1 FROM orders WHERE order_id = %s", (order_id,))
    if not cursor.fetchone():
        return missing(order_id)
    cursor.execute(UPDATE, {**values(data), "order_id": order_id})
    cursor.execute(AUDIT, (order_id, "replaced", data.get("note")))
    return respond(202, {"data": {**data, "order_id": order_id}})


def remove(cursor: Any, order_id: str) -> dict[str, Any]:
    if not cursor.execute("DELETE FROM orders WHERE order_id = %s", (order_id,)):
        return missing(order_id)
    cursor.execute(AUDIT, (order_id, "removed", None))
    return respond(200, {"data": {"order_id": order_id, "deleted": True}})


def missing(order_id: str) -> dict[str, Any]:
    return respond(404, {"errors": [{"code": "order_not_found", "detail": order_id}]})


def values(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "customer_id": data["customer_id"],
        "status": data.get("status", "open"),
        "total_cents": data["total_cents"],
        "reference": data.get("reference"),
        "note": data.get("note"),
    }


def order(row: Any) -> dict[str, Any]:
    found = dict(zip(COLUMNS, row, strict=True))
    return {**found, "placed_at": found["placed_at"].strftime("%Y-%m-%dT%H:%M:%SZ")}


def respond(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}
