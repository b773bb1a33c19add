"""Scans by page, whole and in segments, give every item once, whatever changes in between."""

from __future__ import annotations

import random
import uuid

import pytest

from sandbox.emulator.performance.scans import Order, share

ITEMS = 230


@pytest.fixture
def table(sandbox):
    client, name = sandbox.client("dynamodb"), f"scans-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield Table(client, name)
    client.delete_table(TableName=name)


class Table:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def put(self, *keys):
        for key in keys:
            self.client.put_item(TableName=self.name, Item={"k": {"S": key}, "v": {"S": "x"}})

    def delete(self, key):
        self.client.delete_item(TableName=self.name, Key={"k": {"S": key}})

    def pages(self, **how):
        start = {}
        while True:
            answer = self.client.scan(TableName=self.name, ConsistentRead=True, **how, **start)
            yield [item["k"]["S"] for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def all(self, **how):
        return [key for page in self.pages(**how) for key in page]


@pytest.fixture
def keys(table):
    made = [uuid.uuid4().hex for _ in range(ITEMS)]
    table.put(*made)
    return made


@pytest.mark.parametrize("limit", [1, 7, 100, ITEMS, ITEMS + 1])
def test_pages_give_every_item_once_and_as_many_as_asked_for(table, keys, limit):
    pages = list(table.pages(Limit=limit))
    assert sorted(key for page in pages for key in page) == sorted(keys)
    assert {len(page) for page in pages[:-1]} <= {limit}


@pytest.mark.parametrize("how", [{}, {"Limit": 10}])
def test_segments_share_the_items(table, keys, how):
    parts = [table.all(Segment=n, TotalSegments=3, **how) for n in range(3)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    assert all(parts)


def test_an_empty_table_and_a_filter_that_matches_nothing_end(table, keys):
    found = table.all(Limit=50, FilterExpression="v = :v", ExpressionAttributeValues={":v": {"S": "y"}})
    assert found == []
    for key in keys:
        table.delete(key)
    assert list(table.pages(Limit=5)) == [[]]


def test_what_stays_is_found_while_others_come_and_go(table, keys):
    chance, seen = random.Random(1), []
    stays = set(keys[: ITEMS // 2])
    for page in table.pages(Limit=9):
        seen += page
        table.put(uuid.uuid4().hex)
        table.delete(chance.choice(keys[ITEMS // 2 :]))
        if page:
            gone = [key for key in page if key not in stays]
            for key in gone[:1]:
                table.delete(key)  # it may be the one that the next page starts from
    assert stays <= set(seen)
    assert len(seen) == len(set(seen))


def test_keys_that_were_changed_behind_it_are_sorted_anew():
    order, items = Order(), {"b": {}, "a": {}}
    assert order.of(items) == ["a", "b"]
    items["0"] = {}
    assert order.of(items) == ["0", "a", "b"]


def test_a_share_of_segments_is_even():
    counts = [sum(share(str(n)) % 4 == part for n in range(4000)) for part in range(4)]
    assert min(counts) > 900
