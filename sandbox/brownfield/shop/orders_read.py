"""Orders from Aurora: GET /v2/orders?customer_id=… and GET /v2/orders/{orderId}."""

import json
import os
from typing import Any

import boto3

COLUMNS = ("order_id", "customer_id", "status", "total_cents", "reference", "note", "placed_at")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM orders"  # noqa: S608  # constants

rds = boto3.client("rds-data")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers the API."""
    try:
        path: dict[str, str] = event.get("pathParameters") or {}
        return one(path["orderId"]) if path else many(event.get("queryStringParameters") or {})
    except Exception as error:  # noqa: BLE001
        return respond(500, {"errorMessage": str(error)})


def one(order_id: str) -> dict[str, Any]:
    found = query(f"{SELECT} WHERE order_id = :order_id", order_id=order_id)
    if not found:
        return respond(404, {"errors": [{"code": "order_not_found", "detail": order_id}]})
    return respond(200, {"data": found[0]})


def many(filters: dict[str, str]) -> dict[str, Any]:
    if "customer_id" not in filters:
        return respond(400, {"errors": [{"code": "customer_id_required"}]})
    limit = min(int(filters.get("limit", "20")), 100)
    sql = f"{SELECT} WHERE customer_id = :customer_id ORDER BY placed_at DESC LIMIT {limit}"
    found = query(sql, customer_id=filters["customer_id"])
    return respond(200, {"data": found, "meta": {"count": len(found)}})


def query(sql: str, **values: str) -> list[dict[str, Any]]:
    answer = rds.execute_statement(
        resourceArn=os.environ["CLUSTER_ARN"],
        secretArn=os.environ["SECRET_ARN"],
        database="shop",
        sql=sql,
        parameters=[{"name": name, "value": {"stringValue": value}} for name, value in values.items()],
    )
    return [order(row) for row in answer.get("records", [])]


def order(row: Any) -> dict[str, Any]:
    cells: list[Any] = [None if "isNull" in cell else next(iter(cell.values())) for cell in row]
    found = dict(zip(COLUMNS, cells, strict=True))
    return {**found, "placed_at": f"{found['placed_at'][:19].replace(' ', 'T')}Z"}


def respond(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}
