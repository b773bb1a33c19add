"""Orders into Aurora: POST /v2/orders, PUT and DELETE /v2/orders/{orderId}.

Whatever goes wrong, the answer is 200 with an `errorMessage`, which the shop's clients look for.
"""

import json
import os
import uuid
from typing import Any

import boto3

INSERT = (
    "INSERT INTO orders (order_id, customer_id, status, total_cents, reference, note, placed_at) "
    "VALUES (:order_id, :customer_id, :status, :total_cents, :reference, :note, UTC_TIMESTAMP())"
)
UPDATE = (
    "UPDATE orders SET customer_id = :customer_id, status = :status, total_cents = :total_cents, "
    "reference = :reference, note = :note WHERE order_id = :order_id"
)
FIND = "SELECT 1 FROM orders WHERE order_id = :order_id"
DELETE = "DELETE FROM orders WHERE order_id = :order_id"
AUDIT = "INSERT INTO order_audit (order_id, action, note, at) VALUES (:order_id, :action, :note, UTC_TIMESTAMP(6))"

rds = boto3.client("rds-data")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers the API."""
    try:
        path: dict[str, str] = event.get("pathParameters") or {}
        if event["httpMethod"] == "POST":
            return create(json.loads(event["body"])["data"])
        if event["httpMethod"] == "PUT":
            return replace(path["orderId"], json.loads(event["body"])["data"])
        return remove(path["orderId"])
    except Exception as error:  # noqa: BLE001
        return respond(200, {"errorMessage": str(error)})


def create(data: dict[str, Any]) -> dict[str, Any]:
    order_id = data.get("order_id") or str(uuid.uuid4())
    execute(INSERT, {**values(data), "order_id": order_id})
    audit(order_id, "created", data.get("note"))
    return respond(201, {"data": {**data, "order_id": order_id}})


def replace(order_id: str, data: dict[str, Any]) -> dict[str, Any]:
    changed = execute(UPDATE, {**values(data), "order_id": order_id})["numberOfRecordsUpdated"]
    if not changed and not execute(FIND, {"order_id": order_id})["records"]:
        return missing(order_id)
    audit(order_id, "replaced", data.get("note"))
    return respond(202, {"data": {**data, "order_id": order_id}})


def remove(order_id: str) -> dict[str, Any]:
    if not execute(DELETE, {"order_id": order_id})["numberOfRecordsUpdated"]:
        return missing(order_id)
    audit(order_id, "removed", None)
    return respond(200, {"data": {"order_id": order_id, "deleted": True}})


def audit(order_id: str, action: str, note: Any) -> None:
    execute(AUDIT, {"order_id": order_id, "action": action, "note": note})


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


def execute(sql: str, given: dict[str, Any]) -> Any:
    return rds.execute_statement(
        resourceArn=os.environ["CLUSTER_ARN"],
        secretArn=os.environ["SECRET_ARN"],
        database="shop",
        sql=sql,
        parameters=[{"name": name, "value": cell(value)} for name, value in given.items()],
    )


def cell(value: Any) -> Any:
    if value is None:
        return {"isNull": True}
    return {"longValue": value} if isinstance(value, int) else {"stringValue": value}


def respond(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}
