"""The scenario of the adopted shop, and foreign writers of a table whose keys are natural."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from functions.domain import entities, mapping
from sandbox.brownfield import ledger
from sandbox.brownfield.database import Rds
from sandbox.brownfield.system import ENTITIES, ENTITY
from sandbox.chaos import adoption, scenario
from sandbox.chaos.checker import Found, Story, check
from sandbox.chaos.commands import Ended, Runbook
from sandbox.chaos.faults import FAULTS
from sandbox.chaos.foreign import effects, other_fields
from sandbox.chaos.foreign.client import once
from sandbox.chaos.foreign.items import Items
from sandbox.chaos.foreign.sql import Rows
from sandbox.chaos.migrated import AdoptedShop, made_by_legacy
from sandbox.chaos.scenario import Deed, Variant
from sandbox.load import Shape
from sandbox.load.records import DELETE, POST, PUT

SCHEMA = ENTITIES.parent / "shop" / "schema.sql"
SHAPE = Shape(ENTITY, ledger.FIELDS, "foreign-")
OWN_FAULTS = {
    *("deploy_over", "drop_permission", "overtake_adoption", "lost_adoption", "late_adoption"),
    "end_connections",
}


@pytest.fixture(scope="module")
def orders():
    return entities.load(ENTITIES)[ENTITY]


@pytest.fixture
def values():
    number = iter(range(10**6))
    return lambda: f"foreign-{next(number)}"


def names(stretches):
    return [one.name for one in stretches]


def test_adopting_comes_first_and_is_undone_last():
    found = adoption.stretches(ENTITY, Variant(), again=True)
    assert names(found)[:4] == ["adopt", "adopt undo", "adopt to stay", "init"]
    assert [one.then for one in found if one.then] == [Deed.COMPARE, Deed.DEPLOY]
    assert [one.then for one in adoption.completion(ENTITY)] == [None, Deed.DEPLOY_WITHOUT, Deed.COMPARE_COMPLETE]
    assert names(adoption.stretches(ENTITY, Variant()))[:2] == ["adopt to stay", "init"]


def test_the_migration_is_the_one_of_chefs_but_for_the_direct_route():
    variant = Variant(direct=True, removes=True, streams=True, ranges=True)
    words = [one.words for one in adoption.stretches(ENTITY, variant) if one.name not in {"adopt to stay", "smoke"}]
    assert words == [one.words for one in scenario.stretches(ENTITY, replace(variant, direct=False))]


def test_other_tools_deploy_only_where_it_can_be_put_right():
    hit = {one.name for one in adoption.stretches(ENTITY, Variant(removes=True)) if "deploy_over" in one.faults}
    assert hit == adoption.EXPOSED


def test_a_change_of_the_api_comes_late_only_where_nothing_is_undone_next():
    hit = [one.name for one in adoption.stretches(ENTITY, Variant(), again=True) if "late_adoption" in one.faults]
    hit += [one.name for one in adoption.completion(ENTITY) if "late_adoption" in one.faults]
    assert hit == ["adopt to stay"]


def test_only_an_adopted_system_meets_the_faults_of_adopting():
    everything = Variant(direct=True, removes=True, streams=True, ranges=True)
    chefs = {fault for one in scenario.stretches("chefs", everything) for fault in one.faults}
    shop = (*adoption.stretches(ENTITY, everything, again=True, connects=True), *adoption.completion(ENTITY))
    assert {fault for one in shop for fault in one.faults} == set(FAULTS)
    assert set(FAULTS) - chefs == OWN_FAULTS


def test_connections_end_only_where_functions_have_some():
    hit = [
        any("end_connections" in one.faults for one in AdoptedShop(rds=rds).stretches(1, Variant(), brief=False))
        for rds in Rds
    ]
    assert hit == [not rds.has_data_api for rds in Rds]


def test_a_part_of_the_seeds_undoes_adopting_once_and_repeats_it_alike():
    def first(seed):
        return AdoptedShop().stretches(seed, Variant(), brief=False)[0].name

    drawn = [first(seed) for seed in range(60)]
    assert set(drawn) == {"adopt", "adopt to stay"}
    assert drawn == [first(seed) for seed in range(60)]


def test_only_the_first_rows_are_known_to_be_legacys_own():
    assert made_by_legacy("A-00000007")
    assert not made_by_legacy("item-foreign-1-2")


def test_the_other_fields_of_a_record_are_what_it_must_have(orders):
    columns = other_fields.columns(orders, SHAPE)
    assert columns == {
        "customer_id": "foreign",
        "status": "foreign",
        "total_cents": 7,
        "placed_at": "2020-02-29 12:34:56.000000",
    }
    item = {"pk": {"S": "k"}, **other_fields.attributes(orders, SHAPE)}
    assert mapping.record_from_item(orders, item).fields["total_cents"] == 7


def own_keys(calls):
    made = [one.key for call in calls for one in call.effects if one.kind == POST and not call.outcome]
    gone = {one.key for call in calls for one in call.effects if one.kind == DELETE}
    return [key for key in made if key not in gone]


def agrees(calls, held):
    attempts = [one for number, call in enumerate(calls) for one in effects.attempts(call, number)]
    found = [Found(key, value, value) for key, value in held.items()]
    return [str(one) for one in check(Story(before={}, attempts=attempts, source=found, other=found))]


def test_rows_with_natural_keys_are_written_in_every_way(arena, orders, values, monkeypatch):
    monkeypatch.setattr("sandbox.chaos.foreign.sql.LONGEST_TRANSACTION", 0.31)
    connect = arena.sandbox.database.connect
    with connect() as connection, connection.cursor() as cursor:
        for statement in filter(str.strip, SCHEMA.read_text(encoding="utf-8").split(";")):
            cursor.execute(statement)
        rows = Rows(connect, orders, SHAPE, values, random.Random(3))
        rows.prepare()
        calls = [rows.write([]) for _ in range(3)]
        for _ in range(40):
            calls.append(rows.write(own_keys(calls)))
        cursor.execute("SELECT order_id, note FROM shop.orders")
        held = dict(cursor.fetchall())
        cursor.execute("DROP DATABASE shop")
    assert {one.kind for call in calls for one in call.effects} == {POST, PUT, DELETE}
    assert not [call for call in calls if call.outcome]
    assert agrees(calls, held) == []


def test_new_items_have_every_field_that_the_mapping_demands(arena, orders, values):
    client, table = once(arena), "chaos-orders"
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    items = Items(client, table, orders, SHAPE, values, random.Random(3))
    calls = [items.write([]) for _ in range(5)]
    for _ in range(30):
        calls.append(items.write(own_keys(calls)))
    held = client.scan(TableName=table)["Items"]
    client.delete_table(TableName=table)
    found = [mapping.record_from_item(orders, item) for item in held]
    assert agrees(calls, {one.key: one.fields["note"] for one in found}) == []


def test_the_operator_adopts_again_when_a_command_says_so_and_repeats_it(arena, monkeypatch):
    runbook, ran = Runbook(arena), []

    def run(words, *, main=False, skew=None):
        del skew
        ran.append((words[:2], main))
        refused = main and len(ran) == 1
        said = "Run `runbook adopt --entity chefs --execute`, which puts it right." if refused else ""
        return Ended(4 if refused else 0, "", said)

    monkeypatch.setattr(runbook, "once", run)
    assert runbook.until_done(("cutover", "writes")).code == 0
    assert ran == [(("cutover", "writes"), True), (("adopt", "--entity"), False), (("cutover", "writes"), True)]
