"""Stream mappings in the sandbox fail as AWS's do; with MiniStack as it comes, each of these fails."""

from __future__ import annotations

import json
import time

import pytest
from emulator_parts import until

from sandbox.emulator.behaviour import on_failure
from sandbox.emulator.behaviour.stream_mapping import Stream

# Notes every delivery in a table: which keys came, in which order. Fails as its environment says.
CODE = """
import boto3, os, time, uuid
log = boto3.client("dynamodb")
def handler(event, context):
    keys = [(r["dynamodb"]["Keys"]["k"]["S"], r["dynamodb"]["NewImage"]["v"]["S"]) for r in event["Records"]]
    mode = os.environ["MODE"]
    seen = log.scan(TableName=os.environ["LOG"], ConsistentRead=True)["Items"]
    bad = [i for i, (k, _) in enumerate(keys) if k.startswith("poison")]
    failed = (mode == "twice" and len(seen) < 2) or (mode == "poison" and bad)
    partial = mode == "partial" and len(seen) < 1 and len(keys) > 2
    log.put_item(TableName=os.environ["LOG"], Item={
        "k": {"S": "%020d-%s" % (time.time_ns(), uuid.uuid4().hex)},
        "keys": {"S": " ".join(k + "=" + v for k, v in keys)}, "failed": {"BOOL": bool(failed)}})
    if failed:
        raise ValueError("as configured")
    if partial:
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][2]["dynamodb"]["SequenceNumber"]}]}
"""


class Mapped:
    """A table, a function that notes what it gets, and the mapping between them."""

    def __init__(self, parts, mode, **options):
        self.parts = parts
        self.log = parts.table()["TableName"]
        made = parts.table(stream=True)
        self.table = made["TableName"]
        self.function = parts.function(CODE, MODE=mode, LOG=self.log)
        self.mapping = parts.clients["lambda"].create_event_source_mapping(
            EventSourceArn=made["LatestStreamArn"],
            FunctionName=self.function,
            StartingPosition="TRIM_HORIZON",
            **{"BatchSize": 100, **options},
        )["UUID"]

    def deliveries(self, *, failed=None):
        items = self.parts.clients["dynamodb"].scan(TableName=self.log, ConsistentRead=True)["Items"]
        ordered = sorted(items, key=lambda item: item["k"]["S"])
        return [item["keys"]["S"].split() for item in ordered if failed in (None, item["failed"]["BOOL"])]

    def delivered(self):
        return [key for batch in self.deliveries(failed=False) for key in batch]

    def put(self, *keys):
        for key in keys:
            self.parts.put(self.table, key, "1")

    def switch(self, *, on):
        self.parts.clients["lambda"].update_event_source_mapping(UUID=self.mapping, Enabled=on)

    def close(self):
        self.parts.clients["lambda"].delete_event_source_mapping(UUID=self.mapping)


@pytest.fixture
def mapped(parts):
    made = []

    def make(mode, **options):
        made.append(Mapped(parts, mode, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_failed_batch_is_delivered_again_until_it_succeeds(mapped):
    found = mapped("twice", MaximumBatchingWindowInSeconds=1)
    found.put("a", "b")
    until(found.delivered)
    assert found.delivered() == ["a=1", "b=1"]
    assert len(found.deliveries(failed=True)) == 2


def test_a_poison_record_is_bisected_out_put_into_the_bucket_whole_and_its_neighbours_arrive(mapped, parts):
    bucket = parts.unique()
    parts.clients["s3"].create_bucket(Bucket=bucket)
    found = mapped(
        "poison",
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=0,
        MaximumBatchingWindowInSeconds=1,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    found.put("a", "b", "poison", "c", "d")
    listed = until(lambda: parts.clients["s3"].list_objects_v2(Bucket=bucket).get("Contents"))
    until(lambda: sorted(found.delivered()) == ["a=1", "b=1", "c=1", "d=1"])
    assert len(listed) == 1
    assert listed[0]["Key"].startswith(f"aws/lambda/{found.mapping}/")
    dead_lettered = json.loads(parts.clients["s3"].get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read())
    records = json.loads(dead_lettered["payload"])["Records"]
    assert [record["dynamodb"]["NewImage"]["k"]["S"] for record in records] == ["poison"]
    assert dead_lettered["requestContext"]["condition"] == "RetryAttemptsExhausted"


def test_after_a_partial_failure_the_rest_is_delivered_again_from_the_first_failed_record(mapped):
    found = mapped("partial", FunctionResponseTypes=["ReportBatchItemFailures"], MaximumBatchingWindowInSeconds=1)
    found.switch(on=False)
    found.put("a", "b", "c", "d")
    found.switch(on=True)
    until(lambda: len(found.deliveries()) > 1)
    assert found.deliveries() == [["a=1", "b=1", "c=1", "d=1"], ["c=1", "d=1"]]


def test_records_of_one_key_stay_in_order_however_many_lanes_there_are(mapped, parts):
    found = mapped("none", ParallelizationFactor=10, BatchSize=5)
    for turn in range(12):
        for key in ("x", "y", "z"):
            parts.put(found.table, key, str(turn))
    until(lambda: len(found.delivered()) == 36)
    for key in ("x", "y", "z"):
        assert [one for one in found.delivered() if one.startswith(key)] == [f"{key}={turn}" for turn in range(12)]


def test_a_paused_mapping_delivers_nothing_and_goes_on_where_it_was(mapped):
    found = mapped("none")
    found.put("a")
    until(lambda: found.delivered() == ["a=1"])
    found.switch(on=False)
    found.put("b")
    found.switch(on=True)
    found.put("c")
    until(lambda: len(found.delivered()) == 3)
    assert found.delivered() == ["a=1", "b=1", "c=1"]


UNMARKED_ONLY = [{"exists": False}]
OTHERS = [{"anything-but": ["legacy"]}]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [([UNMARKED_ONLY], ["plain"]), ([OTHERS], ["other"]), ([UNMARKED_ONLY, OTHERS], ["plain", "other"])],
)
def test_a_filter_distinguishes_an_absent_attribute_from_another_value(mapped, parts, patterns, expected):
    filters = [{"Pattern": json.dumps({"dynamodb": {"NewImage": {"mark": {"S": pattern}}}})} for pattern in patterns]
    end = {"Pattern": json.dumps({"dynamodb": {"Keys": {"k": {"S": ["end"]}}}})}
    found = mapped("none", FilterCriteria={"Filters": [*filters, end]})
    put = parts.clients["dynamodb"].put_item
    for mark in ("plain", "legacy", "other", "end"):
        extra = {} if mark == "plain" else {"mark": {"S": "legacy" if mark == "end" else mark}}
        put(TableName=found.table, Item={"k": {"S": mark}, "v": {"S": "1"}, **extra})
    until(lambda: "end=1" in found.delivered())
    assert [key.removesuffix("=1") for key in found.delivered()] == [*expected, "end"]


def test_records_past_the_age_limit_are_given_up_and_the_young_ones_of_their_batch_are_not(monkeypatch):
    dead_lettered = []
    monkeypatch.setattr(on_failure, "put", lambda *given: dead_lettered.append(given))
    stream = Stream(
        {
            "EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/x",
            "MaximumRecordAgeInSeconds": 60,
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
        }
    )
    now = time.time()
    old, young = ({"dynamodb": {"ApproximateCreationDateTime": now - age}} for age in (90, 5))
    assert stream._young([old, young], {}, 2) == [young]
    (bucket, _, batch, reason, tries) = dead_lettered[0]
    assert (bucket, batch, reason, tries) == ("failures", [old], "RecordAgeExceeded", 2)


def test_what_a_partiql_statement_writes_is_in_the_stream(mapped):
    found = mapped("none")

    def execute(statement):
        found.parts.clients["dynamodb"].execute_statement(Statement=statement)

    execute(f"INSERT INTO \"{found.table}\" VALUE {{'k': 'a', 'v': '1'}}")
    execute(f"UPDATE \"{found.table}\" SET v = '2' WHERE k = 'a'")
    execute(f"UPDATE \"{found.table}\" SET v = '2' WHERE k = 'a'")
    execute(f"SELECT * FROM \"{found.table}\" WHERE k = 'a'")
    found.put("end")
    until(lambda: found.delivered()[-1:] == ["end=1"])
    assert found.delivered() == ["a=1", "a=2", "end=1"]
