"""The process that sends: settings as JSON on the first line of stdin, counts on stdout, until stdin ends."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from functions.domain import entities
from sandbox.load import records
from sandbox.load.client import Endpoint
from sandbox.load.dialect import Dialect, ForeignDialect, OwnDialect
from sandbox.load.workers import Ground, Keys, Reader, Shape, Worker, Writer

TICK = 0.25  # seconds between two lines of counts


class Notebook:
    """Collects attempts from all threads, and counts them."""

    def __init__(self) -> None:
        self.attempts: list[records.Attempt] = []
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("reads", "writes", "retried", "failed"), 0)

    def note(self, attempt: records.Attempt) -> None:
        kind = "retried" if attempt.retried else "failed" if attempt.failed else None
        with self._lock:
            self.attempts.append(attempt)
            self._counts[kind or ("writes" if attempt.writes else "reads")] += 1

    def line(self) -> str:
        with self._lock:
            return json.dumps(self._counts)


def main() -> None:
    """Send until stdin ends, then wait for every answer and write the history down."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    notebook, over = Notebook(), threading.Event()
    workers = _workers(settings, notebook, over)
    for worker in workers:
        worker.start()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.wait(TICK):
        _print_counts(notebook)
    for worker in workers:
        worker.join()
    records.write(Path(settings["history"]), notebook.attempts)
    _print_counts(notebook)


def _workers(settings: dict[str, Any], notebook: Notebook, over: threading.Event) -> list[Worker]:
    ground = Ground(
        endpoint=Endpoint(**settings["endpoint"]),
        dialect=_dialect(settings["entity"], settings["mapping"]),
        shape=Shape(settings["entity"], settings["fields"], settings["prefix"]),
        keys=Keys(settings["keys"]),
        over=over,
        note=notebook.note,
        seed=settings["seed"],
    )
    writers, readers = settings["writers"], settings["readers"]
    return [
        *(
            Writer(ground, number, settings["writes"] / writers, settings["keys"][number::writers])
            for number in range(writers)
        ),
        *(Reader(ground, number, settings["reads"] / readers) for number in range(writers, writers + readers)),
    ]


def _dialect(name: str, mapping: dict[str, Any]) -> Dialect:
    entity = entities.parse(mapping)[name]
    return ForeignDialect(entity) if entity.contract else OwnDialect(name)


def _print_counts(notebook: Notebook) -> None:
    print(notebook.line(), flush=True)  # noqa: T201  # the protocol with the parent


if __name__ == "__main__":
    main()
