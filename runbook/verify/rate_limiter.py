"""Keeps work at or under a rate, over all threads."""

from __future__ import annotations

import threading
import time


class Pace:
    """A rate that several threads share.

    Args:
        per_second: how much may be taken in a second; 0 for as much as comes.
        stop: ends every wait.
    """

    def __init__(self, per_second: float = 0, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._per_second = per_second
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` may be taken."""
        if self._per_second <= 0 or not count:
            return
        with self._lock:
            now = time.monotonic()
            begins = max(now, self._free_at)
            self._free_at = begins + count / self._per_second
        self._stop.wait(max(0.0, begins - now))
