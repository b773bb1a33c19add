"""Which changes the bridge is not done with, by what Aurora and the quarantine know of each key."""

from __future__ import annotations

import time
import uuid

import pytest

from functions.aws.data_api import DataApi
from functions.aws.quarantine import Quarantine
from functions.domain.changes import Change, ChangeKind
from runbook.aws.stream import Seen
from runbook.cutover import drain

TIMEOUT = 60.0
HIGH = 10**30


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")


def seen(sequence, *, legacy=False, removed=False):
    return Seen(sequence=sequence, legacy=legacy, removed=removed)


@pytest.fixture
def key(sandbox):
    """A key of its own, whose row is gone afterwards; the memory of its delete stays, since the stream reports it."""
    made = f"d-{uuid.uuid4().hex[:8]}"
    yield made
    sql(sandbox, "DELETE FROM chefdb.cheftable WHERE streamback_key = %s", made)


def sql(sandbox, statement, *values):
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)


def row(sandbox, key, sequence):
    columns = "cheffirst, cheflast, streamback_key, streamback_sequence"
    sql(sandbox, f"INSERT INTO chefdb.cheftable ({columns}) VALUES ('a', 'b', %s, %s)", key, sequence)


def test_a_change_is_applied_when_its_row_has_its_sequence_or_a_later_one(context, chefs, sandbox, key):
    row(sandbox, key, HIGH)
    assert drain.unapplied(context, chefs, {key: seen(HIGH)}) == {}
    assert drain.unapplied(context, chefs, {key: seen(HIGH - 1)}) == {}
    assert set(drain.unapplied(context, chefs, {key: seen(HIGH + 1)})) == {key}


def test_a_change_is_applied_when_a_delete_as_late_has_its_tombstone(context, chefs, sandbox, key):
    assert set(drain.unapplied(context, chefs, {key: seen(HIGH, removed=True)})) == {key}
    remember = "INSERT INTO chefdb.streamback_deletes (entity, item_key, sequence, deleted_at)"
    sql(sandbox, f"{remember} VALUES ('chefs', %s, %s, NOW(6))", key, HIGH)
    assert drain.unapplied(context, chefs, {key: seen(HIGH, removed=True)}) == {}


def test_a_delete_with_a_tombstone_while_its_row_is_there_has_not_been_made_yet(context, chefs, sandbox, key):
    row(sandbox, key, HIGH - 1)
    remember = "INSERT INTO chefdb.streamback_deletes (entity, item_key, sequence, deleted_at)"
    sql(sandbox, f"{remember} VALUES ('chefs', %s, %s, NOW(6))", key, HIGH)
    assert set(drain.unapplied(context, chefs, {key: seen(HIGH, removed=True)})) == {key}
    sql(sandbox, "DELETE FROM chefdb.cheftable WHERE streamback_key = %s", key)
    assert drain.unapplied(context, chefs, {key: seen(HIGH, removed=True)}) == {}


def test_a_change_that_a_later_delete_has_overtaken_is_not_waited_for_whatever_row_is_there_now(
    context, chefs, sandbox, key
):
    row(sandbox, key, None)
    remember = "INSERT INTO chefdb.streamback_deletes (entity, item_key, sequence, deleted_at)"
    sql(sandbox, f"{remember} VALUES ('chefs', %s, %s, NOW(6))", key, HIGH)
    assert drain.unapplied(context, chefs, {key: seen(HIGH)}) == {}
    assert set(drain.unapplied(context, chefs, {key: seen(HIGH + 1)})) == {key}


def test_a_row_under_another_spelling_says_nothing_of_a_key(context, chefs, monkeypatch):
    answers = [[], [[{"stringValue": f"{HIGH} 0 0 utf8mb4_general_ci  a"}]], []]
    monkeypatch.setattr(DataApi, "query", lambda *_: answers.pop(0))
    assert set(drain.unapplied(context, chefs, {"a ": seen(1)})) == {"a "}


def test_a_row_without_a_sequence_has_no_change_applied(context, chefs, sandbox, key):
    row(sandbox, key, None)
    assert set(drain.unapplied(context, chefs, {key: seen(1)})) == {key}


def test_what_copy_wrote_and_what_no_row_can_hold_is_not_waited_for(context, chefs, key):
    assert drain.unapplied(context, chefs, {key: seen(HIGH, legacy=True), "x" * 300: seen(HIGH)}) == {}


def test_what_is_in_quarantine_waits_for_the_operator_and_not_for_the_bridge(context, chefs, key):
    table, client = context.target.quarantine_table, context.clients.dynamodb
    change = Change(key=key, sequence=HIGH, kind=ChangeKind.UPSERT)
    described = context.target.mapping["chefs"]
    try:
        Quarantine(client, table, "a test", "another stream").put(described, change, "a test")
        assert set(drain.unapplied(context, chefs, {key: seen(HIGH)})) == {key}
        Quarantine(client, table, "a test", chefs.stream_arn).put(described, change, "a test")
        assert drain.unapplied(context, chefs, {key: seen(HIGH)}) == {}
        assert set(drain.unapplied(context, chefs, {key: seen(HIGH + 1)})) == {key}
    finally:
        client.delete_item(TableName=table, Key={"entity": {"S": "chefs"}, "item_key": {"S": key}})


def test_many_keys_are_looked_up_in_several_statements(context, chefs, sandbox, key):
    row(sandbox, key, HIGH)
    others = {f"none-{number}": seen(HIGH) for number in range(2 * drain.KEYS_AT_ONCE)}
    assert set(drain.unapplied(context, chefs, {**others, key: seen(HIGH)})) == set(others)


def test_a_database_that_does_not_answer_has_nothing_applied(context, chefs, sandbox, key):
    row(sandbox, key, HIGH)
    sandbox.database.stop()
    try:
        assert set(drain.unapplied(context, chefs, {key: seen(HIGH)})) == {key}
    finally:
        sandbox.database.start()
    assert drain.unapplied(context, chefs, {key: seen(HIGH)}) == {}


def test_what_the_follower_saw_is_applied_by_the_bridge(context, chefs, sandbox):
    made = [context.api.request("POST", "/dynamo/chefs", {"firstName": f"d {n}"}).body["id"] for n in range(3)]
    context.api.request("DELETE", f"/dynamo/chefs/{made[0]}")
    follower = context.follower(chefs, wanted=set(made))
    follower.reach(TIMEOUT)
    left = follower.take()
    assert set(left) == set(made)
    wait_until_applied(context, chefs, left)
    for key in made[1:]:
        context.api.request("DELETE", f"/dynamo/chefs/{key}")
    follower.reach(TIMEOUT)
    wait_until_applied(context, chefs, follower.take())


def wait_until_applied(context, chefs, left):
    deadline = time.monotonic() + TIMEOUT
    while left:
        assert time.monotonic() < deadline, left
        left = drain.unapplied(context, chefs, left)
        time.sleep(0.05)
