"""Foreign writers: what they did is in their history as it was, and an effect counts when the phase makes it count."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter

import pytest

from functions.domain import names
from sandbox.chaos import final_state
from sandbox.chaos.checker import Story, check
from sandbox.chaos.commands import Runbook
from sandbox.chaos.foreign import effects
from sandbox.chaos.foreign.client import ForeignClient, once
from sandbox.chaos.foreign.effects import Call, Effect
from sandbox.chaos.foreign.items import Items
from sandbox.chaos.foreign.sql import Rows
from sandbox.load import shape_of
from sandbox.load.records import DELETE, GET, MAYBE, NOTHING, POST, PUT

PUT_ONE = Call([Effect(PUT, "k", "v")], 1.0, 2.0)
READ_ONE = Call([Effect(GET, "k", "v")], 1.0, 2.0)


@pytest.fixture
def values():
    """Of this test alone: a writer finds its new rows by them, among those that the bridge has made of items."""
    number, test = iter(range(10**6)), uuid.uuid4().hex[:8]
    return lambda: f"foreign-{test}-{next(number)}"


@pytest.fixture
def shape(arena):
    return shape_of(arena.target, "chefs")


@pytest.fixture
def rows(arena, shape, values):
    found = Rows(arena.sandbox.database.connect, arena.entity, shape, values, random.Random(3))
    found.prepare()
    return found


@pytest.fixture
def items(arena, shape, values):
    return Items(once(arena), arena.deployed.modern_table, arena.entity, shape, values, random.Random(3))


def agrees(before, calls, held):
    """The checker finds the history and what is held to agree; held by other clients is left out."""
    attempts = [one for number, call in enumerate(calls) for one in effects.attempts(call, number)]
    own = {*before, *(one.key for one in attempts)}
    found = [one for one in held if one.key in own]
    return [str(one) for one in check(Story(before=before, attempts=attempts, source=found, other=found))]


def own_keys(before, calls):
    made = [one.key for call in calls for one in call.effects if one.kind == POST and not call.outcome]
    gone = {one.key for call in calls for one in call.effects if one.kind == DELETE}
    return [key for key in (*before, *made) if key not in gone]


@pytest.mark.parametrize(
    ("items", "before", "after", "outcome"),
    [
        (True, "modern", "modern", ""),
        (True, "modern", "returning", MAYBE),
        (True, "legacy", "legacy", MAYBE),
        (False, "legacy", "legacy", ""),
        (False, "modern", "modern", ""),
    ],
)
def test_a_write_of_an_item_counts_while_modern_is_the_source_of_truth_and_an_sql_write_always(
    items, before, after, outcome
):
    assert effects.counted(PUT_ONE, before, after, items=items).outcome == outcome


@pytest.mark.parametrize(
    ("items", "before", "after", "outcome"),
    [
        (True, "modern", "modern", ""),
        (True, "modern", "returning", NOTHING),
        (False, "legacy", "switching", NOTHING),
        (False, "legacy", "legacy", ""),
    ],
)
def test_a_read_counts_if_it_was_of_the_source_of_truth(items, before, after, outcome):
    assert effects.counted(READ_ONE, before, after, items=items).outcome == outcome


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("legacy", "legacy", True),
        ("legacy", "switching", True),
        ("modern", "modern", False),
        ("returning", "legacy", False),
    ],
)
def test_sql_that_found_no_row_says_something_only_while_rows_are_the_truth(before, after, counts):
    call = Call([Effect(PUT, "k", "v", found=False), Effect(PUT, "other", "v")], 1.0, 2.0)
    found = effects.counted(call, before, after, items=False)
    assert [one.key for one in found.effects] == (["k", "other"] if counts else ["other"])


def test_an_item_that_was_changed_in_phase_legacy_counts_as_nothing_written():
    (attempt,) = effects.attempts(effects.conflicting(PUT_ONE), 7)
    assert (attempt.status, attempt.outcome, attempt.retried) == (503, NOTHING, True)


@pytest.mark.long
def test_rows_are_written_in_every_way_and_the_history_says_what_is_there(arena, shape, rows):
    calls = [rows.write([]) for _ in range(5)]
    for _ in range(60):
        calls.append(rows.write(own_keys({}, calls)))
    assert {one.kind for call in calls for one in call.effects} == {POST, PUT, DELETE}
    assert agrees({}, calls, final_state.legacy(arena, shape)) == []


def test_items_are_written_in_every_way_and_the_history_says_what_is_there(arena, shape, items):
    calls = [items.write([]) for _ in range(10)]
    for _ in range(60):
        calls.append(items.write(own_keys({}, calls)))
    assert {one.kind for call in calls for one in call.effects} == {POST, PUT, DELETE}
    assert not [call for call in calls if call.outcome]
    assert agrees({}, calls, final_state.modern(arena, shape)) == []


def test_what_the_fence_refuses_was_not_written(arena, shape, rows):
    calls = [rows.write([]) for _ in range(5)]
    Runbook(arena).once(("copy", "start", "--entity", "chefs"))
    with arena.sandbox.database.connect(database=arena.entity.legacy.database) as connection:
        cursor = connection.cursor()
        cursor.execute(f"UPDATE {names.CONTROL_TABLE} SET fenced = 1 WHERE entity = 'chefs'")
        calls += (refused := [rows.write(own_keys({}, calls)) for _ in range(20)])
        cursor.execute(f"UPDATE {names.CONTROL_TABLE} SET fenced = 0 WHERE entity = 'chefs'")
    done = Counter(one.status for call in refused if not call.outcome for one in call.effects)
    assert not {200, 201, 204} & set(done)
    assert agrees({}, calls, final_state.legacy(arena, shape)) == []


@pytest.mark.long
def test_a_client_writes_rows_in_phase_legacy_and_reads_what_it_wrote(arena, shape):
    client = ForeignClient(arena, shape, [], 5).start()
    deadline = time.monotonic() + 30
    while len(client.attempts) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    attempts = client.stop()
    found = [one for one in final_state.legacy(arena, shape) if one.key in {each.key for each in attempts}]
    assert check(Story(before={}, attempts=attempts, source=found, other=found, strict=[(0.0, 1e12)])) == []
    assert arena.problems == []
