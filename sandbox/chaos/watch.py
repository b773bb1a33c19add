"""Looks at Aurora while the run goes on: when no operation is under way, fence and triggers are as the phase has them.

A client cannot see each of these: behind a fence that is wrongly up its requests wait, and without triggers its writes
are acknowledged and stay on one side.
"""

import threading
from typing import Any, Self

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from functions.domain import names
from functions.domain.phase import Phase
from functions.install import triggers
from sandbox.chaos.foreign.client import once
from sandbox.chaos.system import Arena

EVERY = 0.5  # seconds


class Watch:
    """The watch of one run."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._client = once(arena)
        self._wanted = set(triggers.bodies(arena.entity))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self._look()
            except (ClientError, BotoCoreError, pymysql.err.MySQLError, OSError):
                continue  # a fault; the next look decides

    def _look(self) -> None:
        """Look at Aurora, and at the journal before and after: what an operation is at work on proves nothing."""
        before = self._state()
        if before is None:
            return
        phase, copies = before[:2]
        fenced, present = self._aurora()
        if self._state() != before:
            return
        if fenced != (phase == Phase.MODERN):
            self._arena.problem(f"the fence is {'up' if fenced else 'down'} in phase {phase} without an operation")
        if copies and (missing := self._wanted - present):
            self._arena.problem(f"copy was started, and in phase {phase} there is no {', '.join(sorted(missing))}")

    def _state(self) -> tuple[Any, ...] | None:
        """The phase, whether copy was started, and the lock's number; None while anybody acts, or may act."""
        item = self._record(names.STATE_RECORD)
        phase = item.get("phase", {}).get("S", "")
        if phase not in {Phase.LEGACY, Phase.MODERN} or {"operation", "lock"} & set(item):
            return None
        return phase, bool(self._record(names.COPY_RECORD)), item.get("token")

    def _record(self, record: str) -> dict[str, Any]:
        key = {"entity": {"S": self._arena.name}, "record": {"S": record}}
        table = self._arena.target.journal_table
        return dict(self._client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {}))

    def _aurora(self) -> tuple[bool, set[str]]:
        place = self._arena.entity.legacy
        with self._arena.sandbox.database.connect(database=place.database) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT fenced FROM {names.CONTROL_TABLE} WHERE entity = %s", [self._arena.name])  # noqa: S608
            row = cursor.fetchone()
            cursor.execute(
                "SELECT trigger_name FROM information_schema.triggers "
                "WHERE event_object_schema = %s AND event_object_table = %s",
                [place.database, place.table],
            )
            present = {str(name) for (name,) in cursor.fetchall()}
        return bool(row and row[0]), present
