"""bridge = "replay": whatever goes wrong, each change's side effect comes at least once, in the order of its key.

A key's batches come in order, as Lambda delivers them; each may come again when it is done, or while it is under way.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from bridge_world import Interruption, Replayed, Step, histories, in_batches, running_out, truth
from copying import KilledError
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES
from replay_world import Passing, order

from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.permits import Owner

ENDINGS = ("lost, not run", "lost, but run", "503, not run", "503, but run", "failed", "throttled", "killed after it")
LOST = ReadTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com")
DOWN = {"statusCode": 503, "body": "{}"}


@dataclass
class Unsure(Passing):
    """Lambda's client, some of whose calls end otherwise, by their number from 0."""

    endings: dict[int, str] = field(default_factory=dict)
    calls: Any = field(default_factory=itertools.count)

    def invoke(self, **given: Any) -> dict[str, Any]:
        """As Lambda's, with the ending that is planned for this call."""
        ending = self.endings.get(next(self.calls), "")
        if ending == "throttled":
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "forced"}}, "Invoke")
        if ending.startswith("lost") and "not run" in ending:
            raise LOST
        if ending == "failed":
            return self._answered({"errorType": "KeyError", "errorMessage": "x"})
        if ending == "503, not run":
            return self._answered(DOWN)
        answer = super().invoke(**given)
        if ending.startswith("lost"):
            raise LOST
        if ending.startswith("killed"):
            raise KilledError
        return self._answered(DOWN) if ending else answer


@st.composite
def runs(draw, keys):
    """A history in batches; for each how its first delivery goes wrong, and the batches before it that come again."""
    history = draw(histories(keys, st.integers(0, 10**6).map(str), 8))
    steps = [Step(step.key, step.number, step.name and f"{step.number}-{step.name}") for step in history]
    batches = draw(in_batches(steps, 3))
    endings = st.dictionaries(st.integers(0, 9), st.sampled_from(ENDINGS), max_size=3)
    return steps, [
        (batch, draw(endings), draw(st.integers(1, 60)), draw(st.lists(st.sampled_from(batches[: n + 1]), max_size=2)))
        for n, batch in enumerate(batches)
    ]


def effects(replayed: Replayed) -> dict[str, list[str | None]]:
    """By key, what the function's audit says was done to it, in order; what was done again at once counts once."""
    found: dict[str, list[str | None]] = {}
    for key, _, note in replayed.orders.audit():
        done = found.setdefault(key, [])
        if done[-1:] != [note]:
            done.append(note)
    return found


def wanted(history: Sequence[Step]) -> dict[str, list[str | None]]:
    return {key: [step.name for step in history if step.key == key] for key in {step.key for step in history}}


def ends_exactly(replayed: Replayed, run: tuple[Sequence[Step], Any]) -> None:
    history, batches = run
    replayed.clear()
    for batch, endings, calls, again in batches:
        functions = Unsure(replayed.orders.function, endings=endings)
        try:
            replayed.deliver(batch, Interruption(calls, die, inside=True), functions=functions)
        except KilledError:
            replayed.orders.end_permits()
            replayed.deliver(batch)
        for old in again:
            replayed.deliver(old)
    assert replayed.shown() == truth(history)
    assert effects(replayed) == wanted(history)
    assert not replayed.quarantined
    assert not replayed.orders.permits()
    assert not replayed.orders.queued()


def die() -> None:
    raise KilledError


@given(data=st.data())
@EXAMPLES
def test_however_calls_end_rows_are_exact_and_side_effects_are_in_order(replayed, data):
    ends_exactly(replayed, data.draw(runs(replayed.keys)))


@pytest.mark.long
@given(data=st.data())
@settings(parent=EXAMPLES, max_examples=300)
def test_many_more_runs_end_exactly(replayed, data):
    ends_exactly(replayed, data.draw(runs(replayed.keys)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_key_whose_calls_go_wrong_stops_no_other_key(replayed, ending):
    """All of the others is done by the delivery that fails for it, unless that is killed."""
    history = [Step(key, number, f"{key} {number}") for number, key in enumerate(("bad", "b", "c", "bad", "b"))]
    functions = Sick(replayed.orders.function, endings=dict.fromkeys(range(9), ending), key="bad")
    with pytest.raises((DataApiError, KilledError)):
        replayed.once(history, functions=functions)
    if "killed" not in ending:
        assert replayed.shown() | {"bad": ""} == truth(history) | {"bad": ""}
    replayed.orders.end_permits()
    replayed.deliver(history)
    assert replayed.shown() == truth(history)
    assert effects(replayed) == wanted(history)


@dataclass
class Sick(Unsure):
    """Lambda's client, where only one key's calls go wrong."""

    key: str = ""

    def invoke(self, **given: Any) -> dict[str, Any]:
        """As Lambda's, for all keys but one."""
        event = json.loads(given["Payload"])
        key = (event["pathParameters"] or {}).get("id") or json.loads(event["body"])["data"]["id"]
        return super().invoke(**given) if key == self.key else Passing.invoke(self, **given)


def test_a_batch_that_comes_again_while_its_first_run_is_under_way_calls_for_nothing_twice(replayed):
    """Lambda delivers a batch again whose invocation it takes for dead."""
    history = [Step(f"k{number % 3}", number, f"{number}") for number in range(12)]
    functions, inside, ended = replayed.orders.passing(), threading.Event(), []

    def second() -> None:
        inside.wait(30)
        ended.append(replayed.deliver_beside(history, functions=functions))

    functions.before = lambda _event: inside.set()
    other = threading.Thread(target=second)
    other.start()
    replayed.deliver_beside(history, functions=functions)
    other.join()
    assert ended
    assert functions.most == 1
    assert [note for _, _, note in sorted(replayed.orders.audit(), key=lambda row: int(row[2]))] == [
        step.name for step in history
    ]
    assert effects(replayed) == wanted(history)


def test_a_call_whose_answer_was_lost_is_made_again_only_when_it_must_have_ended(replayed):
    calls = Unsure(replayed.orders.function, endings={0: "lost, but run"})
    record = order("a", BASE, "one")
    for _ in range(2):
        with pytest.raises(DataApiError):
            replayed.orders.apply(record, functions=calls, seconds=running_out())
    assert replayed.orders.audit() == [("a", "POST", "one")]
    replayed.orders.end_permits()
    replayed.orders.apply(record, functions=calls)
    assert replayed.orders.audit() == [("a", "POST", "one"), ("a", "PUT", "one")]


@pytest.mark.parametrize("at", range(1, 22))
def test_after_a_lost_database_the_same_process_continues_at_once(replayed, at):
    """Its calls have ended, so the permits that it has left wait for nothing."""
    history = [Step("a", 0, "one"), Step("b", 1, "two"), Step("a", 2, "three")]
    owner, look = Owner(), Interruption(at, lose, inside=True)
    with contextlib.suppress(TransientError):
        replayed.once(history, look, functions=replayed.orders.passing(), owner=owner)
    replayed.once(history, functions=replayed.orders.passing(), owner=owner)
    assert replayed.shown() == truth(history)
    assert effects(replayed) == wanted(history)
    assert not replayed.orders.permits()


def lose() -> None:
    raise TransientError("the database went away")


def test_a_process_waits_for_its_own_call_whose_answer_was_lost(replayed):
    owner, record = Owner(), order("a", BASE, "one")
    with pytest.raises(DataApiError):
        replayed.orders.apply(record, functions=Unsure(replayed.orders.function, endings={0: ENDINGS[0]}), owner=owner)
    with pytest.raises(TransientError, match="another invocation"):
        replayed.orders.apply(record, seconds=running_out(), owner=owner)
    replayed.orders.end_permits()
    replayed.orders.apply(record, owner=owner)
    assert replayed.orders.audit() == [("a", "POST", "one")]
