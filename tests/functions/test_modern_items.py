"""The modern store alone: items that others put into the table, and pages of any content."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from functions.domain import entities, mapping
from functions.domain.errors import UnmappableError
from functions.modern.table import PAGE_BYTES, ModernStore

ENTITIES = entities.load(Path(__file__).parents[1] / "entities.toml")


@pytest.fixture
def table(sandbox):
    client, name = sandbox.client("dynamodb"), f"chef-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "ChefId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "ChefId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client, name
    client.delete_table(TableName=name)


@pytest.fixture
def store(table):
    return ModernStore(ENTITIES["chefs"], *table)


def put(table, key, **attributes):
    client, name = table
    client.put_item(TableName=name, Item={"ChefId": {"S": key}, **attributes})


def test_an_item_past_the_mappings_limits_is_shown_as_it_is_and_hides_no_other(table, store):
    put(table, "long", firstName={"S": "x" * 300})
    put(table, "good", firstName={"S": "Ana"})
    shown = {record.key: record.fields["firstName"] for record in store.page(10, "").records}
    assert shown == {"long": "x" * 300, "good": "Ana"}
    assert store.get("long").fields["firstName"] == "x" * 300


def test_an_item_of_a_wrong_type_is_an_error_that_names_it(table, store):
    put(table, "odd", firstName={"N": "1"})
    with pytest.raises(UnmappableError, match=r"firstName.*odd"):
        store.get("odd")


def test_an_item_of_a_wrong_type_is_named_on_its_page_and_hides_no_other(table, store):
    put(table, "odd", firstName={"N": "1"})
    put(table, "good", firstName={"S": "Ana"})
    page = store.page(10, "")
    assert ([record.key for record in page.records], page.unrepresentable) == (["good"], ["odd"])


def test_what_is_read_past_the_limits_still_does_not_fit_the_mapping():
    item = {"ChefId": {"S": "a"}, "firstName": {"S": "x" * 300}}
    with pytest.raises(UnmappableError):
        mapping.record_from_item(ENTITIES["chefs"], item)


def test_a_page_of_large_items_ends_before_an_answer_could_be_too_large(table, store):
    for number in range(12):
        put(table, f"k{number}", firstName={"S": "\x01" * 150_000})
    seen, after = [], ""
    while True:
        page = store.page(1000, after)
        assert len(page.records) * 150_000 <= PAGE_BYTES
        seen += [record.key for record in page.records]
        after = page.after
        if not after:
            break
    assert sorted(seen) == sorted(f"k{number}" for number in range(12))
