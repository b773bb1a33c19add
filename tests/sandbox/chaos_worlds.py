"""A perfect API in memory, with which the checker's tests make histories that are right, and then break."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from sandbox.chaos.checker import Found, Kind, Story, check
from sandbox.load.records import DELETE, GET, MAYBE, NOTHING, POST, PUT, Attempt

KINDS = (POST, PUT, PUT, PUT, DELETE, GET, GET, GET)
ERRORS = ("", "", "", NOTHING, MAYBE)


@dataclass
class World:
    """Clients one after the other on a store that keeps every promise; `seed` is of their choices."""

    seed: int
    clients: int = 3
    steps: int = 60
    held: dict[str, str] = field(default_factory=lambda: {"1": "seed-1", "2": "seed-2"})
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = dict(self.held)
        self._rng = random.Random(self.seed)
        self._own = {client: list(self.held)[client : client + 1] for client in range(self.clients)}
        self._next = 0
        for step in range(self.steps):
            self._act(step, step * 1.0)

    def story(self) -> Story:
        """The whole run; both sides equal, reads and writes on one side throughout."""
        found = [Found(key, value, f"record {value}") for key, value in self.held.items()]
        return Story(before=self.before, attempts=self.attempts, source=found, other=found, strict=[(0.0, 1e9)])

    def _act(self, step: int, now: float) -> None:
        client = self._rng.randrange(self.clients)
        kind = self._rng.choice(KINDS)
        error = self._rng.choice(ERRORS) if kind != GET else ""
        own = self._own[client]
        if kind != POST and not own:
            kind = POST
        key = "" if kind == POST else self._rng.choice(own)
        value = "" if kind in {DELETE, GET} else f"v{step}"
        happens = error == "" or (error == MAYBE and self._rng.random() < 0.5)
        status, key, value = self._send(kind, key, value, happens)
        if kind == POST and status == 201 and not error:
            own.append(key)
        if error:
            status, key = 503, "" if kind == POST else key
        self.attempts.append(Attempt(client, step, kind, key, value, now, now + 0.5, status, error))

    def _send(self, kind: str, key: str, value: str, happens: bool) -> tuple[int, str, str]:
        if kind == GET:
            return (200 if key in self.held else 404), key, self.held.get(key, "")
        if kind != POST and key not in self.held:
            return 404, key, value
        if not happens:
            return 503, key, value
        if kind == POST:
            self._next += 1
            key = f"new-{self._next}"
        if kind == DELETE:
            del self.held[key]
        else:
            self.held[key] = value
        return {POST: 201, PUT: 200, DELETE: 204}[kind], key, value


def kinds(story: Story) -> set[Kind]:
    """The kinds of what the checker finds."""
    return {violation.kind for violation in check(story)}


def acknowledged(story: Story, *wanted: str) -> list[Attempt]:
    """The writes of these kinds that were acknowledged and are the last of their key."""
    last: dict[str, Attempt] = {}
    for one in story.attempts:
        if one.key and one.writes:
            last[one.key] = one
    return [one for one in last.values() if one.kind in wanted and one.status in {200, 201, 204}]


def holding(story: Story, *, drop: str = "", add: tuple[Found, ...] = ()) -> Story:
    """The same run, with both sides holding something else in the end."""
    found = [one for one in story.source if one.key != drop] + list(add)
    return replace(story, source=found, other=found)
