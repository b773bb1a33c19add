"""Each defect of the order of steps before, found by the model, and none in the present one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from switch_model import GATE, LEGACY, MODERN, NEW, OLD, Found, State, Variant, search

MOST_STATES = 400_000
SIDES = {"before": LEGACY, "after": MODERN}


def _start(variant: Variant, *agenda: str, phase: str = LEGACY, **given: object) -> State:
    """Where a search begins; before the gate stayed, the route of writes was that of the phase."""
    state = State(agenda, phase=phase, gate=(phase, 0), writes=GATE if variant.gate_stays else phase)
    return state._replace(fence=phase == MODERN, **given)


def _cases(variant: Variant) -> dict[str, tuple[State, bool]]:
    """What each search begins with, and whether reads are looked at, by the number of the defect."""
    over_and_back = ("cutover", "rollback")
    return {
        "3 a stage variable that comes late": (_start(variant, *over_and_back, left=1), False),
        "4 a fence that comes late": (_start(variant, *over_and_back, foreign=(1, 0)), False),
        "5 an install call that comes late": (_start(variant, "remove", "start", foreign=(1, 0)), False),
        "6 a lane that slept": (_start(variant, "cutover", left=1, foreign=(1, 1)), False),
        "10 reads after a killed rollback": (
            _start(variant, "rollback", phase=MODERN, reads=MODERN, left=1, foreign=(1, 0)),
            True,
        ),
        "7 a writer past the gate": (_start(variant, "rollback", phase=MODERN, left=1)._replace(writes=MODERN), False),
        "11 a gate that slept over a switch": (
            _start(variant, "rollback", "cutover", "rollback", phase=MODERN, left=2, operator=1),  # none takes over
            False,
        ),
    }


def _only(number: str) -> Variant:
    """The present variant without the one protection against a defect."""
    without = {
        "3": "gate_stays",
        "7": "gate_stays",
        "4": "tokens",
        "5": "tokens",
        "6": "lanes",
        "10": "reads_first",
        "11": "ids",
    }
    return replace(NEW, **{without[number]: False})


def _found(variant: Variant, name: str) -> Found:
    start, reads = _cases(variant)[name]
    return search(variant, start, MOST_STATES, reads=reads)


@pytest.mark.parametrize("name", _cases(NEW))
def test_the_present_order_keeps_every_promise(name):
    found = _found(NEW, name)
    assert found.problem == "", "\n".join(found.moves)
    assert found.states > 50, "the search has looked at something"


def test_the_present_order_keeps_every_promise_with_everything_at_once():
    start = _start(NEW, "cutover", "rollback", left=2, foreign=(1, 1))
    found = search(NEW, start, MOST_STATES)
    assert found.problem == "", "\n".join(found.moves)
    assert found.states > 10_000


@pytest.mark.parametrize("name", _cases(OLD))
def test_the_order_before_had_the_defect(name):
    assert _found(OLD, name).problem


@pytest.mark.parametrize("name", _cases(NEW))
def test_without_its_protection_the_present_order_has_the_defect(name):
    assert _found(_only(name.partition(" ")[0]), name).problem
