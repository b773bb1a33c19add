"""Limits copy: to a rate in rows a second, and by Aurora's own load."""

import time
from collections.abc import Callable

from functions.aws.data_api import DataApi, cell_text

LOOK_SECONDS = 3.0  # seconds between two looks at Aurora's load
# Every user may see its own threads; those of others take a right that ours has not.
OWN = (
    "SELECT COUNT(*) FROM information_schema.processlist "
    "WHERE user = SUBSTRING_INDEX(USER(), '@', 1) AND command <> 'Sleep'"
)


class Bucket:
    """A token bucket: at most `rate` rows a second, with what was not used in the last second.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = 0.0
        self._tokens = 0.0
        self._at = clock()

    def limit(self, rate: float) -> None:
        """Change the rate; 0 for no limit."""
        self._fill()
        self._rate = rate
        self._tokens = min(self._tokens, self._most())

    def available(self, most: int) -> int:
        """How many rows may be taken now."""
        self._fill()
        return min(most, int(self._tokens)) if self._rate else most

    def take(self, rows: int) -> None:
        self._tokens -= rows if self._rate else 0

    def wait(self) -> float:
        """Seconds until the next row may be taken."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self._rate) if self._rate else 0.0

    def _most(self) -> float:
        return max(1.0, self._rate)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._most(), self._tokens + (now - self._at) * self._rate)
        self._at = now


class Load:
    """How busy Aurora is, looked at every few seconds.

    Args:
        database: any of its databases.
        clock: in seconds.
    """

    def __init__(self, database: DataApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._at = float("-inf")
        self._running = 0

    def excess(self, limit: int) -> str:
        """Why copy should wait; empty when Aurora has at most `limit` threads at work, or there is no limit."""
        if not limit:
            return ""
        if self._clock() - self._at >= LOOK_SECONDS:
            self._running, self._at = self._look(), self._clock()
        return f"Aurora has {self._running} threads running, above {limit}" if self._running > limit else ""

    def _look(self) -> int:
        """Threads at work but for our user's own: copy and bridge must not wait for themselves."""
        rows = self._database.query("SHOW GLOBAL STATUS LIKE 'Threads_running'")
        own = self._database.query(OWN)
        return max(0, int(cell_text(rows[0][1])) - int(cell_text(own[0][0])))
