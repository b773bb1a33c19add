"""How long a write takes to arrive in Aurora, seen from outside: sampled keys are looked up until there."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pymysql

from functions.domain import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymysql import Connection

    from functions.domain.entities import Entity

POLL = 0.02  # seconds between two looks; the resolution of the figures


class LagSampler:
    """Watches a legacy table for the keys it is told of.

    Args:
        connect: opens a connection to Aurora's stand-in; called again when the database was away.
        entity: whose table to watch.
        every: one key in so many is watched.
    """

    def __init__(self, connect: Callable[[], Connection], entity: Entity, every: int = 20) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._query = (
            f"SELECT {names.KEY_COLUMN} FROM `{entity.legacy.database}`.`{entity.legacy.table}` "  # noqa: S608  # checked names
            f"WHERE {names.KEY_COLUMN} IN %s"
        )
        self._every = every
        self._seen = 0
        self._waiting: dict[bytes, float] = {}
        self._lags: list[float] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)
        self._thread.start()

    def written(self, key: str) -> None:
        """Say that the API has just acknowledged the write of `key`."""
        with self._lock:
            self._seen += 1
            if self._seen % self._every == 0:
                self._waiting[key.encode()] = time.monotonic()

    def finish(self) -> list[float]:
        """The lags in seconds, sorted; call it when every write has arrived."""
        self._over.set()
        self._thread.join()
        if self._connection:
            self._connection.close()
        return sorted(self._lags)

    def _watch(self) -> None:
        while not (self._over.wait(POLL) and not self._waiting):
            with self._lock:
                keys = list(self._waiting)
            if keys:
                with contextlib.suppress(pymysql.err.MySQLError):
                    self._look(keys)

    def _look(self, keys: list[bytes]) -> None:
        found = self._found(keys)
        now = time.monotonic()
        with self._lock:
            self._lags += [now - self._waiting.pop(key) for key in found]

    def _found(self, keys: list[bytes]) -> list[bytes]:
        """Which keys are there; a connection that failed is replaced at the next look."""
        connection, self._connection = self._connection or self._connect(), None
        with connection.cursor() as cursor:
            cursor.execute(self._query, (keys,))
            found = [row[0] for row in cursor.fetchall()]
        self._connection = connection
        return found


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
