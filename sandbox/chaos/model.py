"""What one key may hold, after each of its writes. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from sandbox.load.records import DELETE, LATE, MAYBE, POST, PUT, Attempt

NOT_FOUND = 404
MISSING = "the record was not found, and it must be there"
LATEST = 31.0  # seconds after its answer in which a LATE write may take effect: its function's timeout, and one more
Values = frozenset[str | None]  # None: no record
ABSENT: Values = frozenset({None})


class Timeline:
    """The possible values of a key over time.

    Args:
        before: the value before the first write; None without a record.
        writes: all writes of the key in the order of its client, who waits for each answer before the next.

    Attributes:
        contradictions: answers that cannot be, given those before them.
    """

    def __init__(self, before: str | None, writes: Sequence[Attempt]) -> None:
        self._writes = writes
        self._after: list[Values] = [frozenset({before})]
        self._late: list[Attempt] = []
        self.contradictions: list[str] = []
        for write in writes:
            self._after.append(self._applied(self._after[-1], write) | self._arriving(write))
            self._late += [write] if write.outcome == LATE else []

    @property
    def end(self) -> Values:
        return self._after[-1]

    def written(self, until: float = float("inf")) -> set[str]:
        """Every value that may have been written before the moment `until`."""
        started = [one.value for one in self._writes if one.begun <= until and (one.maybe or _done(one))]
        return {value for value in (*self._after[0], *started) if value}

    def possible(self, begun: float, ended: float) -> Values:
        """What a read between the two moments may see on the side that has every acknowledged write."""
        first = sum(one.ended <= begun for one in self._writes)
        last = sum(one.begun <= ended for one in self._writes)
        return frozenset[str | None]().union(*self._after[first : max(first, last) + 1])

    def backwards(self, reads: Iterable[Attempt]) -> Iterator[tuple[Attempt, Attempt]]:
        """Pairs of reads, one after the other, of which the later one saw an older value."""
        newest: list[tuple[int, Attempt]] = []  # by their end, each newer than the one before it
        waiting = sorted(reads, key=lambda one: one.ended)
        for read in sorted(waiting, key=lambda one: one.begun):
            while waiting and waiting[0].ended < read.begun:
                done = waiting.pop(0)
                if not newest or self._age(done) > newest[-1][0]:
                    newest.append((self._age(done), done))
            if newest and self._latest(read) < newest[-1][0]:
                yield newest[-1][1], read

    def _arriving(self, write: Attempt) -> Values:
        """What an earlier write of unknown outcome makes of the record, if it takes effect after this one."""
        return frozenset[str | None]().union(*(_made(one) for one in self._late if write.begun < one.ended + LATEST))

    def _applied(self, held: Values, write: Attempt) -> Values:
        made = _made(write)
        if write.maybe:
            # Replacing or deleting what is not there does nothing.
            return held if held == ABSENT and write.kind != POST else held | made
        if not _done(write) and write.status != NOT_FOUND:
            return held
        if write.status == NOT_FOUND:
            # A repeated DELETE whose first answer was lost finds nothing.
            self._demand(None in held or write.outcome == MAYBE, write, MISSING)
            return ABSENT
        self._demand(write.kind == POST or held != ABSENT, write, "it was found, and it cannot be there")
        return made

    def _demand(self, holds: bool, write: Attempt, text: str) -> None:
        if not holds:
            self.contradictions.append(f"{write.kind} {write.value} at {write.begun:.3f}: {text}")

    def _age(self, read: Attempt) -> int:
        """The earliest write after which the value may have been seen."""
        return next((n for n, held in enumerate(self._after) if (read.value or None) in held), 0)

    def _latest(self, read: Attempt) -> int:
        return max((n for n, held in enumerate(self._after) if (read.value or None) in held), default=0)


def _made(write: Attempt) -> Values:
    """What the record is once the write has taken effect."""
    return frozenset({write.value or None}) if write.kind in {POST, PUT} else ABSENT


def _done(write: Attempt) -> bool:
    return write.status in {DELETE: {204}, POST: {201}, PUT: {200}}[write.kind]
