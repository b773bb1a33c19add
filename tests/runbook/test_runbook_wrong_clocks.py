"""What an operator's wrong clock left in the journal lengthens no wait of the next one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runbook.aws import lambda_calls
from runbook.aws.api_gateway import Side
from runbook.cutover import steps
from runbook.cutover.steps import API_SECONDS, Choices, SwitchRun

SPREAD, TIMEOUT, NOW = 5.0, 60.0, 1e9


@pytest.fixture
def waited(monkeypatch):
    """How long a command waits for requests past the gate, when the journal says that the route was set then."""

    def wait(since, past):
        slept = []
        monkeypatch.setattr(steps, "time", SimpleNamespace(time=lambda: NOW, sleep=slept.append))
        monkeypatch.setattr(lambda_calls, "timeout_of", lambda *_: TIMEOUT)
        context = SimpleNamespace(
            journal=SimpleNamespace(state=lambda _: SimpleNamespace(gated_since=since)),
            clients=SimpleNamespace(functions=None),
            target=SimpleNamespace(mapping={"chefs": SimpleNamespace(contract=None)}),
            say=lambda _: None,
        )
        entity = SimpleNamespace(name="chefs", write_function="modern", legacy_write_function="legacy")
        SwitchRun(context, entity, None, Choices(propagation_wait=SPREAD))._outlast(past)
        return sum(slept)

    return wait


@pytest.mark.parametrize(("past", "longest"), [(Side.LEGACY, SPREAD + API_SECONDS), (Side.MODERN, SPREAD + TIMEOUT)])
@pytest.mark.parametrize("ahead", [0.0, 10.0, 300.0])
def test_a_clock_that_was_ahead_lengthens_no_wait(waited, past, longest, ahead):
    assert waited(NOW + ahead, past) == longest


def test_what_has_passed_is_not_waited_for(waited):
    assert waited(NOW - 20, Side.LEGACY) == SPREAD + API_SECONDS - 20
    assert waited(NOW - 100, Side.MODERN) == 0
