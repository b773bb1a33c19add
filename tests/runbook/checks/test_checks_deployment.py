"""Each check of what is deployed turns red for its cause: clocks, streams, mappings, functions, the quarantine."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from own_table import ENTITY, aimed, entity_aimed, looked, red

from functions.aws.quarantine import Quarantine
from functions.domain.phase import Phase
from runbook.aws.failure_bucket import prefix
from runbook.checks import deployment, routes
from runbook.journal.state import Operation, State


def test_clocks_that_differ_are_red(context, monkeypatch):
    chefs = context.target.entity(ENTITY)
    assert deployment.clocks(context, chefs).ok
    monkeypatch.setattr(deployment, "now", lambda: datetime.now(UTC) + timedelta(seconds=10))
    found = deployment.clocks(context, chefs)
    assert found.ok is False
    assert found.value.startswith("Aurora -")
    assert "DynamoDB -" in found.value


@pytest.mark.parametrize(
    ("said", "step", "expected"), [(3, 0, 0), (7, 0, 2), (-2, 0, -2), (-2, 1, -1), (-0.5, 1, 0), (0, 0, 0), (5, 0, 0)]
)
def test_a_slow_answer_is_not_taken_for_a_skewed_clock(said, step, expected):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    answer = deployment.skew(begin, begin + timedelta(seconds=said), begin + timedelta(seconds=5), step)
    assert answer == pytest.approx(expected)


def test_an_entity_that_init_has_not_seen_or_that_is_complete_is_red():
    assert routes.known(None).ok is False
    assert routes.known(State(entity=ENTITY, phase=Phase.COMPLETE)).ok is False
    assert routes.known(State(entity=ENTITY, phase=Phase.MODERN)).ok


def test_a_complete_entity_has_no_other_check(context, monkeypatch):
    monkeypatch.setattr("runbook.journal.journal.Journal.find", lambda *_: State(entity=ENTITY, phase=Phase.COMPLETE))
    assert red(looked(context)) == ["phase"]


def test_a_raised_fence_is_green_while_a_switch_is_under_way(world):
    context = world.context()
    world.sql("UPDATE streamback_control SET fenced = 1")
    entity = context.target.mapping[ENTITY]
    operation = Operation(id="1", command="cutover writes", arguments={}, operator="me", started_at="now", step="fence")
    legacy = State(entity=ENTITY, phase=Phase.LEGACY)
    assert deployment.fence(context, entity, legacy).ok is False
    assert deployment.fence(context, entity, replace(legacy, operation=operation)).ok
    assert deployment.fence(context, entity, replace(legacy, phase=Phase.MODERN)).ok


@pytest.fixture
def sorted_table(context):
    """A DynamoDB table with a sort key and no stream."""
    name = f"sorted-{uuid.uuid4().hex[:8]}"
    keys = ("ChefId", "HASH"), ("Day", "RANGE")
    context.clients.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
    )
    yield name
    context.clients.dynamodb.delete_table(TableName=name)


def test_another_modern_table_is_red_in_each_check_about_it(context, sorted_table):
    found = looked(entity_aimed(context, modern_table=sorted_table))
    assert red(found) == ["stream", "stream view", "modern table", "noted stream"]
    assert "Day RANGE" in found["modern table"].value


MAPPING_CHANGES = {
    "does not bisect": {"BisectBatchOnFunctionError": False},
    "tries 3 times": {"MaximumRetryAttempts": 3},
    "keeps a record for 86400 s": {"MaximumRecordAgeInSeconds": 86400},
}


@pytest.fixture
def changed_mapping(context):
    """Changes chefs' mapping until the test ends."""
    uuid_, functions = context.target.entity(ENTITY).bridge_mapping_id, context.clients.functions
    before = functions.get_event_source_mapping(UUID=uuid_)
    kept = ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds")
    yield lambda **changes: functions.update_event_source_mapping(UUID=uuid_, **changes)
    restored = {name: before[name] for name in kept} | {"FilterCriteria": {"Filters": []}}
    functions.update_event_source_mapping(UUID=uuid_, Enabled=True, **restored)


@pytest.mark.parametrize("says", MAPPING_CHANGES)
def test_a_mapping_that_would_lose_records_is_red(context, changed_mapping, says):
    changed_mapping(**MAPPING_CHANGES[says])
    check = looked(context)["batches"]
    assert check.ok is False
    assert says in check.value


def test_a_mapping_to_another_function_or_failure_bucket_is_red(context):
    context.clients.s3.create_bucket(Bucket="elsewhere")
    other = entity_aimed(aimed(context, failure_bucket="elsewhere"), bridge_function="another")
    check = looked(other)["batches"]
    assert check.ok is False
    assert "calls arn:" in check.value
    assert "dead-letters to arn:aws:s3:::" in check.value
    context.clients.s3.delete_bucket(Bucket="elsewhere")


def test_a_mapping_that_is_off_filters_otherwise_or_is_gone_is_red(context, changed_mapping):
    changed_mapping(Enabled=False)
    assert looked(context)["mapping"].ok is False
    changed_mapping(FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]})
    assert looked(context)["filter"].ok is False
    assert looked(entity_aimed(context, bridge_mapping_id=str(uuid.uuid4())))["mapping"].value == "missing"
    assert looked(entity_aimed(context, bridge_mapping_id=""))["bridge"].ok is False


def _await(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_bridge_whose_last_batch_failed_is_red(context, database):
    chefs, known = (
        context.target.entity(ENTITY),
        "UPDATE chefdb.streamback_streams SET stream_arn = %s WHERE entity = %s",
    )
    item = {"ChefId": {"S": f"preflight-{uuid.uuid4().hex}"}}
    with database.cursor() as cursor:
        cursor.execute(known, ("another", ENTITY))
        try:
            context.clients.dynamodb.put_item(TableName=chefs.modern_table, Item=item)
            _await(lambda: looked(context, quick=True)["last batch"].ok is False)
            assert red(looked(context, quick=True)) == ["last batch", "noted stream"]
        finally:
            cursor.execute(known, (chefs.stream_arn, ENTITY))
            context.clients.dynamodb.delete_item(TableName=chefs.modern_table, Key=item)
        _await(lambda: not red(looked(context, quick=True)))


def test_what_waits_in_quarantine_is_red(context):
    target, place = context.target, {"entity": {"S": ENTITY}, "item_key": {"S": "preflight"}}
    Quarantine(context.clients.dynamodb, target.quarantine_table, "a test", "").put_key(ENTITY, "x", "preflight", "why")
    name = f"{prefix(target.entity(ENTITY).bridge_mapping_id)}preflight"
    context.clients.s3.put_object(Bucket=target.failure_bucket, Key=name, Body=b"{}")
    try:
        assert red(looked(context)) == ["quarantine", "dead-lettered"]
    finally:
        context.clients.dynamodb.delete_item(TableName=target.quarantine_table, Key=place)
        context.clients.s3.delete_object(Bucket=target.failure_bucket, Key=name)


@pytest.mark.parametrize(
    ("function", "says"), [("", "not deployed"), ("gone", "gone is missing"), ("read", "does not know chefs")]
)
def test_a_copy_or_gate_function_that_cannot_serve_the_entity_is_red(context, function, says):
    name = context.target.entity(ENTITY).legacy_read_function if function == "read" else function
    found = looked(aimed(context, copy_function=name, gate_function=name))
    assert [found[each].ok for each in ("copy function", "gate function")] == [False, False]
    assert found["copy function"].value == found["gate function"].value == says
