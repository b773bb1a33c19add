"""The ways that the bench compares do the same work: each leaves the same rows as the bridge."""

from __future__ import annotations

import os

import pytest

from functions.domain import names
from sandbox import lifecycle
from sandbox.bench import cost
from sandbox.bench.bridge import Throughput
from sandbox.bench.records import OPERATIONS, Records
from sandbox.bench.replay import ShopOrders
from sandbox.bench.system import DISHES, ENTITIES, PLAIN_TABLE, System
from sandbox.bench.ways import Bridge, GuardedWrites, Puts

COUNT = 120


@pytest.fixture(scope="module")
def system():
    name = f"test-{os.getpid()}-bench"
    try:
        made = System(lifecycle.up(name, entities=ENTITIES, current=False), quick=True)
        made.prepare()
        yield made
    finally:
        lifecycle.down(name)


@pytest.fixture(scope="module")
def throughput(system):
    return Throughput(system)


def content(system, table):
    with system.connected(DISHES) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {names.KEY_COLUMN}, label, notes FROM `{table}` ORDER BY 1")
        return cursor.fetchall()


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_each_way_leaves_the_rows_that_the_bridge_leaves(system, throughput, operation):
    work = OPERATIONS[operation](Records(300), COUNT)
    found = {}
    for name, way in throughput.ways.items():
        if not isinstance(way, Puts):
            throughput._empty()
            throughput._load(name, work.before)
            throughput._run(name, work.records)
            found[name] = content(system, "dish" if isinstance(way, Bridge | GuardedWrites) else way.table)
    assert all(rows == found["bridge"] for rows in found.values())
    assert bool(found["bridge"]) == (operation != "deletes")
    throughput._empty()


def test_the_items_alone_are_those_of_the_records(system, throughput):
    work = OPERATIONS["mix"](Records(300), COUNT)
    throughput._load("puts alone", work.before)
    throughput._run("puts alone", work.records)
    found = system.context.clients.dynamodb.scan(TableName=PLAIN_TABLE)["Items"]
    wanted = [each["dynamodb"]["NewImage"] for each in work.records if "NewImage" in each["dynamodb"]]
    assert sorted(item["DishId"]["S"] for item in found) == sorted(item["DishId"]["S"] for item in wanted)


def test_an_article_calls_once_a_record_and_the_bridge_a_few_times_a_batch(throughput):
    article, bridge = throughput.calls("article", 20), throughput.calls("bridge", 500)
    assert article.requests == {"rds-data": 20, "lambda": 20}
    assert bridge.requests["lambda"] == 1
    assert bridge.requests["rds-data"] < 12
    assert cost.PerThousand.of(article, 20).dollars == pytest.approx(0.55)


def test_replay_calls_the_shops_function_once_a_record_and_leaves_the_rows_that_direct_leaves(system):
    orders = ShopOrders(system)
    for way, count in {"replay": 15, "direct": 15}.items():
        with system.counted() as calls:
            orders.apply(way, orders.inserts(count))
        assert calls.requests["lambda"] == (1 + count if way == "replay" else 1)
    with system.connected(DISHES) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*), COUNT(DISTINCT note, placed_at, status) FROM shop.orders")
        assert cursor.fetchone() == (30, 1)
        cursor.execute("SELECT COUNT(*) FROM shop.order_audit")
        assert cursor.fetchone() == (15,)
