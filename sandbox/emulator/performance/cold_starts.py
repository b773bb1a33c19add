"""Cold starts one after the other, while calls take whatever worker is free first.

On AWS each concurrent call without a free environment starts one, on a machine of its own, so that a burst of them
takes as long as one. MiniStack starts as many processes at once, and on a few cores a burst of fifty takes fifty times
as long: every call behind a switched route waits for seconds. Here a few start at a time and the other calls wait for
whichever worker is free first, which is about as long as on AWS. This file can go when MiniStack bounds its starts.
"""
# pyright: basic

import threading
import time
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap

AT_ONCE = 2  # starts of one function at a time
PAUSE = 0.1  # seconds after a start in which its worker may serve those who wait
FORGOTTEN = 10.0  # seconds after which a start that never ended no longer counts


def install() -> None:
    check_version("performance/cold_starts")
    starts = Starts()
    wrap(functions, "acquire_worker", starts.acquiring)
    wrap(functions, "release_worker", starts.releasing)
    wrap(runtime.Worker, "_spawn", starts.spawning)


class Starts:
    """The workers that are being started, by function."""

    def __init__(self) -> None:
        self._begun: dict[str, dict[int, float]] = {}
        self._last: dict[str, float] = {}
        self._changed = threading.Condition()

    def acquiring(self, stock: Any) -> Any:
        """Wait while enough workers start and none is free. A start always ends, so this does, too."""

        def acquire(name: str, config: Any, code: Any, *more: Any, **named: Any) -> Any:
            qualifier = named.get("qualifier") or (more[0] if more else "$LATEST")
            with self._changed:
                key = str(runtime._worker_key(name, config, qualifier))
                while self._busy(key) and not _free(runtime._worker_key(name, config, qualifier)):
                    self._changed.wait(PAUSE)
                worker, reason = stock(name, config, code, *more, **named)
                if reason == "spawn":
                    self._begun.setdefault(key, {})[id(worker)] = time.monotonic()
                return worker, reason

        return acquire

    def releasing(self, stock: Any) -> Any:
        """Notify waiting calls that a worker is free."""

        def release(worker: Any) -> None:
            stock(worker)
            self._ended(worker)

        return release

    def spawning(self, stock: Any) -> Any:
        """Notify them that a start has ended, well or not."""

        def spawn(worker: Any) -> None:
            try:
                stock(worker)
            finally:
                self._ended(worker)

        return spawn

    def _ended(self, worker: Any) -> None:
        with self._changed:
            for key, begun in self._begun.items():
                if begun.pop(id(worker), None):
                    self._last[key] = time.monotonic()
            self._changed.notify_all()

    def _busy(self, key: str) -> bool:
        now = time.monotonic()
        starting = sum(moment > now - FORGOTTEN for moment in self._begun.get(key, {}).values())
        return starting >= AT_ONCE or self._last.get(key, 0.0) > now - PAUSE


def _free(key: Any) -> bool:
    with runtime._lock:
        return any(not worker.in_use for worker in runtime._workers.get(key, []))
