"""Histories of some keys, and two bridges to deliver them to: one that writes by SQL, one that calls legacy's function.

What holds however a stream is delivered is tested on both by the same tests.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from legacy_world import BASE, DELIVERIES, STREAM, Legacy, record
from replay_world import SECONDS, Orders, OrdersFunction, order

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.bridge.apply import Applier
from functions.domain import changes


@dataclass(frozen=True)
class Step:
    """What became of a key: its record's name, None for a delete. The stream has the steps by their number."""

    key: str
    number: int
    name: str | None


def truth(history: Sequence[Step]) -> dict[str, str]:
    """The name of every key that is there after one clean pass."""
    last = {each.key: each.name for each in sorted(history, key=lambda each: each.number)}
    return {key: name for key, name in last.items() if name is not None}


@st.composite
def histories(draw, keys, names, most=12):
    """What happened to some keys, in order; a key that is not there is not deleted."""
    alive, steps = set(), []
    for number in range(draw(st.integers(1, most))):
        key = draw(st.sampled_from(keys))
        gone = key in alive and draw(st.booleans())
        alive = alive - {key} if gone else alive | {key}
        steps.append(Step(key, number, None if gone else draw(names)))
    return steps


@st.composite
def in_batches(draw, history, most=4):
    """A history, cut into batches."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(history) - 1)), max_size=most)))
    batches = [history[start:end] for start, end in zip([0, *cuts], [*cuts, len(history)], strict=True)]
    return [batch for batch in batches if batch]


@st.composite
def deliveries(draw, keys, names, most=12):
    """A history, and batches of it, each delivered at least once: again, late, in any order after the first pass."""
    history = draw(histories(keys, names, most))
    batches = draw(in_batches(history))
    again = draw(st.lists(st.sampled_from(batches), max_size=5))
    if draw(st.booleans()):  # some of them as one
        again.append([each for batch in draw(st.permutations(batches))[:2] for each in batch])
    return history, [draw(st.permutations(batch)) for batch in draw(st.permutations([*batches, *again]))]


@dataclass
class Interruption:
    """What happens before the n-th statement of a run, the function's own counted too.

    Attributes:
        inside: whether the statements of a transaction count. What waits for its locks must not happen there.
    """

    step: int
    act: Callable[[], Any]
    inside: bool = False
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self) -> None:
        with self.lock:
            self.step -= 1
            now = self.step == 0
        if now:
            self.act()


@dataclass
class Watched(DataApi):
    """The Data API of one run, with a look before each statement."""

    inner: DataApi
    look: Interruption

    def query(self, *arguments: Any) -> Any:
        self.look()
        return self.inner.query(*arguments)

    def execute(self, *arguments: Any) -> Any:
        self.look()
        return self.inner.execute(*arguments)

    @contextlib.contextmanager
    def transaction(self) -> Generator[DataApi]:
        self.look()
        with self.inner.transaction() as inside:
            yield Watched(inside, self.look) if self.look.inside else inside


def ends_as_one_pass(bridged: Any, overlap: Any, outer_by: Any, beside: Any, inner_by: Any) -> None:
    """Check the end of two batches, one run in the middle of the other.

    Args:
        overlap: what came before, the two batches, and at which statement of the first the second begins.
        outer_by: delivers what came before, and the first batch.
        beside: delivers the second in the middle; False where it must be delivered again.
        inner_by: does so.
    """
    before, outer, inner, at = overlap
    bridged.clear()
    outer_by(before)
    done: list[Any] = []
    outer_by(outer, Interruption(at, lambda: done.append(beside(inner))))
    if not done or done == [False]:  # the run was over before it came to that, or the other one waited for it too long
        inner_by(inner)
    assert bridged.shown() == truth(before + outer + inner)
    assert not bridged.quarantined


@dataclass
class Direct:
    """The bridge that writes by SQL."""

    legacy: Legacy
    keys = ("a", "A", "b ", "b", "7", "ключ")
    most, many = 12, 400  # changes of a history that is drawn, and of a large one

    @property
    def quarantined(self) -> Any:
        return self.legacy.quarantined.changes

    def clear(self) -> None:
        self.legacy.clear()

    def shown(self) -> dict[str, str]:
        return {key: fields["firstName"] for key, fields in self.legacy.everything().items()}

    def once(self, steps: Sequence[Step], look: Interruption | None = None) -> Any:
        """Apply a batch once, as the bridge does."""
        batch = [self._record(step) for step in steps]
        self.legacy.written(*batch)
        return self.legacy.applier(self._watched(look)).apply(changes.from_stream(self.legacy.entity, batch))

    def beside(self, steps: Sequence[Step]) -> bool:
        """Apply a batch while another run is at work; whether it is done."""
        self.deliver(steps)
        return True

    def deliver(self, steps: Sequence[Step], look: Interruption | None = None) -> Any:
        """Apply a batch as Lambda does: again while the bridge asks for it."""
        return self.legacy.deliver(*map(self._record, steps), database=self._watched(look))

    deliver_beside = deliver

    def _watched(self, look: Interruption | None) -> DataApi | None:
        return Watched(self.legacy.database, look) if look else None

    @staticmethod
    def _record(step: Step) -> dict[str, Any]:
        name = step.name or ""
        event = "REMOVE" if step.name is None else "MODIFY"
        return record(step.key, BASE + step.number, event, firstName=name, lastName=name[::-1])


@dataclass
class Replayed:
    """The bridge that calls legacy's own function."""

    orders: Orders
    keys = ("a", "A", "b ", "7", "ключ")  # without "b", which the table takes for "b "
    most, many = 6, 80

    @property
    def quarantined(self) -> Any:
        return self.orders.quarantined.changes

    def clear(self) -> None:
        self.orders.clear()

    def shown(self) -> dict[str, str]:
        return self.orders.notes()

    def once(self, steps: Sequence[Step], look: Interruption | None = None, **given: Any) -> Any:
        """Apply a batch once, as the bridge does."""
        batch, watched = [order(step.key, BASE + step.number, step.name) for step in steps], {}
        if look:
            function = OrdersFunction(Watched(self.orders.function.database, look))
            watched = {"database": Watched(self.orders.database, look), "functions": self.orders.passing(function)}
        return self.orders.apply(*batch, **{**watched, **given})

    def beside(self, steps: Sequence[Step]) -> bool:
        """Apply a batch while another run is at work; whether it is done: its time may end while it waits for a key."""
        try:
            self.once(steps, seconds=running_out())
        except TransientError:
            return False
        return True

    def deliver(self, steps: Sequence[Step], look: Interruption | None = None, **given: Any) -> Any:
        """Apply a batch as Lambda does: again while the bridge asks for it, when the permits of the dead have ended."""
        for _ in range(DELIVERIES):
            try:
                return self.once(steps, look, **given)
            except DataApiError:
                self.orders.end_permits()
        pytest.fail("the bridge asks for the batch for ever")

    def deliver_by_sql(self, steps: Sequence[Step], look: Interruption | None = None) -> Any:
        """Apply a batch as a bridge of kind `direct` does, as Lambda delivers it."""
        orders = self.orders
        database = Watched(orders.database, look) if look else orders.database
        batch = [order(step.key, BASE + step.number, step.name) for step in steps]
        images = {each["dynamodb"]["Keys"]["pk"]["S"]: each["dynamodb"].get("NewImage") for each in batch}
        for _ in range(DELIVERIES):
            with contextlib.suppress(TransientError):
                applier = Applier(orders.entity, database, orders.quarantined, STREAM, lambda _: images)
                return applier.apply(changes.from_stream(orders.entity, batch))
        pytest.fail("the bridge asks for the batch for ever")

    def deliver_beside(self, steps: Sequence[Step], **given: Any) -> Any:
        """The same while the permits that are open are of bridges at work."""
        while True:
            with contextlib.suppress(TransientError):
                return self.once(steps, **given)


def running_out() -> Callable[[], float]:
    """The clock of an invocation whose time goes by the number of looks at it."""
    left = [SECONDS]

    def seconds() -> float:
        left[0] -= 3
        return left[0]

    return seconds
