"""Two runs of the bridge at once end as one clean pass, whatever one does in the middle of the other."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bridge_world import Interruption, Step, Watched, ends_as_one_pass, truth
from hypothesis import given
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES, STREAM, record

from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.apply import Applier
from functions.domain import changes

KEYS = ("a", "7")


def step_of(key, number, alive):
    return Step(key, number, f"{number}" if alive else None)


histories = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=2, max_size=6).map(
    lambda steps: [step_of(key, number, alive) for number, (key, alive) in enumerate(steps)]
)


@st.composite
def overlaps(draw):
    """A history; what of it has arrived; two batches, one run in the middle of the other; all delivered in the end."""
    history = draw(histories)
    some = st.lists(st.sampled_from(history), min_size=1, max_size=4)
    return draw(some), draw(some), draw(some), draw(st.integers(1, 20))


@pytest.mark.sweep
@given(overlap=overlaps())
@EXAMPLES
def test_a_run_in_the_middle_of_another_changes_nothing_of_the_end(bridged, overlap):
    ends_as_one_pass(bridged, overlap, bridged.deliver, bridged.beside, bridged.deliver)


@pytest.mark.parametrize("at", range(1, 12))
def test_an_old_insert_in_the_middle_of_a_delete_leaves_no_row(bridged, at):
    old = [step_of("a", 1, alive=True)]
    bridged.deliver([step_of("a", 2, alive=False)], Interruption(at, lambda: bridged.beside(old)))
    assert bridged.shown() == {}


@pytest.mark.parametrize("at", range(1, 12))
def test_an_old_delete_in_the_middle_of_an_update_takes_no_row(bridged, at):
    bridged.deliver([step_of("a", 1, alive=True)])
    old = [step_of("a", 2, alive=False)]
    bridged.deliver([step_of("a", 3, alive=True)], Interruption(at, lambda: bridged.beside(old)))
    assert bridged.shown() == {"a": "3"}


def test_overlapping_batches_in_threads_end_in_the_rows_of_one_clean_pass(bridged):
    many = bridged.many
    history = [step_of(f"k{number % (many // 10)}", number, alive=number % 7 != 0) for number in range(many)]
    batches = [history[start : start + 3 * many // 10] for start in range(0, many, many // 10)]
    threads = [threading.Thread(target=bridged.deliver_beside, args=(batch,)) for batch in reversed(batches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bridged.shown() == truth(history)
    assert not bridged.quarantined


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_a_database_that_goes_away_at_any_statement_loses_nothing(bridged, at):
    bridged.deliver([step_of(f"k{number}", number, alive=True) for number in range(6)])
    batch = [step_of(f"k{number}", 100 + number, alive=number % 2 == 0) for number in range(12)]

    def lost():
        raise TransientError("the database went away")

    bridged.deliver(batch, Interruption(at, lost, inside=True))
    assert bridged.shown() == {f"k{number}": f"{100 + number}" for number in range(0, 12, 2)}
    assert not bridged.quarantined


def test_an_unknown_error_is_raised_and_quarantines_nothing(legacy):
    def odd():
        raise DataApiError("You have an error in your SQL syntax", 1064)

    with pytest.raises(DataApiError):
        legacy.deliver(record("a", BASE + 1), database=Watched(legacy.database, Interruption(2, odd)))
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
