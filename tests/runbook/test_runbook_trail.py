"""A record that is written all the time is told from one that stands still by what its two sides show."""

from __future__ import annotations

from runbook.verify.compare import LAST, STEPS, Trail


def test_a_side_that_is_always_a_moment_behind_follows():
    trail = Trail()
    behind = [trail.follows("k", f"{n}", f"{n - 2}") for n in range(2, 10)]
    assert behind == [False] * (1 + STEPS) + [True] * (len(behind) - 1 - STEPS)


def test_it_follows_in_either_direction():
    trail = Trail()
    assert [trail.follows("k", f"{n - 2}", f"{n}") for n in range(2, 10)][-1]


def test_a_side_that_took_over_one_state_and_then_stands_still_does_not_follow():
    trail = Trail()
    trail.follows("k", "1", "0")
    assert not any(trail.follows("k", "2", "1") for _ in range(10 * LAST))


def test_a_side_that_stands_still_does_not_follow_however_long_one_looks():
    trail = Trail()
    assert not any(trail.follows("k", f"{n}", "old") for n in range(10 * LAST))


def test_what_one_key_shows_says_nothing_of_another():
    trail = Trail()
    trail.follows("a", "2", "1")
    assert not trail.follows("b", "3", "2")
