"""DynamoDB's time by its answers, however wrong this machine's clock is and wherever the process stands still."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.aws.dynamodb import ServerClock

BEGAN = 1_790_000_000.0
SECONDS = st.floats(0, 300, allow_nan=False)


@dataclass
class Machine:
    """A machine whose clock is `wrong` by so many seconds, at a true time."""

    wrong: float
    true: float = BEGAN

    def time(self) -> float:
        return self.true + self.wrong

    def call(self, clock: ServerClock, before: float, after: float) -> None:
        """One request, in which the process stands still before and after the answer is given."""

        def answered():
            self.true += before
            date = formatdate(self.true, usegmt=True)
            self.true += after
            return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

        clock.read(answered)


@given(wrong=st.floats(-400, 400, allow_nan=False), start=SECONDS, sleeps=st.lists(st.tuples(SECONDS, SECONDS)))
@settings(max_examples=200)
def test_once_known_it_is_right_wherever_the_process_sleeps(wrong, start, sleeps):
    machine, clock = Machine(wrong, BEGAN + start), ServerClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", machine.time)
        assert not clock.known
        machine.call(clock, 0.01, 0.01)
        assert clock.known
        for before, after in sleeps:
            machine.call(clock, before, after)
            assert clock.now() == pytest.approx(machine.true, abs=1.1)


@given(before=SECONDS, after=SECONDS, wrong=st.sampled_from([0.0, 0.4, -0.4]))
def test_the_first_answer_of_a_right_clock_moves_it_by_nothing_that_sleep_explains(before, after, wrong):
    machine, clock = Machine(wrong), ServerClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", machine.time)
        machine.call(clock, before, after)
        assert clock.now() == pytest.approx(machine.true, abs=1.1)


def test_an_answer_without_a_time_says_nothing():
    clock = ServerClock()
    assert clock.read(dict) == {}
    assert not clock.known
    assert clock.now() == pytest.approx(time.time(), abs=5)
