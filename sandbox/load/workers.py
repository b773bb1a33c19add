"""The threads that send: writers, each with keys of its own, and readers who look at anybody's."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sandbox.load.client import Answer, Client, Endpoint
from sandbox.load.dialect import NOT_FOUND, Dialect
from sandbox.load.records import (
    DELETE,
    EXPECTED,
    GET,
    LIST,
    MAYBE,
    NO_ANSWER,
    NOTHING,
    POST,
    PUT,
    TORN,
    UNAVAILABLE,
    Attempt,
)

RECENT = 40  # how many of the last written keys a reader prefers


class Keys:
    """Every key that is or was there, for readers; a writer keeps its own list of what it owns."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._all = list(keys)
        self._recent: list[str] = []
        self._lock = threading.Lock()

    def written(self, key: str, *, new: bool) -> None:
        """Note that a key was just written or deleted."""
        with self._lock:
            if new:
                self._all.append(key)
            self._recent = [*self._recent[1 - RECENT :], key]

    def any(self, rng: random.Random) -> str:
        """A key to read, every second time one that was just written; empty when there is none."""
        with self._lock:
            chosen = self._recent if self._recent and rng.random() < 0.5 else self._all  # noqa: PLR2004  # every second
            return rng.choice(chosen) if chosen else ""


FEW = 3  # keys of its own below which a writer only makes new ones
PAGE_SIZES = (1, 10, 25)
LISTS = 0.2  # share of the reads that are lists
RAMP = 2.0  # seconds in which the workers join in, lest each of their first requests is a cold start of its own
LONGEST_PAUSE = 10.0  # seconds, whatever Retry-After says
LONGEST_EXCUSE = 300  # characters of what an answer says went wrong


@dataclass(frozen=True)
class Shape:
    """How a unique value becomes a record: the first field holds it, the others follow from it.

    Args:
        fields: the names of its text fields.
        prefix: with which every value of this load begins.
    """

    entity: str
    fields: Sequence[str]
    prefix: str

    def body(self, value: str) -> dict[str, str]:
        """The record's fields."""
        return {name: value if name == self.fields[0] else f"{value} {name}" for name in self.fields}

    def value(self, body: Any) -> tuple[str, str]:
        """The value of a record that was read, and TORN when its fields are not of one write."""
        record = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        value = str(record.get(self.fields[0]))
        whole = all(record.get(name) == text for name, text in self.body(value).items())
        return value, "" if whole or not value.startswith(self.prefix) else TORN


@dataclass(frozen=True)
class Ground:
    """What all workers share.

    Args:
        endpoint: the API.
        dialect: how to speak to it.
        shape: of the records.
        keys: that readers may look at.
        over: set when the load ends.
        note: takes each attempt.
        seed: of all randomness.
    """

    endpoint: Endpoint
    dialect: Dialect
    shape: Shape
    keys: Keys
    over: threading.Event
    note: Callable[[Attempt], None]
    seed: int


class Worker(threading.Thread):
    """Sends at its own rate until the load is over, whatever others wait for.

    Args:
        ground: what it shares with the others.
        number: which one it is.
        rate: operations a second; those that it misses while it waits for an answer are not made up for.
    """

    def __init__(self, ground: Ground, number: int, rate: float) -> None:
        super().__init__(name=f"load-{number}", daemon=True)
        self.ground = ground
        self.number = number
        self.rng = random.Random(f"{ground.seed}/{number}")  # noqa: S311  # a load, not a secret
        self.operation = 0
        self._every = 1 / rate
        self._client = Client(ground.endpoint)

    def run(self) -> None:
        due = time.monotonic() + self.rng.random() * max(self._every, RAMP)
        while not self.ground.over.wait(max(0.0, due - time.monotonic())):
            self.operation += 1
            self.act()
            due = max(due + self._every * self.rng.uniform(0.5, 1.5), time.monotonic())
        self._client.close()

    def act(self) -> None:
        """One operation, with as many attempts as it takes."""
        raise NotImplementedError

    def attempt(self, kind: str, key: str = "", value: str = "", body: Any = None) -> tuple[Attempt, Answer | None]:
        """One request, noted; the answer is None where none came."""
        sent = self.ground.dialect.request(kind, key, body, self.rng.choice(PAGE_SIZES) if kind == LIST else 0)
        begun = time.monotonic()
        try:
            answer, outcome = self._client.send(sent.method, sent.path, sent.query, sent.body), ""
        except (OSError, http.client.HTTPException) as error:
            answer, outcome = None, f"{type(error).__name__}: {error}"
        ended = time.monotonic()
        answer = self.ground.dialect.answer(kind, sent.key, answer) if answer else None
        seen = self._seen(kind, sent.key, value, answer) if answer else (sent.key, value, outcome)
        status = answer.status if answer else NO_ANSWER
        done = Attempt(self.number, self.operation, kind, seen[0], seen[1], begun, ended, status, seen[2])
        self.ground.note(done)
        return done, answer

    def until_answered(self, send: Callable[[], tuple[Attempt, Answer | None]]) -> Attempt:
        """Send until there is an answer that is no "try again"; the load's end does not cut it short."""
        while True:
            done, answer = send()
            if not done.retried or answer is None:
                return done
            time.sleep(min(answer.retry_after, LONGEST_PAUSE))

    def _seen(self, kind: str, key: str, value: str, answer: Answer) -> tuple[str, str, str]:
        if answer.status not in EXPECTED[kind]:
            return key, value, _excuse(answer)
        if kind == POST:
            return str(cast("Mapping[str, Any]", answer.body or {}).get("id", "")), value, ""
        if kind == GET and answer.status != NOT_FOUND:
            return key, *self.ground.shape.value(answer.body)
        if kind == LIST:
            return "", "", self._torn(answer.body)
        return key, value, ""

    def _torn(self, body: Any) -> str:
        items = cast("Mapping[str, Any]", body or {}).get("items", [])
        return TORN if any(self.ground.shape.value(item)[1] for item in items) else ""


class Writer(Worker):
    """Makes, replaces and deletes records of its own; each attempt has a value that no other has."""

    def __init__(self, ground: Ground, number: int, rate: float, keys: Sequence[str] = ()) -> None:
        super().__init__(ground, number, rate)
        self._own = list(keys)
        self._values = 0

    def act(self) -> None:
        choice = self.rng.random()
        if len(self._own) < FEW or choice < 0.35:  # noqa: PLR2004  # a mix: 35 POST, 45 PUT, 20 DELETE of 100
            self._create()
        elif choice < 0.8:  # noqa: PLR2004  # likewise
            self._replace(self.rng.choice(self._own))
        else:
            self._remove(self.rng.choice(self._own))

    def _create(self) -> None:
        done = self.until_answered(lambda: self._write(POST))
        if done.status in EXPECTED[POST]:
            self._own.append(done.key)
            self.ground.keys.written(done.key, new=True)

    def _replace(self, key: str) -> None:
        done = self.until_answered(lambda: self._write(PUT, key))
        self._note_own(key, gone=done.status == NOT_FOUND)

    def _remove(self, key: str) -> None:
        done = self.until_answered(lambda: self.attempt(DELETE, key))
        self._note_own(key, gone=done.status in EXPECTED[DELETE])

    def _note_own(self, key: str, *, gone: bool) -> None:
        if gone:
            self._own.remove(key)
        self.ground.keys.written(key, new=False)

    def _write(self, kind: str, key: str = "") -> tuple[Attempt, Answer | None]:
        self._values += 1
        value = f"{self.ground.shape.prefix}{self.number}-{self._values}"
        return self.attempt(kind, key, value, self.ground.shape.body(value))


class Reader(Worker):
    def act(self) -> None:
        key = self.ground.keys.any(self.rng)
        kind = LIST if not key or self.rng.random() < LISTS else GET
        self.until_answered(lambda: self.attempt(kind, key if kind == GET else ""))


def _excuse(answer: Answer) -> str:
    body = cast("dict[str, Any]", answer.body) if isinstance(answer.body, dict) else {}
    outcome = body.get("outcome")
    if answer.status == UNAVAILABLE and outcome in {NOTHING, MAYBE}:
        return str(outcome)
    return str(body.get("message") or body.get("error") or "no message")[:LONGEST_EXCUSE]
