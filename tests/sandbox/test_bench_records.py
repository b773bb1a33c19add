"""The stream records that the bench makes are what the bridge reads, in the shares and sizes that its rows name."""

from __future__ import annotations

from collections import Counter

import pytest

from functions.domain import changes, entities
from functions.domain.changes import ChangeKind
from functions.domain.mapping import item_size
from sandbox.bench.records import HOT_KEYS, OPERATIONS, SIZES, Records
from sandbox.bench.system import DISHES, ENTITIES

DISH = entities.load(ENTITIES)[DISHES]
COUNT = 1000


@pytest.fixture(params=list(SIZES))
def size(request):
    return SIZES[request.param]


def made(operation, size=100):
    return OPERATIONS[operation](Records(size), COUNT)


def keys(records):
    return [each["dynamodb"]["Keys"]["DishId"]["S"] for each in records]


def test_an_item_has_the_size_of_its_row(size):
    images = [each["dynamodb"]["NewImage"] for each in made("inserts", size).records]
    assert max(map(item_size, images)) <= size + 50
    assert min(map(item_size, images)) >= size - 50


def test_an_item_of_1_kb_is_one_write_unit():
    assert all(item_size(each["dynamodb"]["NewImage"]) <= 1024 for each in made("inserts", 1000).records)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_the_bridge_reads_each_record_as_a_change_of_modern(operation):
    work = made(operation)
    found = changes.from_stream(DISH, work.records)
    assert len(found) == len(set(keys(work.records)))
    assert {change.kind for change in found} <= {ChangeKind.UPSERT, ChangeKind.DELETE}
    assert not any(change.problem for change in found)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_rows_are_there_before_exactly_where_a_record_changes_one(operation):
    work = made(operation)
    changed = {key for key, each in zip(keys(work.records), work.records, strict=True) if each["eventName"] != "INSERT"}
    assert set(keys(work.before)) == changed
    numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in (*work.before, *work.records)]
    assert max(numbers[: len(work.before)], default=0) < min(numbers[len(work.before) :])


def test_hot_updates_are_of_few_keys_and_a_mix_has_its_shares():
    assert len(set(keys(made("hot updates").records))) == HOT_KEYS
    shares = Counter(each["eventName"] for each in made("mix").records)
    assert shares == {"INSERT": 350, "MODIFY": 450, "REMOVE": 200}


def test_no_two_rounds_have_a_key_in_common():
    records = Records(100)
    first, second = (set(keys(OPERATIONS["inserts"](records, COUNT).records)) for _ in range(2))
    assert not first & second
