"""Checks a run: what the clients were answered against what both sides hold and what their reads saw. Pure.

Each key is written by one client, one write at a time, with values that no other client writes. So what a key may hold
is a set that each answer narrows or widens, and every claim can be checked key by key:

- an acknowledged write is there, unless a later one replaced it or a later one without a clear answer may have;
- a record that was made once is there once, and nothing is there that no client wrote;
- while reads and writes go to the same side, a read sees the last acknowledged write, and never goes back;
- no request fails but with the documented 503;
- writers that streamback does not know are clients too: what was acknowledged to them is there as well;
- both sides are equal.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.chaos.model import Timeline
from sandbox.load.records import DELETE, GET, LIST, POST, TORN, Attempt

CRASHED, TIMED_OUT = 502, 504  # what API Gateway says when the function behind it died, or gave no answer
AROUND = 0.25  # seconds by which the note of a kill may be off


class Kind(StrEnum):
    LOST = "lost"  # an acknowledged write is not there
    DOUBLED = "doubled"  # one write made two records
    PHANTOM = "phantom"  # a record that no client wrote, or that was not to be written
    STALE = "stale"  # a read missed what was acknowledged before it began
    BACKWARDS = "backwards"  # a read saw less than an earlier one
    TORN = "torn"  # a record with fields of two writes
    FAILED = "failed"  # an answer that the API must not give
    DIFFERENT = "different"  # the two sides are not equal


@dataclass(frozen=True)
class Found:
    """A record that one side holds at the end.

    Args:
        value: the unique value in it.
        record: all of it, as text that is the same for the same record on either side.
        torn: whether its fields come from different writes.
    """

    key: str
    value: str
    record: str
    torn: bool = False


@dataclass(frozen=True)
class Violation:
    """One broken promise, with all that was done to its key."""

    kind: Kind
    key: str
    text: str
    history: Sequence[Attempt] = ()

    def __str__(self) -> str:
        lines = [f"{self.kind}: {self.key or 'no key'}: {self.text}"]
        lines += [f"    {_line(attempt)}" for attempt in self.history]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Story:
    """All there is to know about a run.

    Args:
        before: key and value of the records that were there before the clients came, or that others made.
        attempts: everything the clients did.
        source, other: what the source of truth and the other side hold at the end.
        strict: the stretches, in seconds of the monotonic clock, in which reads and writes surely went to one side.
        kills: the moments at which a function behind the API was killed; what it worked on may answer 502.
        ended: False while clients still write, so that only their answers and reads are looked at.
        pauses: from when to when a function behind the API stood still; what it worked on may answer 502 or 504.
    """

    before: Mapping[str, str]
    attempts: Sequence[Attempt]
    source: Sequence[Found]
    other: Sequence[Found]
    strict: Sequence[tuple[float, float]] = ()
    kills: Sequence[float] = ()
    pauses: Sequence[tuple[float, float]] = ()
    ended: bool = True


def check(story: Story) -> list[Violation]:
    """Every broken promise; none for a run in which all were kept."""
    return list(_Checker(story).violations())


@dataclass
class _Checker:
    story: Story
    by_key: dict[str, list[Attempt]] = field(default_factory=lambda: defaultdict[str, list["Attempt"]](list))

    def __post_init__(self) -> None:
        for attempt in sorted(self.story.attempts, key=lambda one: one.begun):
            if attempt.key:
                self.by_key[attempt.key].append(attempt)

    def violations(self) -> Iterator[Violation]:
        yield from self._failures()
        yield from self._made_twice()
        timelines = {key: self._timeline(key) for key in sorted({*self.story.before, *self._made()})}
        for key, timeline in timelines.items():
            yield from self._against(key, timeline)
        if self.story.ended:
            yield from self._phantoms(timelines)
            yield from self._differences()

    def _failures(self) -> Iterator[Violation]:
        for attempt in self.story.attempts:
            if attempt.failed and not self._excused(attempt):
                kind = Kind.TORN if attempt.outcome == TORN else Kind.FAILED
                yield self._violation(kind, attempt.key, f"{_line(attempt)}", [attempt])

    def _excused(self, attempt: Attempt) -> bool:
        if attempt.status not in {CRASHED, TIMED_OUT}:
            return False
        killed = [(moment, moment) for moment in self.story.kills if attempt.status == CRASHED]
        return any(
            attempt.begun - AROUND <= ended and begun <= attempt.ended + AROUND
            for begun, ended in (*killed, *self.story.pauses)
        )

    def _made(self) -> list[str]:
        return [one.key for one in self.story.attempts if one.kind == POST and one.key]

    def _made_twice(self) -> Iterator[Violation]:
        for key, count in Counter([*self.story.before, *self._made()]).items():
            if count > 1:
                yield self._violation(Kind.DOUBLED, key, f"{count} records were given this key")

    def _timeline(self, key: str) -> Timeline:
        writes = [one for one in self.by_key[key] if one.writes]
        return Timeline(self.story.before.get(key), writes)

    def _against(self, key: str, timeline: Timeline) -> Iterator[Violation]:
        """One key's answers, reads and end against what is possible."""
        for text in timeline.contradictions:
            yield self._violation(Kind.LOST, key, text)
        reads = [one for one in self.by_key[key] if one.kind == GET and not one.failed and not one.retried]
        for read in reads:
            yield from self._read(key, timeline, read)
        for begin, end in self.story.strict:
            within = [read for read in reads if begin <= read.begun and read.ended <= end]
            for earlier, later in timeline.backwards(within):
                text = f"read {later.value or 'nothing'} after {earlier.value or 'nothing'} had been read"
                yield self._violation(Kind.BACKWARDS, key, text)
        if self.story.ended:
            yield from self._end(key, timeline)

    def _read(self, key: str, timeline: Timeline, read: Attempt) -> Iterator[Violation]:
        seen = read.value or None
        strict = any(begin <= read.begun and read.ended <= end for begin, end in self.story.strict)
        if seen is not None and seen not in timeline.written(read.ended):
            yield self._violation(Kind.PHANTOM, key, f"a read saw {seen}, which was never written here")
        elif strict and seen not in timeline.possible(read.begun, read.ended):
            expected = _either(timeline.possible(read.begun, read.ended))
            yield self._violation(Kind.STALE, key, f"a read saw {seen or 'nothing'} instead of {expected}")

    def _end(self, key: str, timeline: Timeline) -> Iterator[Violation]:
        held = [one.value for one in self.story.source if one.key == key]
        value = held[0] if held else None
        if len(held) > 1:
            yield self._violation(Kind.DOUBLED, key, f"{len(held)} records have this key")
        elif value not in timeline.end:
            kind = Kind.LOST if value is None or value in timeline.written() else Kind.PHANTOM
            text = f"holds {value or 'nothing'} instead of {_either(timeline.end)}"
            yield self._violation(kind, key, text)

    def _phantoms(self, timelines: Mapping[str, Timeline]) -> Iterator[Violation]:
        """Records at the end under keys that no client received, and values that are there twice."""
        maybe = {one.value for one in self.story.attempts if one.kind == POST and one.maybe}
        for found in self.story.source:
            if found.torn:
                yield self._violation(Kind.TORN, found.key, f"holds fields of several writes: {found.record}")
            if found.key not in timelines and found.value not in maybe:
                yield self._violation(Kind.PHANTOM, found.key, f"no client made this record: {found.record}")
        for value, count in Counter(one.value for one in self.story.source).items():
            if count > 1 and self._unique(value):
                keys = [one.key for one in self.story.source if one.value == value]
                history = [one for one in self.story.attempts if one.value == value]
                yield Violation(Kind.DOUBLED, keys[-1], f"{value} is there {count} times: {', '.join(keys)}", history)

    def _unique(self, value: str) -> bool:
        return any(one.value == value and one.writes for one in self.story.attempts)

    def _differences(self) -> Iterator[Violation]:
        source, other = _by_key(self.story.source), _by_key(self.story.other)
        for key in sorted({*source, *other}):
            if source.get(key) != other.get(key):
                text = f"the source of truth holds {source.get(key)}, the other side {other.get(key)}"
                yield self._violation(Kind.DIFFERENT, key, text)

    def _violation(self, kind: Kind, key: str, text: str, history: Sequence[Attempt] | None = None) -> Violation:
        return Violation(kind, key, text, self.by_key.get(key, []) if history is None else history)


def _by_key(found: Iterable[Found]) -> dict[str, list[str]]:
    records: dict[str, list[str]] = defaultdict(list)
    for one in found:
        records[one.key].append(one.record)
    return {key: sorted(texts) for key, texts in records.items()}


def _either(values: Iterable[str | None]) -> str:
    return " or ".join(sorted(value or "nothing" for value in values))


def _line(attempt: Attempt) -> str:
    what = "" if attempt.kind in {DELETE, LIST} else f" {attempt.value or 'nothing'}"
    outcome = f" ({attempt.outcome})" if attempt.outcome else ""
    return (
        f"{attempt.begun:.3f}-{attempt.ended:.3f} client {attempt.client} {attempt.kind} {attempt.key}{what}"
        f" → {attempt.status}{outcome}"
    )
