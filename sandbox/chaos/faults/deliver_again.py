"""An old batch of the stream comes to the bridge once more."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sandbox.chaos.faults.attack import Attack
from sandbox.chaos.system import Arena

REPLAYED = 60  # records of an old batch at most


def deliver_again(attack: Attack) -> None:
    records = stream(attack.arena)
    if not records:
        return
    start = attack.rng.randrange(len(records))
    batch = records[start : start + attack.rng.randint(1, REPLAYED)]
    failed = "" if deliver(attack.arena, batch) else " (it failed)"
    attack.note(f"{len(batch)} records from {start} of {len(records)} on delivered again{failed}")


def deliver(arena: Arena, batch: Sequence[Mapping[str, Any]]) -> bool:
    """Give records to the bridge, as its mapping does; whether it took them."""
    answer = arena.clients.functions.invoke(
        FunctionName=arena.deployed.bridge_function, Payload=json.dumps({"Records": batch}).encode()
    )
    return not answer.get("FunctionError")


def stream(arena: Arena) -> list[dict[str, Any]]:
    """All records from the stream's beginning, as Lambda gets them."""
    client = arena.sandbox.client("dynamodbstreams")
    arn = arena.deployed.stream_arn
    records: list[dict[str, Any]] = []
    with contextlib.suppress(ClientError):
        for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            place = client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while place:
                answer = client.get_records(ShardIterator=place)
                records += [_event(record, arn) for record in answer["Records"]]
                place = answer.get("NextShardIterator") if answer["Records"] else None
    return records


def _event(record: dict[str, Any], arn: str) -> dict[str, Any]:
    data = record["dynamodb"]
    moment = data["ApproximateCreationDateTime"].timestamp()
    return {**record, "eventSourceARN": arn, "dynamodb": {**data, "ApproximateCreationDateTime": moment}}
