"""What the demo does while the endpoint moves: chefs through the modern API, and readers who must not notice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runbook.clients import Clients
from runbook.http import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runbook.target import Target

WRITERS = 8
READ_EVERY = 0.02  # seconds between two public reads
CREATED, OK = 201, 200


class StoryError(Exception):
    """The demo's promise did not hold."""


@dataclass
class Seen:
    """What the public endpoint's readers saw: answers by status, and the slowest one in seconds."""

    statuses: dict[int, int] = field(default_factory=dict[int, int])
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """All answers."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """Answers other than 200."""
        return self.total - self.statuses.get(OK, 0)


def api(target: Target) -> Api:
    """A client of the deployed API, signed when it asks for that."""
    return Api(target, Clients(target).session)


def write_all(
    target: Target, path: str, chefs: Iterable[Mapping[str, str]], written: Callable[[str], None]
) -> list[str]:
    """POST every chef with several writers at once; `written` hears of each id. Returns the ids.

    Raises:
        StoryError: an answer other than 201.
    """
    client = api(target)

    def write(chef: Mapping[str, str]) -> str:
        answer = client.request("POST", path, chef)
        if answer.status != CREATED:
            raise StoryError(f"POST {path} answered {answer}")
        written(answer.body["id"])
        return answer.body["id"]

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(write, chefs))


class Readers:
    """Reads the public collection without a pause from start to stop."""

    def __init__(self, target: Target, path: str) -> None:
        self.seen = Seen()
        self._api = api(target)
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="readers", daemon=True)

    def __enter__(self) -> Seen:
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._over.wait(READ_EVERY):
            begun = time.monotonic()
            status = self._api.get(self._path, limit=1).status
            self.seen.slowest = max(self.seen.slowest, time.monotonic() - begun)
            self.seen.statuses[status] = self.seen.statuses.get(status, 0) + 1
