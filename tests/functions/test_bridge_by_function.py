"""bridge = "replay": legacy's own function brings modern's changes to Aurora, on the real database."""

from __future__ import annotations

import threading

import pytest
from copying import Faulty, KilledError, killed_after
from legacy_world import BASE
from replay_world import MOST_CENTS, order

from functions.aws.mysql_errors import BlockedError, DataApiError, FencedError, TransientError
from functions.bridge.by_function import ATTEMPTS
from functions.install import permits, tokens, triggers
from functions.install.triggers import OvertakenError


@pytest.fixture
def orders(shared_orders):
    """In phase modern, with nothing in it."""
    shared_orders.clear()
    return shared_orders


def test_each_change_of_a_key_runs_the_function_in_its_order(orders):
    batch = [order("a", BASE, "one"), order("a", BASE + 1, "two"), order("b", BASE + 2, "b"), order("a", BASE + 3)]
    orders.apply(*batch)
    assert orders.notes() == {"b": "b"}
    assert [each for each in orders.audit() if each[0] == "a"] == [
        ("a", "POST", "one"),
        ("a", "PUT", "two"),
        ("a", "DELETE", None),
    ]
    assert not orders.permits()
    assert not orders.queued()


def test_what_the_function_cannot_know_is_written_too(orders):
    """It sets the time of its own insert, and its call has no place for another."""
    orders.apply(order("a", BASE, "one"))
    assert orders.everything()["a"]["placed_at"] == "2026-01-01T08:00:00.000000Z"


def test_a_batch_that_comes_again_runs_no_function_again(orders):
    batch = [order("a", BASE, "one"), order("b", BASE + 1, "b"), order("b", BASE + 2), order("a", BASE + 3, "two")]
    orders.apply(*batch)
    audit = orders.audit()
    for again in (batch, batch[:1], batch[2:], [batch[1]]):
        assert orders.apply(*again).stale == len(again)
    assert orders.audit() == audit
    assert orders.notes() == {"a": "two"}


def test_a_change_that_the_function_finds_done_is_noted_by_the_bridge(orders):
    orders.apply(order("a", BASE, "one"))
    orders.apply(order("a", BASE + 1, "one"))
    assert orders.apply(order("a", BASE + 1, "one")).stale == 1


@pytest.mark.parametrize("calls", range(1, 30, 3))
def test_a_bridge_that_is_killed_anywhere_ends_in_the_same_rows(orders, calls):
    batch = [order("a", BASE, "one"), order("b", BASE + 1, "b"), order("a", BASE + 2, "two"), order("b", BASE + 3)]
    try:
        orders.apply(*batch, database=Faulty(orders.database, killed_after(calls)))
    except KilledError:
        orders.end_permits()
    orders.deliver(*batch)
    assert orders.notes() == {"a": "two"}
    assert {("a", "POST", "one"), ("a", "PUT", "two"), ("b", "POST", "b"), ("b", "DELETE", None)} <= set(orders.audit())
    assert not orders.permits()


def test_a_bridge_that_is_killed_after_a_call_calls_again(orders):
    def die(_event):
        raise KilledError

    with pytest.raises(KilledError):
        orders.apply(order("a", BASE, "one"), functions=orders.passing(after=die))
    assert orders.notes() == {"a": "one"}
    orders.end_permits()
    orders.apply(order("a", BASE, "one"))
    assert orders.audit() == [("a", "POST", "one"), ("a", "PUT", "one")]
    assert not orders.permits()


def test_two_bridges_at_once_never_call_for_one_key_at_once(orders):
    history = [order(f"k{number % 7}", BASE + number, f"{number}") for number in range(40)]
    functions, ended = orders.passing(), []
    threads = [
        threading.Thread(target=lambda some=some: ended.append(orders.deliver_waiting(*some, functions=functions)))
        for some in (history, history[:25], history)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == len(threads)
    assert functions.most == 1
    assert orders.notes() == {f"k{number % 7}": f"{number}" for number in range(40)}
    assert sorted(orders.audit()) == sorted({(key, what, note) for key, what, note in orders.audit()})  # each once


def test_what_the_function_refuses_goes_to_quarantine_and_the_rest_goes_on(orders):
    orders.apply(order("a", BASE, "one", MOST_CENTS + 1), order("b", BASE + 1, "b"), order("a", BASE + 2, "two"))
    reason, _ = orders.quarantined.changes["a"]
    assert "422" in reason
    assert "total_too_high" in reason
    assert orders.notes() == {"a": "two", "b": "b"}
    assert not orders.permits()


def test_an_error_in_a_body_of_status_200_is_tried_again(orders):
    with pytest.raises(DataApiError, match="errorMessage") as raised:
        orders.apply(order("a", BASE, "one"), functions=orders.passing(before=odd))
    assert type(raised.value) is DataApiError
    assert orders.notes() == {}
    assert not orders.quarantined.changes
    orders.apply(order("a", BASE, "one"))
    assert orders.notes() == {"a": "one"}


def odd(_event):
    return {"statusCode": 200, "body": '{"errorMessage": "Deadlock found"}'}


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 503, "body": "down"},
        {"statusCode": 429},
        {"errorType": "KeyError", "errorMessage": "x"},
        ["no answer"],
    ],
)
def test_an_answer_that_may_be_another_next_time_is_raised_when_the_others_are_applied(orders, answer):
    functions = orders.passing(before=lambda event: answer if "bad" in (event["body"] or "") else None)
    with pytest.raises(DataApiError):
        orders.apply(
            order("a", BASE, "bad"), order("a", BASE + 1, "later"), order("b", BASE + 2, "b"), functions=functions
        )
    assert orders.notes() == {"b": "b"}
    orders.apply(order("a", BASE, "bad"), order("a", BASE + 1, "later"))  # at once: the calls have ended
    assert orders.notes() == {"a": "later", "b": "b"}
    assert orders.audit()[-2:] == [("a", "POST", "bad"), ("a", "PUT", "later")]


def test_a_function_that_says_success_and_writes_otherwise_is_called_twice_and_then_quarantined(orders):
    functions = orders.passing(after=lambda _: orders.stray("UPDATE orders SET note = 'trimmed'"))
    orders.apply(order("a", BASE, "one"), functions=functions)
    reason, _ = orders.quarantined.changes["a"]
    assert "these fields are not the item's: note" in reason
    assert "one" not in reason
    assert len(orders.audit()) == ATTEMPTS


def test_a_stray_write_is_fenced_with_permits_of_other_keys_open(orders):
    def stray(_event):
        with pytest.raises(FencedError):
            orders.stray("INSERT INTO orders VALUES ('other', 'c', 1, 'n', UTC_TIMESTAMP())")

    orders.apply(order("a", BASE, "one"), functions=orders.passing(before=stray))
    assert orders.notes() == {"a": "one"}


def test_a_late_call_of_a_bridge_that_died_meets_the_fence(orders):
    orders.apply(order("a", BASE, "one"), order("a", BASE + 1, "two"))
    with pytest.raises(FencedError):
        orders.stray("UPDATE orders SET note = 'late' WHERE order_id = 'a'")
    assert orders.notes() == {"a": "two"}


def test_a_late_write_under_a_newer_permit_is_overwritten(orders):
    """It comes after the function's own write, before the permit is closed."""
    late = iter(["UPDATE orders SET note = 'late' WHERE order_id = 'a'"])

    def write(_event):
        for statement in late:
            orders.stray(statement)

    orders.apply(order("a", BASE, "one"), functions=orders.passing(after=write))
    assert orders.notes() == {"a": "one"}
    assert not orders.quarantined.changes


def test_another_invocations_permit_is_waited_for(orders):
    def second(_event):
        with pytest.raises(TransientError, match="another invocation"):
            orders.apply(order("a", BASE, "one"), seconds=1)

    orders.apply(order("a", BASE, "one"), functions=orders.passing(before=second))
    assert orders.audit() == [("a", "POST", "one")]


def test_no_call_is_made_that_could_outlast_the_invocation(orders):
    with pytest.raises(TransientError, match="time is over"):
        orders.apply(order("a", BASE, "one"), seconds=3)
    assert orders.audit() == []


def test_with_the_fence_down_a_key_under_a_permit_is_refused_and_others_are_free(orders):
    """After a forced rollback a call that is under way must not pass for a client's."""

    def lower(_event):
        orders.control(fenced=0, legacy_stamp=2, generation=2)
        orders.stray("INSERT INTO orders VALUES ('client', 'c', 1, 'n', UTC_TIMESTAMP())")

    with pytest.raises(DataApiError, match="under way"):
        orders.apply(order("a", BASE, "one"), functions=orders.passing(before=lower))
    assert orders.notes() == {"client": "n"}
    assert orders.queued() == 1


def test_a_late_call_to_remove_the_triggers_leaves_what_says_that_they_know_replay(orders):
    orders.server.execute(f"UPDATE {tokens.table(orders.entity)} SET token = 2000")
    try:
        with pytest.raises(OvertakenError):
            triggers.remove(orders.server, orders.entity, 1001)
        with pytest.raises(OvertakenError):
            triggers.install(orders.server, orders.entity, 1001)
        orders.apply(order("a", BASE, "one"))
    finally:
        orders.server.execute(f"UPDATE {tokens.table(orders.entity)} SET token = 0")
    assert orders.audit() != []


def test_a_bridge_without_its_triggers_calls_nothing(orders):
    for statement in permits.forgetting(orders.server, orders.entity):
        orders.server.execute(statement)
    try:
        with pytest.raises(BlockedError, match="runbook copy start --entity orders"):
            orders.apply(order("a", BASE, "one"))
    finally:
        for statement in permits.noting(orders.entity):
            orders.server.execute(statement)
    assert orders.audit() == []
