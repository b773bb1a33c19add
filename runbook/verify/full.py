"""The full comparison: the items in parallel, their rows by key, then the keys of all rows.

Equal sets are proved by keys, not by counts, which could agree by accident while records come and go: every item has
its row, and every row's key is one of the items'. The progress is saved every few seconds, so that an interrupted
comparison continues from there. Where very much differs it ends early: what it keeps and reads again is bounded.
"""

import hashlib
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from runbook.verify.checkpoint import VerifyProgress
from runbook.verify.compare import KEYS_AT_ONCE, BothSides, Difference, DifferenceKind, RecentStates
from runbook.verify.concurrency import WorkerPool

MOST = 10_000  # differences that are kept
CHUNKS_AT_ONCE = 4  # of keys that are compared again
RECHECK_WAITS = (0.25, 5.0)  # seconds between two looks at what differed, the first and the longest
FEW, FEW_WAIT = 50, 0.1  # so few records are looked at every so many seconds, as long as they differ
SAVE_SECONDS = 5.0  # between two checkpoints
DRAWERS = 256  # of a key set
DIGEST_BYTES = 8  # among a hundred million keys, one is taken for another with a chance of 1 in 10^11

Report = Callable[[str, int], None]  # takes what was read, and how many more


def silent(_what: str, _count: int) -> None:
    """Report nothing."""


class KeySet:
    """Millions of keys in eight bytes each. All are added first, by any number of threads, and then looked up."""

    def __init__(self) -> None:
        self._drawers = [array("Q") for _ in range(DRAWERS)]
        self._sorted = False

    def add(self, key: str) -> None:
        digest = _digest(key)
        self._drawers[digest % DRAWERS].append(digest)

    def __contains__(self, key: str) -> bool:
        if not self._sorted:
            self._drawers = [array("Q", sorted(drawer)) for drawer in self._drawers]
            self._sorted = True
        digest = _digest(key)
        drawer = self._drawers[digest % DRAWERS]
        place = bisect_left(drawer, digest)
        return place < len(drawer) and drawer[place] == digest


def _digest(key: str) -> int:
    text = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest(), "big")


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What differs after all looks.

    Attributes:
        checked: how many keys were looked at.
        more: whether it ended early, because very much differs.
    """

    differences: Sequence[Difference]
    checked: int
    more: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found: how many items and rows there are, how many records are equal, which are not.

    Attributes:
        more: very much differs, so that it ended early: the numbers are of what was read until then.
    """

    items: int
    rows: int
    compared: int
    equal: int
    differences: Sequence[Difference]
    more: bool


@dataclass
class FullComparison:
    """A full comparison.

    Attributes:
        progress: where to begin; changed on the way.
        chosen: which keys are compared.
        report: receives what was read.
        save: saves the progress; called every few seconds.
    """

    sides: BothSides
    progress: VerifyProgress
    chosen: Callable[[str], bool]
    report: Report
    save: Callable[[VerifyProgress], None]
    _known: KeySet = field(default_factory=KeySet, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _saved: float = field(default_factory=time.monotonic, init=False)

    def run(self, grace: float) -> Comparison:
        """Compare. A difference counts when it has not vanished after `grace` seconds."""
        progress = self.progress
        while not progress.done:
            self._scan_items()
            if not self._crowded:
                self._scan_rows()
            if self._crowded:
                left = self._remaining(grace)
                if len(left.differences) > MOST // 2:
                    return self._found(left.differences, more=True)
                progress.suspects = [difference.key for difference in left.differences]
        return self._found(self._remaining(grace).differences, more=False)

    @property
    def _crowded(self) -> bool:
        return len(self.progress.suspects) >= MOST

    def _remaining(self, grace: float) -> Remaining:
        return remaining(self.sides, dict.fromkeys(self.progress.suspects), grace, self.report)

    def _found(self, differences: Sequence[Difference], *, more: bool) -> Comparison:
        progress = self.progress
        unequal = sum(difference.kind != DifferenceKind.ONLY_LEGACY for difference in differences)
        return Comparison(
            items=progress.items,
            rows=progress.rows,
            compared=progress.compared,
            equal=progress.compared - unequal,
            differences=differences,
            more=more,
        )

    def _scan_items(self) -> None:
        places = self.progress.places
        left = [partial(self._segment, number) for number, place in enumerate(places) if place is not None]
        for _ in WorkerPool(len(left) or 1, self.sides.stop).run(left):
            pass

    def _segment(self, number: int) -> None:
        progress = self.progress
        for page, after in self.sides.scan(number, len(progress.places), progress.places[number] or ""):
            wanted = [item for item in page if self.chosen(self.sides.key(item))]
            differing = [difference.key for difference in self.sides.compare(wanted)]
            with self._lock:
                for item in wanted:
                    self._known.add(self.sides.key(item))
                progress.items += len(page)
                progress.compared += len(wanted)
                progress.suspects += differing
                progress.places[number] = after or None
                self._checkpoint()
            self.report("items", len(page))
            if self._crowded:
                return

    def _scan_rows(self) -> None:
        progress = self.progress
        for keys, after in self.sides.row_keys(progress.last_row or ""):
            suspects = self._unknown(keys)
            with self._lock:
                progress.rows += len(keys)
                progress.suspects += suspects
                progress.last_row = after or None
                self._checkpoint()
            self.report("keys of rows", len(keys))
            if self._crowded:
                return

    def _unknown(self, keys: Sequence[str]) -> list[str]:
        unknown = [key for key in keys if self.chosen(key) and key not in self._known]
        if not self.progress.resumed or not unknown:
            return unknown
        pool = WorkerPool(CHUNKS_AT_ONCE, self.sides.stop)
        tasks = (partial(self.sides.without_item, some) for some in _chunks(unknown))
        return [key for some in pool.run(tasks) for key in some]

    def _checkpoint(self) -> None:
        if time.monotonic() - self._saved >= SAVE_SECONDS and not self.progress.done:
            self.save(self.progress)
            self._saved = time.monotonic()


def remaining(sides: BothSides, keys: Collection[str], grace: float, report: Report = silent) -> Remaining:
    """What still differs when the bridge, or copy, has had `grace` seconds to catch up after the first look.

    Few records are looked at often, because one that is written all the time shows each of its states only briefly.
    """
    states = RecentStates() if grace else None
    first = _look(sides, list(keys), report, states)
    deadline, (wait, longest) = time.monotonic() + grace, RECHECK_WAITS
    differences = first.differences
    while differences and not first.more and (left := deadline - time.monotonic()) > 0:
        sides.stop.wait(min(FEW_WAIT if len(differences) <= FEW else wait, left))
        wait = min(wait * 2, longest)
        differences = _look(sides, [difference.key for difference in differences], report, states).differences
    return Remaining(differences=differences, checked=first.checked, more=first.more)


def _look(sides: BothSides, keys: Sequence[str], report: Report, states: RecentStates | None) -> Remaining:
    """One look at some keys, which ends when more than `MOST` differ."""
    differences: list[Difference] = []
    checked = 0
    tasks = (partial(_recheck, sides, some, states) for some in _chunks(keys))
    for count, found in WorkerPool(CHUNKS_AT_ONCE, sides.stop).run(tasks):
        differences += found
        checked += count
        report("records looked at again", count)
        if len(differences) > MOST and checked < len(keys):
            return Remaining(differences=differences[:MOST], checked=checked, more=True)
    return Remaining(differences=differences, checked=checked, more=False)


def _recheck(sides: BothSides, keys: Sequence[str], states: RecentStates | None) -> tuple[int, Sequence[Difference]]:
    return len(keys), sides.recheck(keys, states)


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
