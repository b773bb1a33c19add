"""What a client under load saw: one record for each attempt, and what can be reckoned from many of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

POST, PUT, DELETE, GET, LIST = "POST", "PUT", "DELETE", "GET", "LIST"
WRITES = frozenset({POST, PUT, DELETE})
UNAVAILABLE = 503
NO_ANSWER = 0  # the status of an attempt that got none
NOTHING, MAYBE = "nothing_written", "unknown"  # what a 503 says of a write
LATE = "perhaps late"  # likewise unknown, and it may take effect after later writes of its client
TORN = "torn"  # the outcome of a read whose fields come from different writes
# What the API may say to a client that does nothing wrong; a 404 is judged with the history of its key.
EXPECTED = {POST: {201}, PUT: {200, 404}, DELETE: {204, 404}, GET: {200, 404}, LIST: {200}}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and its answer.

    Args:
        client: who sent it; a key has one client that writes it, one write at a time.
        operation: which of the client's intentions this was an attempt at, counted from 1.
        kind: POST, PUT, DELETE, GET (one record) or LIST.
        key: the record's; empty for a LIST and for a POST without an answer.
        value: the unique value that was written, or the one that was read; empty for DELETE and for no record.
        begun, ended: seconds of the machine's monotonic clock.
        status: of the answer; 0 for none.
        outcome: of a 503 NOTHING, MAYBE or LATE; of a read TORN or empty; else what went wrong.
    """

    client: int
    operation: int
    kind: str
    key: str
    value: str
    begun: float
    ended: float
    status: int
    outcome: str = ""

    @property
    def writes(self) -> bool:
        """Whether it was meant to change something."""
        return self.kind in WRITES

    @property
    def retried(self) -> bool:
        """Whether the API asked to try again, as documented."""
        return self.status == UNAVAILABLE and self.outcome in {NOTHING, MAYBE, LATE}

    @property
    def failed(self) -> bool:
        """Whether the answer is one that the API must not give."""
        return not self.retried and (self.status not in EXPECTED[self.kind] or self.outcome == TORN)

    @property
    def maybe(self) -> bool:
        return self.writes and self.status not in EXPECTED[self.kind] and self.outcome != NOTHING


@dataclass(frozen=True, slots=True)
class Waits:
    """How long clients waited, in seconds, from the first attempt to the final answer.

    Args:
        reads, writes: how many were answered.
        retried: attempts that were answered with the documented 503.
        failed: attempts that were answered with anything the API must not say.
        read, write: the waits, sorted.
    """

    reads: int
    writes: int
    retried: int
    failed: int
    read: Sequence[float]
    write: Sequence[float]

    @property
    def longest(self) -> float:
        return max([*self.read[-1:], *self.write[-1:]], default=0.0)


@dataclass(frozen=True)
class History:
    """Everything the clients did, and the moments that the caller marked meanwhile.

    Args:
        attempts: in the order they ended.
        marks: (moment, name), in order; each begins a window that the next one ends.
    """

    attempts: Sequence[Attempt]
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple[tuple[float, str], ...])

    @property
    def failures(self) -> list[Attempt]:
        """The attempts with an answer that the API must not give."""
        return [attempt for attempt in self.attempts if attempt.failed]

    def waits(self, begin: float = 0.0, end: float = float("inf")) -> Waits:
        """Of what was under way at any moment between `begin` and `end`."""
        chosen = [one for one in self.attempts if one.ended >= begin and one.begun <= end]
        first: dict[tuple[int, int], float] = {}
        for one in self.attempts:
            first.setdefault((one.client, one.operation), one.begun)
        answered = [one for one in chosen if not one.retried]
        read = [one.ended - first[one.client, one.operation] for one in answered if not one.writes]
        write = [one.ended - first[one.client, one.operation] for one in answered if one.writes]
        return Waits(
            reads=len(read),
            writes=len(write),
            retried=sum(one.retried for one in chosen),
            failed=sum(one.failed for one in chosen),
            read=sorted(read),
            write=sorted(write),
        )

    def windows(self) -> list[tuple[str, Waits]]:
        """The waits in each marked window; a name that comes twice is there twice."""
        ends = [*(moment for moment, _ in self.marks[1:]), float("inf")]
        return [(name, self.waits(begin, end)) for (begin, name), end in zip(self.marks, ends, strict=True)]

    def window(self, name: str) -> Waits:
        """The waits in the last window of that name.

        Raises:
            KeyError: no mark has that name.
        """
        return dict(self.windows())[name]


def write(path: Path, attempts: Iterable[Attempt]) -> None:
    """Keep attempts in a file, a line each."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(astuple(one), ensure_ascii=False) + "\n" for one in attempts)


def read(path: Path) -> list[Attempt]:
    with path.open(encoding="utf-8") as file:
        return [Attempt(*json.loads(line)) for line in file]
