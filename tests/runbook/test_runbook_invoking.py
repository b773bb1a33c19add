"""Which answers of the functions that prepare Aurora are worth another call."""

from __future__ import annotations

import pytest

from runbook.aws import lambda_calls
from runbook.errors import FailedError


@pytest.fixture
def answers(bare, monkeypatch):
    """Calls a function that has these problems, one after the other, and then none; says how often it was called."""

    def call(*problems: str) -> int:
        left, called = list(problems), []

        def answer(*_):
            called.append(1)
            return {}, left.pop(0) if left else None

        monkeypatch.setattr(lambda_calls, "_call", answer)
        monkeypatch.setattr(lambda_calls.time, "sleep", lambda _: None)
        bare.invoke("a function", {})
        return len(called)

    return call


def test_a_database_that_wakes_is_asked_again(answers):
    assert answers("503 it wakes", "DatabaseResumingException: resuming after being auto-paused") == 3


def test_a_long_change_of_a_table_is_waited_for_beyond_the_timeout_for_a_waking_one(answers, monkeypatch):
    monkeypatch.setattr(lambda_calls, "TIMEOUT_SECONDS", 0.0)
    assert answers(*["StillAlteringError: Aurora still runs this statement: ALTER TABLE"] * 5) == 6


def test_a_function_that_ran_out_of_time_is_not_taken_for_a_database_that_wakes(answers):
    with pytest.raises(FailedError, match="Task timed out") as said:
        answers("Sandbox.Timedout: RequestId: 1 Error: Task timed out after 300.00 seconds")
    assert "`runbook init` again" in said.value.remedy
