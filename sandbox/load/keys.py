"""The keys that the clients write: who owns which, and which ones a reader may look at."""

import random
import threading
from collections.abc import Sequence

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
