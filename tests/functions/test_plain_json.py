"""A client that writes and reads JSON by itself gives what boto3's own gives, to the byte."""

from __future__ import annotations

import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from functions.aws import plain_json

ITEM = {
    "Id": {"S": 'one 🍕 "quoted" \\ \u2028'},
    "number": {"N": "-12345678901234567890.5"},
    "bytes": {"B": bytes(range(256))},
    "B": {"S": "an attribute of this name"},
    "BS": {"BS": [b"\x00", b"\xff"]},
    "nested": {"M": {"B": {"B": b"deep"}, "BS": {"L": [{"B": b""}, {"NULL": True}, {"BOOL": False}]}}},
    "texts": {"SS": ["a", "b"]},
}
PUT = [{"PutRequest": {"Item": {**ITEM, "Id": {"S": "two"}}}}]


@pytest.fixture
def clients(sandbox):
    """boto3's own DynamoDB client and the plain one, and a table."""
    own = sandbox.client("dynamodb")
    credentials = own._request_signer._credentials  # the sandbox's operator
    session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=own.meta.region_name)
    plain = plain_json.client(session, "dynamodb", Config(), endpoint_url=own.meta.endpoint_url)
    table = f"plain-{uuid.uuid4().hex[:8]}"
    own.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield own, plain, table
    own.delete_table(TableName=table)


def without_metadata(answer):
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_what_one_client_writes_the_other_reads(clients):
    own, plain, table = clients
    for writer, reader in ((own, plain), (plain, own)):
        writer.put_item(TableName=table, Item=ITEM)
        assert reader.get_item(TableName=table, Key={"Id": ITEM["Id"]})["Item"] == ITEM
        writer.batch_write_item(RequestItems={table: PUT})
        writer.transact_write_items(TransactItems=[{"Delete": {"TableName": table, "Key": {"Id": ITEM["Id"]}}}])
        assert [item["Id"]["S"] for item in reader.scan(TableName=table)["Items"]] == ["two"]


def test_both_clients_answer_alike(clients):
    own, plain, table = clients
    own.put_item(TableName=table, Item=ITEM)
    keys = {table: {"Keys": [{"Id": ITEM["Id"]}], "ConsistentRead": True}}
    gets = [{"Get": {"TableName": table, "Key": {"Id": ITEM["Id"]}}}]
    for call in (
        lambda client: client.scan(TableName=table, Limit=1),
        lambda client: client.batch_get_item(RequestItems=keys),
        lambda client: client.transact_get_items(TransactItems=gets),
        lambda client: client.get_item(TableName=table, Key={"Id": {"S": "of no item"}}),
        lambda client: client.describe_table(TableName=table),
    ):
        assert without_metadata(call(plain)) == without_metadata(call(own))


def test_an_error_is_boto3s_own_with_its_reasons(clients):
    own, plain, table = clients
    own.put_item(TableName=table, Item=ITEM)
    condition = {"ConditionExpression": "attribute_not_exists(Id)"}
    for client in (own, plain):
        with pytest.raises(ClientError) as raised:
            client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": ITEM, **condition}}])
        assert raised.value.response["Error"]["Code"] == "TransactionCanceledException"
        assert raised.value.response["CancellationReasons"][0]["Code"] == "ConditionalCheckFailed"


def test_a_caller_keeps_its_parameters_and_a_transaction_has_a_token(clients):
    _, plain, table = clients
    sent: list[bytes] = []
    plain.meta.events.register_last("before-call.*.*", lambda params, **_: sent.append(params["body"]))
    given = [{"Put": {"TableName": table, "Item": dict(ITEM)}}]
    plain.transact_write_items(TransactItems=given)
    assert given == [{"Put": {"TableName": table, "Item": ITEM}}]
    assert b"ClientRequestToken" in sent[0]
    assert b"an attribute of this name" in sent[0]


def test_cells_of_the_data_api_are_the_same(sandbox):
    own = sandbox.client("rds-data")
    credentials = own._request_signer._credentials
    session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=own.meta.region_name)
    plain = plain_json.client(session, "rds-data", Config(), endpoint_url=own.meta.endpoint_url)
    asked = {
        "resourceArn": sandbox.outputs["clusterArn"],
        "secretArn": sandbox.outputs["masterSecretArn"],
        "sql": "SELECT :bytes, :text, :number, NULL, 1.5e0, CAST(:bytes AS CHAR)",
        "parameters": [
            {"name": "bytes", "value": {"blobValue": b"\x00\xffblobValue"[2:]}},
            {"name": "text", "value": {"stringValue": '"blobValue" 🍕'}},
            {"name": "number", "value": {"longValue": 2**62}},
        ],
    }
    assert without_metadata(plain.execute_statement(**asked)) == without_metadata(own.execute_statement(**asked))


def test_other_services_get_a_client_of_boto3s():
    session = boto3.Session("a", "b", region_name="us-east-1")
    assert plain_json.client(session, "lambda", Config()).meta.config.parameter_validation


def test_a_parameter_that_the_service_would_ignore_is_refused(clients):
    _, plain, table = clients
    with pytest.raises(ParamValidationError, match="Scan has no ConsistentReed"):
        plain.scan(TableName=table, ConsistentReed=True)


@pytest.mark.parametrize("attribute", [{"N": 5}, {"S": 5}, {"BOOL": "true"}, {"B": 5}, {"X": "y"}, {}])
def test_a_value_of_another_type_is_refused_and_nothing_is_written(clients, attribute):
    own, plain, table = clients
    with pytest.raises((ClientError, TypeError)):
        plain.put_item(TableName=table, Item={"Id": {"S": "wrong"}, "value": attribute})
    assert "Item" not in own.get_item(TableName=table, Key={"Id": {"S": "wrong"}})
