"""`--run-here`: copy's lanes worked on by threads of this process, with the code that runs in Lambda.

Each takes its lane's lease as a function does, so both may run at once: whoever has the lease works, the other waits.
"""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from functions.aws.quarantine import Quarantine
from functions.copy.lane import CopyLane, Places
from functions.copy.worker import END, Work
from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError
from runbook.stack import Context

AGAIN = 2.0  # seconds until a lane that another worker has is tried again
MUCH = 3600.0  # seconds; a worker here ends when it is told to
JOIN = 60.0  # seconds for the rounds under way; what is cut off can be repeated


class Workers:
    """The workers of some entities, at work for as long as the block lasts."""

    def __init__(self, context: Context, entities: Sequence[EntityTarget]) -> None:
        self._context = context
        self._ending = threading.Event()
        self._problem: Exception | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(entity, lane), name=f"copy-{entity.name}-{lane}", daemon=True)
            for entity in entities
            for lane in range(names.LANES)
        ]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let the rounds under way end, and the lanes go."""
        self._ending.set()
        for thread in self._threads:
            thread.join(JOIN)

    def check(self) -> None:
        """Tell of a worker that fell.

        Raises:
            FailedError: with what it said.
        """
        if self._problem:
            raise FailedError(
                f"a worker here fell: {type(self._problem).__name__}: {self._problem}",
                "Nothing is lost; mend the cause and run it again.",
            ) from self._problem

    def _work(self, entity: EntityTarget, lane: int) -> None:
        try:
            while not self._ending.is_set():
                Work(self._lane(entity, lane), self._remaining, self._sleep).run()
                self._ending.wait(AGAIN)
        except Exception as error:  # noqa: BLE001  # why: a thread has nobody to raise it to; `check` does
            self._problem = error

    def _remaining(self) -> float:
        return END if self._ending.is_set() else MUCH

    def _sleep(self, seconds: float) -> None:
        self._ending.wait(seconds)

    def _lane(self, entity: EntityTarget, lane: int) -> CopyLane:
        target, clients = self._context.target, self._context.clients
        described = target.mapping[entity.name]
        quarantine = Quarantine(clients.dynamodb, target.quarantine_table, "run by hand", stream="")
        places = Places(
            database=self._context.aurora.as_bridge(described.legacy.database),
            dynamodb=clients.dynamodb_once,
            table=entity.modern_table,
            journal=target.journal_table,
            park=partial(quarantine.park, entity.name, "copy"),
        )
        return CopyLane(described, lane, places, owner=f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}")
