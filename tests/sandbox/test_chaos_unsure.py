"""The faults that stop a process, move a clock, or have a call come late: each hits what its name says."""

from __future__ import annotations

import random
import threading
import time

import psutil
import pytest
from botocore.exceptions import HTTPClientError

from functions.domain import names
from sandbox.chaos import cure, final_state
from sandbox.chaos.commands import Runbook
from sandbox.chaos.faults import Attack, calls, emulator, workers
from sandbox.chaos.faults.empty_table import empty_table
from sandbox.chaos.faults.foreign_items import foreign_items
from sandbox.chaos.faults.skew_function import skew_function
from sandbox.chaos.faults.take_over import take_over
from sandbox.chaos.system import Arena
from sandbox.chaos.watch import Watch
from sandbox.emulator.behaviour import skewed_clock, unsure_calls
from sandbox.load import shape_of

ENTITY = ("--entity", "chefs")
TIMEOUT = 60.0
# Which pattern the calls of which command must meet.
STARTED = {
    "claim": calls.CLAIM,
    "state": calls.STATE,
    "install": calls.INSTALL,
    "lease": calls.LEASE,
    "lane": calls.LANE,
    "route": calls.ROUTE,
}


@pytest.fixture(scope="module")
def hits(arena):
    """Whether each call of a `copy start` was hit whose answer was to be lost."""
    final_state.seed(arena, shape_of(arena.target, "chefs"), 5)
    for name, pattern in STARTED.items():
        emulator.ask(arena, unsure_calls.PATH, {"name": name, "pattern": pattern, "seconds": TIMEOUT})
    Runbook(arena).until_done(("copy", "start", *ENTITY))
    Runbook(arena).until_done(("copy", "watch", *ENTITY))
    return {name: emulator.ask(arena, unsure_calls.PATH, {"name": name})["hit"] for name in STARTED}


@pytest.fixture
def attack(arena):
    arena.diary.clear()
    found = Attack(arena, Runbook(arena), random.Random(1), ("copy", "start", *ENTITY), lambda: False)
    found.name = "one"
    return found


def wait_for(happened):
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", STARTED)
def test_a_command_whose_answers_are_lost_ends_well_and_each_pattern_meets_its_call(hits, name):
    assert hits[name] == 1


def test_a_late_call_of_a_client_comes_after_the_client_was_refused_it(arena, attack):
    key = {"entity": {"S": "late"}, "record": {"S": "x"}}
    journal, client = arena.target.journal_table, arena.clients.dynamodb_once
    attack.rng = random.Random(4)
    late = threading.Thread(target=calls.late, args=(attack, "a put", r'"entity": \{"S": "late"\}.*"seen"'))
    late.start()
    refused = []

    def put():
        try:
            client.put_item(TableName=journal, Item={**key, "seen": {"S": "y"}})
        except HTTPClientError as error:
            refused.append(error)
        return refused

    wait_for(put)
    late.join()
    assert "takes effect" in arena.diary[-1]
    wait_for(lambda: "Item" in client.get_item(TableName=journal, Key=key, ConsistentRead=True))


def test_a_worker_that_is_stopped_continues(arena, attack, hits):
    found = arena.workers(frozenset({arena.target.copy_function}))
    stopped = threading.Thread(target=workers.pause, args=(attack, found[:1], "worker of copy", 1.0))
    stopped.start()
    wait_for(lambda: found[0].status() == psutil.STATUS_STOPPED)
    stopped.join()
    assert found[0].status() != psutil.STATUS_STOPPED
    assert len(arena.pauses) == 1


@pytest.mark.long
def test_a_second_operator_takes_over_and_the_first_one_changes_nothing(arena, attack, hits):
    attack.words = ("cutover", "writes", "--reads-stay", "--settle", "0.5", "--warm", "1", *ENTITY, "--execute")
    attack.rng = random.Random(2)
    runbook, ended = attack.runbook, []
    runbook.until_done(("verify", "--allow-empty", *ENTITY))
    first = threading.Thread(target=lambda: ended.append(runbook.once(attack.words, main=True)))
    first.start()
    take_over(attack)
    first.join()
    assert any("took over" in line for line in arena.diary), arena.diary
    assert runbook.until_done(attack.words).code == 0
    words = ("rollback", "writes", "--settle", "0.5", "--warm", "1", *ENTITY, "--execute")
    assert runbook.until_done(words).code == 0
    assert arena.problems == []


@pytest.mark.long
def test_what_foreign_writers_did_to_items_in_phase_legacy_is_repaired_from_the_rows(arena, attack, hits):
    shape = shape_of(arena.target, "chefs")
    before = final_state.legacy(arena, shape)
    foreign_items(attack)
    empty_table(attack)
    assert final_state.legacy(arena, shape) == before
    assert len(final_state.modern(arena, shape)) == len(before) > 0
    assert cure.entries(arena, attack.runbook) == 0
    assert not any(one.outcome == "" for one in arena.conflicting)


def test_a_function_gets_a_wrong_clock_and_a_right_one_again(arena, attack, hits):
    skew_function(attack)
    (function,) = arena.skewed
    assert "clock of" in "".join(arena.diary)
    emulator.ask(arena, skewed_clock.PATH, {"function": function, "seconds": 0.0})
    arena.skewed.clear()


def test_the_watch_sees_a_fence_that_is_not_as_the_phase_has_it(sandbox, hits):
    arena = Arena(sandbox, "chefs", lambda _: None)
    watch, table = Watch(arena).start(), names.CONTROL_TABLE
    try:
        with sandbox.database.connect(database=arena.entity.legacy.database) as connection:
            cursor = connection.cursor()
            cursor.execute(f"UPDATE {table} SET fenced = 1 WHERE entity = 'chefs'")
            wait_for(lambda: arena.problems)
            cursor.execute(f"UPDATE {table} SET fenced = 0 WHERE entity = 'chefs'")
    finally:
        watch.stop()
    assert arena.problems == ["the fence is up in phase legacy without an operation"]
