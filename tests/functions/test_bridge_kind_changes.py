"""bridge = "direct" becomes "replay", or the other way, while what the old kind began is still under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from bridge_world import Step, ends_as_one_pass
from hypothesis import given
from legacy_world import BASE, EXAMPLES
from replay_world import order
from test_bridge_overlap import overlaps

from functions.aws.mysql_errors import DataApiError
from functions.install import permits

LOST = ReadTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com")


@pytest.mark.sweep
@given(overlap=overlaps())
@EXAMPLES
def test_a_batch_by_sql_in_the_middle_of_a_replay_changes_nothing_of_the_end(replayed, overlap):
    """The function's own statements count as middle, too."""
    by_sql = replayed.deliver_by_sql
    ends_as_one_pass(replayed, overlap, replayed.deliver, by_sql, by_sql)


@pytest.mark.sweep
@given(overlap=overlaps())
@EXAMPLES
def test_a_replay_in_the_middle_of_a_batch_by_sql_changes_nothing_of_the_end(replayed, overlap):
    by_sql = replayed.deliver_by_sql
    ends_as_one_pass(replayed, overlap, by_sql, replayed.beside, replayed.deliver)


ROW = {"insert": [], "update": [("a", "before")], "delete": [("a", "before")]}
LATER = {"row": "later", "gone": None}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
@pytest.mark.parametrize("what", ROW)
def test_a_call_whose_answer_was_lost_writes_nothing_over_what_the_next_bridge_has_written(replayed, what, later):
    """It runs while its permit counts, after the new code has applied the same record and the next one by SQL."""
    steps = [Step(key, number, name) for number, (key, name) in enumerate(ROW[what])]
    replayed.deliver(steps)
    lost, event = Step("a", 5, None if what == "delete" else "lost"), []
    with pytest.raises(DataApiError):
        replayed.once([lost], functions=replayed.orders.passing(before=lost_after(event)))
    replayed.deliver_by_sql([lost, Step("a", 6, later)])
    replayed.orders.function.handler(event[0])
    assert replayed.shown() == ({} if later is None else {"a": later})


def lost_after(event: list[Any]) -> Callable[[Any], Any]:
    """An answer that does not come, of a call that has not run yet."""

    def before(given: Any) -> Any:
        event.append(given)
        raise LOST

    return before


def test_a_permit_that_replay_has_left_stops_no_record_once_a_newer_one_was_applied_by_sql(replayed):
    with pytest.raises(DataApiError):
        replayed.orders.apply(
            order("a", BASE, "one"), functions=replayed.orders.passing(before=lambda _: {"statusCode": 503})
        )
    replayed.deliver_by_sql([Step("a", 1, "two")])
    replayed.deliver([Step("a", 0, "one"), Step("a", 2, "three")])
    assert [note for _, _, note in replayed.orders.audit()] == ["three"]
    assert replayed.shown() == {"a": "three"}
    assert not replayed.orders.permits()


@pytest.mark.parametrize("fenced", [0, 1])
def test_a_permit_from_before_the_bridge_wrote_by_sql_lets_nothing_pass(replayed, fenced):
    """From `replay` to `direct` and back to `replay`, with a call still under way."""
    orders, event = replayed.orders, []
    with pytest.raises(DataApiError):
        replayed.once([Step("a", 1, "lost")], functions=orders.passing(before=lost_after(event)))
    for statement in permits.forgetting(orders.server, orders.entity):
        orders.server.execute(statement)
    for statement in permits.noting(orders.entity):
        orders.server.execute(statement)
    orders.control(fenced=fenced)
    assert "errorMessage" in orders.function.handler(event[0])["body"]
    assert replayed.shown() == {}
    orders.control(fenced=1)
    replayed.deliver([Step("a", 1, "lost"), Step("a", 2, "next")])
    assert replayed.shown() == {"a": "next"}
    assert not orders.permits()


def test_permits_that_were_opened_since_another_call_noted_the_triggers_stay_good(replayed):
    """That call's statements come late: it was made while nothing was noted."""
    orders, late = replayed.orders, permits.noting(replayed.orders.entity)

    def note(given):
        for statement in late:
            orders.server.execute(statement)

    replayed.once([Step("a", 1, "good")], functions=orders.passing(before=note))
    assert replayed.shown() == {"a": "good"}
