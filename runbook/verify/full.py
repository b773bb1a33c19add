"""Compares everything that both sides of an entity have: the items in parallel, their rows by key, then the rows' keys.

Equal sets are proved by keys, not by counts, which could agree by accident while records come and go: every item has
its row, and every row's key is one of the items'. How far it has come is told from time to time, so that a comparison
that was killed goes on from there. Where very much differs it ends early: what it keeps and reads again is bounded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from runbook.verify.compare import KEYS_AT_ONCE, Difference, Sides, Trail
from runbook.verify.key_set import KeySet
from runbook.verify.worker_pool import Crew

MOST = 10_000  # differences that are kept
CHUNKS_AT_ONCE = 4  # of keys that are compared again
LOOK_AGAIN = (0.25, 5.0)  # seconds between two looks at what differed, the first and the longest
FEW, OFTEN = 50, 0.1  # records that are looked at so often, in seconds, as long as they differ
SAVE = 5.0  # seconds between two notes of how far it has come


class Said(Protocol):
    """Hears of progress."""

    def __call__(self, what: str, count: int) -> None:
        """`count` more of `what` are done."""
        ...


def silent(what: str, count: int) -> None:
    """Progress that nobody wants to hear."""


@dataclass(kw_only=True)
class Progress:
    """How far a comparison of everything has come.

    Attributes:
        places: for each segment the key to go on after, None when it is done.
        items: how many were read.
        compared: how many of them were taken.
        walked: the primary key after which to go on with the rows' keys, None when that is done.
        rows: how many there were so far.
        suspects: keys that have differed when they were looked at.
        resumed: whether another run read a part, so that its items' keys are not known any more.
    """

    places: list[str | None]
    items: int = 0
    compared: int = 0
    walked: str | None = ""
    rows: int = 0
    suspects: list[str] = field(default_factory=list[str])
    resumed: bool = False

    @property
    def full(self) -> bool:
        """Whether there are so many suspects that they must be looked at before it goes on."""
        return len(self.suspects) >= MOST

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self.walked is None


@dataclass(frozen=True, kw_only=True)
class Left:
    """What differs after all looks.

    Attributes:
        looked: how many keys were looked at.
        more: whether it ended early, because very much differs.
    """

    differences: Sequence[Difference]
    looked: int
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


class Whole:
    """A comparison of everything.

    Args:
        sides: of the entity.
        progress: where to begin; changed as it goes on.
        chosen: which keys are compared.
        said: hears of progress.
        save: notes the progress; called every few seconds.
    """

    def __init__(
        self,
        sides: Sides,
        progress: Progress,
        *,
        chosen: Callable[[str], bool],
        said: Said,
        save: Callable[[Progress], None],
    ) -> None:
        self._sides = sides
        self._progress = progress
        self._chosen = chosen
        self._said = said
        self._save = save
        self._known = KeySet()
        self._lock = threading.Lock()
        self._saved = time.monotonic()

    def run(self, settle: float) -> Comparison:
        """Compare; what differs may take `settle` seconds to be the same."""
        progress = self._progress
        while not progress.done:
            self._scan()
            if not progress.full:
                self._walk()
            if progress.full:
                left = self._settled(settle)
                if len(left.differences) > MOST // 2:
                    return self._found(left.differences, more=True)
                progress.suspects = [difference.key for difference in left.differences]
        return self._found(self._settled(settle).differences, more=False)

    def _settled(self, settle: float) -> Left:
        return settled(self._sides, dict.fromkeys(self._progress.suspects), settle, self._said)

    def _found(self, differences: Sequence[Difference], *, more: bool) -> Comparison:
        progress = self._progress
        unequal = sum(difference.kind != "only in legacy" for difference in differences)
        return Comparison(
            items=progress.items,
            rows=progress.rows,
            compared=progress.compared,
            equal=progress.compared - unequal,
            differences=differences,
            more=more,
        )

    def _scan(self) -> None:
        places = self._progress.places
        left = [partial(self._segment, number) for number, place in enumerate(places) if place is not None]
        for _ in Crew(len(left) or 1, self._sides.stop).run(left):
            pass

    def _segment(self, number: int) -> None:
        progress = self._progress
        for page, after in self._sides.scan(number, len(progress.places), progress.places[number] or ""):
            wanted = [item for item in page if self._chosen(self._sides.key(item))]
            differing = [difference.key for difference in self._sides.compare(wanted)]
            with self._lock:
                for item in wanted:
                    self._known.add(self._sides.key(item))
                progress.items += len(page)
                progress.compared += len(wanted)
                progress.suspects += differing
                progress.places[number] = after or None
                self._note()
            self._said("items", len(page))
            if progress.full:
                return

    def _walk(self) -> None:
        progress = self._progress
        for keys, after in self._sides.row_keys(progress.walked or ""):
            suspects = self._unknown(keys)
            with self._lock:
                progress.rows += len(keys)
                progress.suspects += suspects
                progress.walked = after or None
                self._note()
            self._said("keys of rows", len(keys))
            if progress.full:
                return

    def _unknown(self, keys: Sequence[str]) -> list[str]:
        """Keys of rows that no item has had."""
        unknown = [key for key in keys if self._chosen(key) and key not in self._known]
        if not self._progress.resumed or not unknown:
            return unknown
        crew = Crew(CHUNKS_AT_ONCE, self._sides.stop)
        tasks = (partial(self._sides.without_item, some) for some in _chunks(unknown))
        return [key for some in crew.run(tasks) for key in some]

    def _note(self) -> None:
        if time.monotonic() - self._saved >= SAVE and not self._progress.done:
            self._save(self._progress)
            self._saved = time.monotonic()


def settled(sides: Sides, keys: Collection[str], seconds: float, said: Said = silent) -> Left:
    """What still differs when the bridge, or copy, has had `seconds` to catch up after the first look.

    Few records are looked at often: one that never rests is told by its states, and each is there for a moment only.
    """
    trail = Trail() if seconds else None
    left = _look(sides, list(keys), said, trail)
    deadline, (wait, longest) = time.monotonic() + seconds, LOOK_AGAIN
    looked, differences = left.looked, left.differences
    while differences and not left.more and (remains := deadline - time.monotonic()) > 0:
        sides.stop.wait(min(OFTEN if len(differences) <= FEW else wait, remains))
        wait = min(wait * 2, longest)
        differences = _look(sides, [difference.key for difference in differences], said, trail).differences
    return Left(differences=differences, looked=looked, more=left.more)


def _look(sides: Sides, keys: Sequence[str], said: Said, trail: Trail | None) -> Left:
    """One look at some keys, which ends when more than `MOST` differ."""
    differences: list[Difference] = []
    looked = 0
    tasks = (partial(_again, sides, some, trail) for some in _chunks(keys))
    for count, found in Crew(CHUNKS_AT_ONCE, sides.stop).run(tasks):
        differences += found
        looked += count
        said("records looked at again", count)
        if len(differences) > MOST and looked < len(keys):
            return Left(differences=differences[:MOST], looked=looked, more=True)
    return Left(differences=differences, looked=looked, more=False)


def _again(sides: Sides, keys: Sequence[str], trail: Trail | None) -> tuple[int, Sequence[Difference]]:
    return len(keys), sides.again(keys, trail)


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
