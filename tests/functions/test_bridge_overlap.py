"""Two runs of the bridge at once end as one clean pass, whatever one does in the middle of the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES, STREAM, record

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.apply import Applier
from functions.domain import changes

KEYS = ("a", "b")
DELIVERIES = 20  # of one batch, before a test fails


@dataclass
class Interrupted(DataApi):
    """The Data API of one run, which lets something else happen before its n-th statement."""

    inner: DataApi
    step: int
    interruption: Callable[[], None]

    def _before(self) -> None:
        self.step -= 1
        if self.step == 0:
            self.interruption()

    def query(self, *arguments: Any) -> Any:
        self._before()
        return self.inner.query(*arguments)

    def execute(self, *arguments: Any) -> Any:
        self._before()
        return self.inner.execute(*arguments)


def deliver(legacy, batch, database=None):
    """Apply a batch as Lambda does: again while the bridge asks for it."""
    for _ in range(DELIVERIES):
        try:
            return legacy.applier(database).apply(changes.from_stream(legacy.entity, batch))
        except TransientError:
            continue
    pytest.fail("the bridge asks for the batch for ever")


def truth(history):
    """What is there after one clean pass: the name of every living key."""
    last = {each["dynamodb"]["Keys"]["ChefId"]["S"]: each["dynamodb"].get("NewImage") for each in history}
    return {key: image["firstName"]["S"] for key, image in last.items() if image}


def shown(legacy):
    return {key: fields["firstName"] for key, fields in legacy.everything().items()}


def change(key, step, alive):
    return record(key, BASE + step, "MODIFY" if alive else "REMOVE", firstName=f"{step}")


histories = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=2, max_size=6).map(
    lambda steps: [change(key, step, alive) for step, (key, alive) in enumerate(steps)]
)


@st.composite
def overlaps(draw):
    """A history; what of it has arrived; two batches, one run in the middle of the other; all delivered in the end."""
    history = draw(histories)
    some = st.lists(st.sampled_from(history), min_size=1, max_size=4)
    return history, draw(some), draw(some), draw(some), draw(st.integers(1, 8))


@pytest.mark.sweep
@given(overlap=overlaps())
@EXAMPLES
def test_a_run_in_the_middle_of_another_changes_nothing_of_the_end(legacy, overlap):
    history, before, outer, inner, step = overlap
    legacy.clear()
    deliver(legacy, before)
    database = Interrupted(legacy.database, step, lambda: deliver(legacy, inner))
    deliver(legacy, outer, database)
    if database.step > 0:  # the run was over before it came to that
        deliver(legacy, inner)
    seen = [each for each in history if each in before + outer + inner]
    assert shown(legacy) == truth(seen)
    assert not legacy.quarantined.changes


@pytest.mark.parametrize("step", range(1, 6))
def test_an_old_insert_in_the_middle_of_a_delete_leaves_no_row(legacy, step):
    old = [change("a", 1, alive=True)]
    deliver(legacy, [change("a", 2, alive=False)], Interrupted(legacy.database, step, lambda: deliver(legacy, old)))
    assert shown(legacy) == {}


@pytest.mark.parametrize("step", range(1, 6))
def test_an_old_delete_in_the_middle_of_an_update_takes_no_row(legacy, step):
    deliver(legacy, [change("a", 1, alive=True)])
    old = [change("a", 2, alive=False)]
    deliver(legacy, [change("a", 3, alive=True)], Interrupted(legacy.database, step, lambda: deliver(legacy, old)))
    assert shown(legacy) == {"a": "3"}


def test_overlapping_batches_in_threads_end_in_the_rows_of_one_clean_pass(legacy):
    history = [change(f"k{number % 40}", number, alive=number % 7 != 0) for number in range(400)]
    batches = [history[start : start + 120] for start in range(0, 400, 40)]
    threads = [threading.Thread(target=deliver, args=(legacy, batch)) for batch in reversed(batches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(legacy) == truth(history)
    assert not legacy.quarantined.changes


@pytest.mark.parametrize("step", range(1, 9))
def test_a_database_that_goes_away_at_any_statement_loses_nothing(legacy, step):
    deliver(legacy, [change(f"k{number}", number, alive=True) for number in range(6)])
    batch = [change(f"k{number}", 100 + number, alive=number % 2 == 0) for number in range(12)]

    def lost():
        raise TransientError("the database went away")

    deliver(legacy, batch, Interrupted(legacy.database, step, lost))
    assert shown(legacy) == {f"k{number}": f"{100 + number}" for number in range(0, 12, 2)}
    assert not legacy.quarantined.changes


def test_an_unknown_error_is_raised_and_quarantines_nothing(legacy):
    def odd():
        raise DataApiError("You have an error in your SQL syntax", 1064)

    with pytest.raises(DataApiError):
        deliver(legacy, [change("a", 1, alive=True)], Interrupted(legacy.database, 2, odd))
    assert not legacy.quarantined.changes


def test_a_quarantine_that_cannot_be_written_stops_the_batch(legacy):
    class Broken:
        def put(self, *_arguments: Any) -> None:
            raise ConnectionError

    poison = record("a", BASE, firstName="x" * 256)
    with pytest.raises(ConnectionError):
        Applier(legacy.entity, legacy.database, Broken(), STREAM, legacy.read).apply(
            changes.from_stream(legacy.entity, [poison])
        )
