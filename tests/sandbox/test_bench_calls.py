"""What the bench counts of calls to AWS, and the dollars that it reckons from them."""

from __future__ import annotations

import boto3
import pytest
from botocore.stub import Stubber

from sandbox.bench.calls import DATA_API, MILLION, WRITE_UNIT, Calls, counted

KB = 1024
WRITES = "dynamodb"


def item(size):
    return {"k": {"S": "x" * (size - 1)}}


def of(operation, given, answer=None, sizes=(0, 0), service=WRITES):
    calls = Calls()
    calls.note(service, operation, given, sizes, answer or {})
    return calls


def test_a_request_of_the_data_api_is_metered_by_32_kb_of_its_longer_half():
    sizes = [(10, 10), (32 * KB, 10), (32 * KB + 1, 10), (10, 100 * KB)]
    assert [of("ExecuteStatement", {}, sizes=each, service="rds-data").metered for each in sizes] == [1, 1, 2, 4]


@pytest.mark.parametrize(
    ("operation", "given", "units"),
    [
        ("PutItem", {"Item": item(KB)}, 1),
        ("PutItem", {"Item": item(KB + 1)}, 2),
        ("UpdateItem", {"Key": item(5)}, 1),
        ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item(3 * KB)}}, {"DeleteRequest": {}}]}}, 4),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"Item": item(KB)}}, {"ConditionCheck": {}}]}, 4),
        ("GetItem", {"Key": item(5)}, 0),
    ],
)
def test_write_units_are_those_of_a_kb_and_twice_in_a_transaction(operation, given, units):
    assert of(operation, given).write_units == units


@pytest.mark.parametrize(
    ("operation", "given", "answer", "units"),
    [
        ("GetItem", {"ConsistentRead": True}, {"Item": item(4 * KB)}, 1),
        ("GetItem", {}, {}, 0.5),
        ("Scan", {}, {"Items": [item(KB)] * 8}, 1),
        (
            "BatchGetItem",
            {"RequestItems": {"t": {"Keys": [1, 2], "ConsistentRead": True}}},
            {"Responses": {"t": []}},
            2,
        ),
        ("TransactGetItems", {}, {"Responses": [{"Item": item(10)}, {}]}, 4),
        ("PutItem", {"Item": item(5)}, {}, 0),
    ],
)
def test_read_units_are_those_of_4_kb_and_half_where_it_is_not_consistent(operation, given, answer, units):
    assert of(operation, given, answer).read_units == units


def test_dollars_follow_from_what_was_metered():
    calls = Calls(metered=2, write_units=3)
    assert calls.dollars == pytest.approx(2 * DATA_API + 3 * WRITE_UNIT)
    calls.requests.update({"lambda": 1_000_000, "secretsmanager": 10_000, "s3": 1000})
    assert calls.dollars == pytest.approx(0.20 + 0.05 + 0.005, rel=1e-3)
    assert pytest.approx(0.625) == MILLION * WRITE_UNIT


@pytest.fixture
def client():
    made = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    return made.client("dynamodb", endpoint_url="http://127.0.0.1:1")


def test_calls_are_counted_in_the_block_and_not_after_it(client):
    with Stubber(client) as stubbed:
        for _ in range(3):
            stubbed.add_response("put_item", {})
        with counted(client) as calls:
            client.put_item(TableName="table", Item=item(2 * KB))
            client.put_item(TableName="table", Item=item(5))
        client.put_item(TableName="table", Item=item(5))
    assert calls.requests == {"dynamodb": 2}
    assert calls.write_units == 3
