"""What an adopted function's answer comes to: unknown while something was away, a broken promise at any other time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.chaos.checker import Found, Kind, Story, check
from sandbox.chaos.swallowed import Disturbances, judged, without
from sandbox.load.records import DELETE, GET, LATE, MAYBE, NOTHING, POST, PUT, Attempt

THEN, LATER = (10.0, 20.0), (30.0, 40.0)
ALWAYS = ((0.0, 1000.0),)
SWALLOWED = "/errorMessage: Lost connection"
FENCED = "/errorMessage: Database error code: 1644. Message: streamback: writes to orders are fenced"
CLOSED = '500 {"message": "Internal server error"}'


def attempt(kind, status, outcome="", *, at=11.0, value="v1"):
    value = "" if kind == DELETE else value
    return Attempt(1, int(at), kind, "k", value, at, at + 0.5, status, outcome)


def one(found, **during):
    (judgement,) = judged([found], Disturbances(**during))
    return judgement


@pytest.mark.parametrize(("kind", "outcome"), [(POST, LATE), (PUT, LATE), (DELETE, LATE), (GET, NOTHING)])
def test_an_error_in_an_outage_is_unknown(kind, outcome):
    found = one(attempt(kind, 500, SWALLOWED), outages=[THEN])
    assert (found.status, found.outcome, found.failed) == (503, outcome, False)


@pytest.mark.parametrize("outcome", [SWALLOWED, FENCED, CLOSED])
def test_an_error_that_nothing_explains_is_a_failure(outcome):
    failed = attempt(PUT, 500, outcome)
    assert one(failed, outages=[LATER], strays=[LATER], closed=[LATER]) == failed
    assert failed.failed


def test_the_fence_excuses_a_request_only_while_it_could_pass_the_gate():
    fenced = attempt(PUT, 500, FENCED)
    assert one(fenced, strays=[THEN]).outcome == NOTHING
    assert one(fenced, outages=[THEN], closed=[THEN]).failed


def test_a_request_that_no_function_received_has_written_nothing():
    assert one(attempt(POST, 500, CLOSED), closed=[THEN]).outcome == NOTHING
    assert one(attempt(POST, 500, CLOSED), outages=[THEN], strays=[THEN]).failed


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_write_of_unknown_outcome_may_come_late_if_its_function_stood_still_or_repeats(status):
    unknown = attempt(PUT, status, MAYBE if status == 503 else "no message")
    assert one(unknown, pauses=[THEN]).outcome == LATE
    assert one(unknown, outages=[THEN]).outcome == LATE
    assert one(unknown, pauses=[LATER]) == unknown


def test_what_was_acknowledged_stays_so():
    for kind, status in ((POST, 201), (PUT, 200), (DELETE, 204), (GET, 200)):
        done = attempt(kind, status)
        assert one(done, outages=[THEN], pauses=[THEN], strays=[THEN], closed=[THEN]) == done


def broken(*attempts, holds=None, before="v0"):
    found = [] if holds is None else [Found("k", holds, holds)]
    story = Story(before={"k": before}, attempts=attempts, source=found, other=found, strict=ALWAYS)
    return {violation.kind for violation in check(story)}


def test_a_repeated_delete_may_find_nothing_in_an_outage_only():
    missing = attempt(DELETE, 404)
    assert broken(one(missing, outages=[THEN])) == set()
    assert broken(one(missing, outages=[LATER])) == {Kind.LOST}


def test_a_late_write_may_undo_a_later_one_until_its_function_must_have_ended():
    late = replace(attempt(PUT, 503, LATE, at=11.0), operation=1)
    soon = attempt(PUT, 200, at=13.0, value="v2")
    long_after = attempt(PUT, 200, at=60.0, value="v3")
    assert broken(late, soon, holds="v1") == broken(late, soon, holds="v2") == set()
    assert broken(late, soon, long_after, holds="v1") == {Kind.LOST}
    assert broken(replace(late, outcome=MAYBE), soon, holds="v1") == {Kind.LOST}
    assert broken(replace(late, outcome=NOTHING), holds="v1") == {Kind.PHANTOM}


def test_a_late_delete_may_take_what_was_written_after_it():
    late = attempt(DELETE, 503, LATE)
    soon = attempt(PUT, 200, at=13.0, value="v2")
    assert broken(late, soon) == broken(late, soon, holds="v2") == set()
    assert broken(late, attempt(PUT, 200, at=60.0, value="v2")) == {Kind.LOST}


@pytest.mark.parametrize(
    ("left_out", "left"),
    [
        ([], [(0.0, 100.0)]),
        ([THEN], [(0.0, 10.0), (20.0, 100.0)]),
        ([THEN, LATER], [(0.0, 10.0), (20.0, 30.0), (40.0, 100.0)]),
        ([(90.0, 110.0)], [(0.0, 90.0)]),
        ([(-1.0, 101.0)], []),
    ],
)
def test_windows_without_others(left_out, left):
    assert without([(0.0, 100.0)], left_out) == left
