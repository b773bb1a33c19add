"""The checker finds nothing in a run that kept every promise, and each kind of broken promise in one that did not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chaos_worlds import World, acknowledged, holding, kinds
from hypothesis import assume, given
from hypothesis import strategies as st

from sandbox.chaos.checker import Found, Kind, Story, check
from sandbox.load.records import DELETE, GET, LIST, MAYBE, NOTHING, POST, PUT, TORN, Attempt

worlds = st.integers(0, 10_000).map(World)
picks = st.integers(0, 1_000)


def record(key, value, **more):
    return Found(key, value, f"record {value}", **more)


def attempt(  # noqa: PLR0913  # a record has that many
    kind, key="k", value="", *, at=0.0, status=0, outcome="", client=1, took=0.5
):
    status = status or {POST: 201, PUT: 200, DELETE: 204, GET: 200 if value else 404, LIST: 200}[kind]
    return Attempt(client, int(at), kind, key, value, at, at + took, status, outcome)


def story(*attempts, holds=(), other=None, before=None, strict=((0.0, 99.0),), **more):
    return Story(
        before=before or {},
        attempts=attempts,
        source=list(holds),
        other=list(holds if other is None else other),
        strict=strict,
        **more,
    )


@given(worlds)
def test_a_run_that_kept_every_promise_has_no_violation(world):
    assert check(world.story()) == []


@given(worlds, picks)
def test_an_acknowledged_write_that_is_gone_is_lost(world, pick):
    found = world.story()
    written = acknowledged(found, POST, PUT)
    assume(written)
    gone = written[pick % len(written)]
    assert Kind.LOST in kinds(holding(found, drop=gone.key))


@given(worlds, picks)
def test_an_older_value_than_the_last_acknowledged_one_is_a_lost_write(world, pick):
    found = world.story()
    written = acknowledged(found, PUT)
    assume(written)
    last = written[pick % len(written)]
    older = [one.value for one in found.attempts if one.key == last.key and one.status in {200, 201} and one.writes]
    assume(len(older) > 1)
    assert Kind.LOST in kinds(holding(found, drop=last.key, add=(record(last.key, older[0]),)))


@given(worlds, picks)
def test_a_deleted_record_that_is_there_again_is_a_lost_delete(world, pick):
    found = world.story()
    deleted = acknowledged(found, DELETE)
    assume(deleted)
    gone = deleted[pick % len(deleted)]
    values = [one.value for one in found.attempts if one.key == gone.key and one.status in {200, 201}]
    assume(values)
    assert Kind.LOST in kinds(holding(found, add=(record(gone.key, values[0]),)))


@given(worlds, picks)
def test_one_write_that_made_two_records_is_doubled(world, pick):
    found = world.story()
    made = acknowledged(found, POST)
    assume(made)
    twice = made[pick % len(made)]
    assert Kind.DOUBLED in kinds(holding(found, add=(record("another", twice.value),)))


@given(worlds, picks)
def test_two_rows_of_one_key_are_doubled(world, pick):
    found = world.story()
    assume(found.source)
    row = found.source[pick % len(found.source)]
    assert Kind.DOUBLED in kinds(holding(found, add=(row,)))


@given(worlds)
def test_a_record_that_no_client_wrote_is_a_phantom(world):
    assert Kind.PHANTOM in kinds(holding(world.story(), add=(record("ghost", "never written"),)))


@given(worlds, picks)
def test_a_value_that_was_said_not_to_be_written_is_a_phantom(world, pick):
    found = world.story()
    refused = [one for one in found.attempts if one.kind == PUT and one.outcome == NOTHING]
    assume(refused)
    one = refused[pick % len(refused)]
    assert Kind.PHANTOM in kinds(holding(found, drop=one.key, add=(record(one.key, one.value),)))


@given(worlds, picks)
def test_a_read_that_misses_an_acknowledged_write_is_stale(world, pick):
    found = world.story()
    reads = [
        index
        for index, one in enumerate(found.attempts)
        if one.kind == GET and one.value and not any(other.maybe for other in found.attempts if other.key == one.key)
    ]
    assume(reads)
    index = reads[pick % len(reads)]
    attempts = list(found.attempts)
    attempts[index] = replace(attempts[index], value="", status=404)
    assert Kind.STALE in kinds(replace(found, attempts=attempts))


@given(worlds, picks, st.sampled_from([400, 409, 500, 502, 504, 0]))
def test_any_answer_but_the_documented_ones_is_a_failed_request(world, pick, status):
    found = world.story()
    attempts = list(found.attempts)
    index = pick % len(attempts)
    attempts[index] = replace(attempts[index], status=status, outcome="Internal server error")
    assert Kind.FAILED in kinds(replace(found, attempts=attempts))


@given(worlds, picks)
def test_a_side_that_lacks_a_record_is_different(world, pick):
    found = world.story()
    assume(found.source)
    other = list(found.other)
    del other[pick % len(other)]
    assert kinds(replace(found, other=other)) == {Kind.DIFFERENT}


def test_a_violation_shows_the_whole_history_of_its_key():
    run = story(attempt(POST, value="a"), attempt(PUT, value="b", at=1), holds=[record("k", "a")])
    (violation,) = check(run)
    assert violation.kind == Kind.LOST
    assert "holds a instead of b" in str(violation)
    assert "POST k a → 201" in str(violation)
    assert "PUT k b → 200" in str(violation)


@pytest.mark.parametrize("held", ["a", "b"])
def test_a_write_without_a_clear_answer_may_have_happened_or_not(held):
    run = story(
        attempt(POST, value="a"), attempt(PUT, value="b", at=1, status=503, outcome=MAYBE), holds=[record("k", held)]
    )
    assert check(run) == []


def test_what_was_perhaps_written_cannot_come_back_after_a_later_acknowledged_write():
    run = story(
        attempt(POST, value="a"),
        attempt(PUT, value="b", at=1, status=503, outcome=MAYBE),
        attempt(PUT, value="c", at=2),
        holds=[record("k", "b")],
    )
    assert kinds(run) == {Kind.LOST}


@pytest.mark.parametrize(("count", "found"), [(0, set()), (1, set()), (2, {Kind.DOUBLED})])
def test_a_post_without_a_clear_answer_makes_at_most_one_record(count, found):
    made = [record(f"new-{number}", "a") for number in range(count)]
    assert kinds(story(attempt(POST, "", "a", status=503, outcome=MAYBE), holds=made)) == found


def test_a_key_that_two_posts_were_given_is_doubled():
    run = story(attempt(POST, value="a"), attempt(POST, value="b", at=1, client=2), holds=[record("k", "b")])
    assert Kind.DOUBLED in kinds(run)


def test_not_found_where_a_record_must_be_is_a_loss_at_once():
    run = story(attempt(POST, value="a"), attempt(PUT, value="b", at=1, status=404))
    assert "not found, and it must be there" in str(check(run)[0])


def test_found_where_a_record_was_deleted_is_a_loss_of_the_delete():
    run = story(attempt(DELETE), attempt(PUT, value="b", at=1), before={"k": "a"}, holds=[record("k", "b")])
    assert "found, and it cannot be there" in str(check(run)[0])


def test_a_read_of_an_older_value_after_a_newer_one_goes_backwards():
    put = attempt(PUT, value="b", at=1, took=9)
    run = story(
        put,
        attempt(GET, value="b", at=2, client=8),
        attempt(GET, value="a", at=4, client=9),
        before={"k": "a"},
        holds=[record("k", "b")],
    )
    assert kinds(run) == {Kind.BACKWARDS}


def test_reads_at_the_time_of_a_write_may_see_either_value():
    put = attempt(PUT, value="b", at=1, took=9)
    run = story(
        put,
        attempt(GET, value="a", at=2, client=8),
        attempt(GET, value="b", at=4, client=9),
        before={"k": "a"},
        holds=[record("k", "b")],
    )
    assert check(run) == []


def test_a_read_may_be_stale_while_reads_and_writes_go_to_different_sides():
    run = story(
        attempt(PUT, value="b", at=1),
        attempt(GET, value="a", at=4, client=9),
        before={"k": "a"},
        holds=[record("k", "b")],
        strict=[(10.0, 20.0)],
    )
    assert check(run) == []


def test_a_read_of_a_value_that_was_never_written_is_a_phantom_at_any_time():
    run = story(attempt(GET, value="ghost", at=4), before={"k": "a"}, holds=[record("k", "a")], strict=())
    assert kinds(run) == {Kind.PHANTOM}


def test_a_record_with_fields_of_two_writes_is_torn():
    run = story(attempt(POST, value="a"), holds=[record("k", "a", torn=True)])
    assert kinds(run) == {Kind.TORN}


def test_a_read_with_fields_of_two_writes_is_torn():
    run = story(attempt(GET, value="a", outcome=TORN), before={"k": "a"}, holds=[record("k", "a")])
    assert kinds(run) == {Kind.TORN}


def test_a_502_is_excused_only_when_the_function_behind_it_was_killed_meanwhile():
    crashed = attempt(PUT, value="b", at=5, status=502, outcome="Internal server error")
    for kills, found in (((5.2,), set()), ((7.0,), {Kind.FAILED}), ((), {Kind.FAILED})):
        assert kinds(story(crashed, before={"k": "a"}, holds=[record("k", "b")], kills=kills)) == found


@pytest.mark.parametrize("status", [502, 504])
def test_a_502_or_504_is_excused_when_the_function_behind_it_stood_still(status):
    stuck = attempt(PUT, value="b", at=5, status=status, outcome="Endpoint request timed out")
    for pauses, found in ((((4.0, 5.1),), set()), (((5.2, 9.0),), set()), (((1.0, 4.0),), {Kind.FAILED})):
        assert kinds(story(stuck, before={"k": "a"}, holds=[record("k", "b")], pauses=pauses)) == found


def test_while_clients_still_write_only_answers_and_reads_are_looked_at():
    put, stale = attempt(PUT, value="b", at=1), attempt(GET, value="a", at=4, client=9)
    assert kinds(story(put, stale, before={"k": "a"}, ended=False)) == {Kind.STALE}
    assert check(story(put, before={"k": "a"}, ended=False)) == []
