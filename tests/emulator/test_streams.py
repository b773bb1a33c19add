"""A table whose stream is disabled and enabled has a new stream, as on AWS; with MiniStack as it comes, these fail."""

from __future__ import annotations

import pytest

ON = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.fixture
def streams(parts):
    """The descriptions and sequence numbers of three streams of one table, in their order."""
    client, found = parts.clients["dynamodb"], []
    table = parts.table(stream=True)["TableName"]
    for number in range(3):
        arn = client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        for each in range(2):
            parts.put(table, f"{number} {each}")
        found.append(read(parts, arn))
        client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
        client.update_table(TableName=table, StreamSpecification=ON)
    return found


def read(parts, arn):
    client = parts.sandbox.client("dynamodbstreams")
    described = client.describe_stream(StreamArn=arn)["StreamDescription"]
    shard = described["Shards"][0]["ShardId"]
    place = client.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = client.get_records(ShardIterator=place)["Records"]
    return described, [int(record["dynamodb"]["SequenceNumber"]) for record in records]


def test_numbers_grow_within_a_stream_and_those_of_a_later_one_are_lower(streams):
    numbers = [found for _, found in streams]
    assert all(len(each) == 2 and each == sorted(each) for each in numbers)
    assert min(numbers[0]) > max(numbers[1]) > min(numbers[1]) > max(numbers[2])


def test_each_stream_says_when_it_was_enabled(streams):
    began = [described["CreationRequestDateTime"] for described, _ in streams]
    assert began[0] < began[1] < began[2]
