"""A record that is written all the time is distinguished from one that stands still by what its two sides show."""

from __future__ import annotations

from runbook.verify.compare import FOLLOWED_STATES, KEPT_STATES, RecentStates


def test_a_side_that_is_always_a_moment_behind_follows():
    states = RecentStates()
    behind = [states.follows("k", f"{n}", f"{n - 2}") for n in range(2, 10)]
    assert behind == [False] * (1 + FOLLOWED_STATES) + [True] * (len(behind) - 1 - FOLLOWED_STATES)


def test_it_follows_in_either_direction():
    states = RecentStates()
    assert [states.follows("k", f"{n - 2}", f"{n}") for n in range(2, 10)][-1]


def test_a_side_that_took_over_one_state_and_then_stands_still_does_not_follow():
    states = RecentStates()
    states.follows("k", "1", "0")
    assert not any(states.follows("k", "2", "1") for _ in range(10 * KEPT_STATES))


def test_a_side_that_stands_still_does_not_follow_however_long_one_looks():
    states = RecentStates()
    assert not any(states.follows("k", f"{n}", "old") for n in range(10 * KEPT_STATES))


def test_what_one_key_shows_says_nothing_of_another():
    states = RecentStates()
    states.follows("a", "2", "1")
    assert not states.follows("b", "3", "2")
