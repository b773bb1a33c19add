"""Orders from DynamoDB: the same answers as orders_read, which it will replace."""

import json
import os
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

NAMES = ("customer_id", "status", "total_cents", "reference", "note")

table: Any = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers the API."""
    try:
        path: dict[str, str] = event.get("pathParameters") or {}
        return one(path["orderId"]) if path else many(event.get("queryStringParameters") or {})
    except Exception as error:  # noqa: BLE001
        return respond(500, {"errorMessage": str(error)})


def one(order_id: str) -> dict[str, Any]:
    found = table.get_item(Key={"pk": order_id}, ConsistentRead=True).get("Item")
    if not found:
        return respond(404, {"errors": [{"code": "order_not_found", "detail": order_id}]})
    return respond(200, {"data": order(found)})


def many(filters: dict[str, str]) -> dict[str, Any]:
    if "customer_id" not in filters:
        return respond(400, {"errors": [{"code": "customer_id_required"}]})
    answer = table.query(
        IndexName="by_customer",
        KeyConditionExpression=Key("customer_id").eq(filters["customer_id"]),
        ScanIndexForward=False,
        Limit=min(int(filters.get("limit", "20")), 100),
    )
    found = [order(item) for item in answer["Items"]]
    return respond(200, {"data": found, "meta": {"count": len(found)}})


def order(item: dict[str, Any]) -> dict[str, Any]:
    found = {name: item.get(name) for name in NAMES}
    total = int(item["total_cents"])
    return {"order_id": item["pk"], **found, "total_cents": total, "placed_at": f"{item['placed_at'][:19]}Z"}


def respond(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}
