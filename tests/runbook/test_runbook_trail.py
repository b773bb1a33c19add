"""A record that is written all the time is told from one that stands still by what its two sides show."""

from __future__ import annotations

from runbook.comparing import LAST, Trail


def test_a_side_that_is_always_a_moment_behind_follows():
    trail = Trail()
    assert not trail.follows("k", "2", "1")
    assert not trail.follows("k", "4", "1")
    assert trail.follows("k", "6", "4")


def test_it_follows_in_either_direction_and_over_records_that_come_and_go():
    trail = Trail()
    assert not trail.follows("k", None, "1")
    assert trail.follows("k", "1", "2")
    assert not trail.follows("other", "1", None)
    assert trail.follows("other", "2", "1")


def test_a_side_that_stands_still_does_not_follow_however_long_one_looks():
    trail = Trail()
    assert not any(trail.follows("k", f"{n}", "old") for n in range(10 * LAST))


def test_what_one_key_shows_says_nothing_of_another():
    trail = Trail()
    trail.follows("a", "2", "1")
    assert not trail.follows("b", "3", "2")
