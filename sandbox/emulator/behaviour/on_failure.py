"""The dead-lettered batches of a stream mapping, put into S3 with the whole payload.

On AWS an on-failure bucket gets one object a batch: the invocation record, and in `payload` the event as text; its key
is `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<UUID>` (Lambda's guide, "Retain discarded records for a
DynamoDB event source").
MiniStack knows queues and topics as destinations only. This file can go when it knows buckets.
"""

import datetime as dt
import json
import os
import uuid
from typing import Any

import boto3

SHARD = "shardId-00000000000000000000-00000000"


def put(bucket: str, mapping: dict[str, Any], batch: list[dict[str, Any]], reason: str, tries: int) -> None:
    """Put one batch that was tried so often; the object's name is built as AWS builds it."""
    now = dt.datetime.now(dt.UTC)
    name = f"aws/lambda/{mapping['UUID']}/{SHARD}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    client = boto3.Session().client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the emulator's root
    )
    client.put_object(Bucket=bucket, Key=name, Body=json.dumps(_record(mapping, batch, reason, tries, now)).encode())


def _record(
    mapping: dict[str, Any], batch: list[dict[str, Any]], reason: str, tries: int, now: dt.datetime
) -> dict[str, Any]:
    first, last = batch[0]["dynamodb"], batch[-1]["dynamodb"]
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": mapping.get("FunctionArn", ""),
            "condition": reason,
            "approximateInvokeCount": tries,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _text(now, "milliseconds"),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": str(first["SequenceNumber"]),
            "endSequenceNumber": str(last["SequenceNumber"]),
            "approximateArrivalOfFirstRecord": _moment(first),
            "approximateArrivalOfLastRecord": _moment(last),
            "batchSize": len(batch),
            "streamArn": mapping["EventSourceArn"],
        },
        "payload": json.dumps({"Records": batch}),
    }


def _moment(data: dict[str, Any]) -> str:
    return _text(dt.datetime.fromtimestamp(float(data["ApproximateCreationDateTime"]), dt.UTC), "seconds")


def _text(moment: dt.datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
