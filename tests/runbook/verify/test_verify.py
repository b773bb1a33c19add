"""`runbook verify` on the shared sandbox: equal sides are said equal, and each kind of difference is found."""

from __future__ import annotations

import time

import pytest

from functions.domain.masking import MASKED
from runbook.commands import history
from runbook.verify import run
from runbook.verify.compare import BothSides

OPTIONS = run.VerifyOptions(grace=0.2)


@pytest.fixture(scope="module")
def even(context, chefs, sandbox):
    """Both sides with the same records, and nothing else; a test that changes one side restores it."""
    empty(context, chefs, sandbox)
    made = [context.api.request("POST", "/dynamo/chefs", {"firstName": f"chef {n}"}).body["id"] for n in range(30)]
    wait_until_clean(context, chefs)
    yield made
    empty(context, chefs, sandbox)


def empty(context, chefs, sandbox):
    table, client = chefs.modern_table, sandbox.client("dynamodb")
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={"ChefId": item["ChefId"]})
    deadline = time.monotonic() + 60
    while True:
        with sandbox.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM chefdb.cheftable WHERE streamback_key IS NULL")
            cursor.execute("SELECT COUNT(*) FROM chefdb.cheftable")
            if cursor.fetchone() == (0,):
                return
        assert time.monotonic() < deadline, "the deletes did not come through the bridge"
        time.sleep(0.05)


def wait_until_clean(context, chefs):
    assert run.run(context, chefs, run.VerifyOptions(grace=60)).clean


def sql(sandbox, statement, *values):
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_equal_sides_are_clean_and_recorded_in_the_history(context, chefs, even):
    found = run.run(context, chefs, OPTIONS)
    assert (found.clean, found.items, found.rows, found.equal) == (True, 30, 30, 30)
    newest = history.newest(context, [chefs], 1)[0]
    assert (newest.command, newest.result, newest.details["equal"]) == ("verify", "equal", 30)


def test_a_changed_field_is_reported_with_both_values(context, chefs, even, sandbox):
    sql(sandbox, "UPDATE chefdb.cheftable SET cheffirst = 'else' WHERE streamback_key = %s", even[3])
    found = run.run(context, chefs, OPTIONS)
    sql(sandbox, "UPDATE chefdb.cheftable SET cheffirst = 'chef 3' WHERE streamback_key = %s", even[3])
    (difference,) = found.differences
    assert (difference.key, difference.kind, found.equal) == (even[3], "fields", 29)
    assert [(field.field, field.legacy, field.modern) for field in difference.fields] == [
        ("firstName", "else", "chef 3")
    ]


def test_what_is_on_one_side_only_is_found_though_the_counts_agree(context, chefs, even, sandbox):
    rename = "UPDATE chefdb.cheftable SET streamback_key = %s WHERE streamback_key = %s"
    sql(sandbox, rename, "another", even[5])
    found = run.run(context, chefs, OPTIONS)
    sql(sandbox, rename, even[5], "another")
    assert found.items == found.rows == 30
    assert sorted(difference.kind for difference in found.differences) == ["only in legacy", "only in modern"]


def test_an_item_that_does_not_fit_the_mapping_is_reported_with_its_reason(context, chefs, even, sandbox):
    client = sandbox.client("dynamodb")
    good = {"ChefId": {"S": even[0]}, "firstName": {"S": "chef 0"}, "streamback_origin": {"S": "legacy"}}
    client.put_item(TableName=chefs.modern_table, Item={**good, "firstName": {"N": "1"}})
    (difference,) = run.run(context, chefs, OPTIONS).differences
    client.put_item(TableName=chefs.modern_table, Item=good)
    assert difference.kind == "unreadable"
    assert "firstName" in difference.reason


def test_a_difference_that_vanishes_within_the_grace_does_not_count(context, chefs, even):
    for number, key in enumerate(even):
        context.api.request("PUT", f"/dynamo/chefs/{key}", {"firstName": f"changed {number}"})
    assert run.run(context, chefs, run.VerifyOptions(grace=60)).clean


def test_a_sample_compares_some_and_always_the_same(context, chefs, even):
    first, second = (run.run(context, chefs, run.VerifyOptions(sample=0.5, grace=0)) for _ in range(2))
    assert 0 < first.compared < 30
    assert first.compared == second.compared == first.equal


def test_a_masked_field_shows_no_value(context, chefs):
    described = context.target.mapping["chefs"]
    masked = {name: vars(field) | {"masked": True} for name, field in described.fields.items()}
    fields = {name: type(described.fields[name])(**values) for name, values in masked.items()}
    entity = type(described)(name="chefs", legacy=described.legacy, modern=described.modern, fields=fields)
    sides = BothSides(entity, None, "", None, None)
    legacy, modern = ({"firstName": value, "lastName": "x"} for value in ("secret", "other"))
    found = sides._fields(type("R", (), {"fields": legacy}), type("R", (), {"fields": modern}))
    assert [(one.legacy, one.modern) for one in found] == [(MASKED, MASKED)]
