"""Orders into DynamoDB: the same answers as orders_write, which it will replace."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

NAMES = ("customer_id", "status", "total_cents", "reference", "note")
CHANGE = "SET " + ", ".join(f"#{name} = :{name}" for name in NAMES)

table: Any = boto3.resource("dynamodb").Table(os.environ["TABLE"])


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
    placed_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    item = {"pk": order_id, "placed_at": placed_at, **values(data)}
    table.put_item(Item=item, ConditionExpression=Attr("pk").not_exists())
    return respond(201, {"data": {**data, "order_id": order_id}})


def replace(order_id: str, data: dict[str, Any]) -> dict[str, Any]:
    try:
        table.update_item(
            Key={"pk": order_id},
            UpdateExpression=CHANGE,
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={f"#{name}": name for name in NAMES},
            ExpressionAttributeValues={f":{name}": value for name, value in values(data).items()},
        )
    except ClientError as error:
        if "ConditionalCheckFailed" in str(error):
            return missing(order_id)
        raise
    return respond(202, {"data": {**data, "order_id": order_id}})


def remove(order_id: str) -> dict[str, Any]:
    if not table.delete_item(Key={"pk": order_id}, ReturnValues="ALL_OLD").get("Attributes"):
        return missing(order_id)
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


def respond(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}
