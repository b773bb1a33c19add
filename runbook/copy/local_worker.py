"""`--run-here`: runs the copy workers in threads of this process, with the code that runs in Lambda.

Each takes its lane's lease as a function does, so both may run at once: the owner of the lease works, the other waits.
"""

import socket
import threading
import uuid
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from functions.aws.quarantine import Quarantine
from functions.copy.lane import CopyLane, LaneTargets
from functions.copy.worker import STOP_BEFORE_SECONDS, LaneWork
from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError
from runbook.stack import Context

LANE_RETRY_SECONDS = 2.0  # until a lane that another worker has is tried again
REMAINING_SECONDS = 3600.0  # a worker here has no function timeout: it ends when the block ends
END_TIMEOUT_SECONDS = 60.0  # for the rounds under way; a round that is cut off can be repeated


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
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Wait for the rounds under way, which release their lanes."""
        self._ending.set()
        for thread in self._threads:
            thread.join(END_TIMEOUT_SECONDS)

    def check(self) -> None:
        """Stop when a worker has failed.

        Raises:
            FailedError: with its error.
        """
        if self._problem:
            raise FailedError(
                f"a copy worker of this process failed: {type(self._problem).__name__}: {self._problem}",
                "Nothing is lost; fix the cause and run the command again.",
            ) from self._problem

    def _work(self, entity: EntityTarget, lane: int) -> None:
        try:
            while not self._ending.is_set():
                LaneWork(self._lane(entity, lane), self._remaining, self._sleep).run()
                self._ending.wait(LANE_RETRY_SECONDS)
        except Exception as error:  # noqa: BLE001  # because a thread cannot raise to its starter; `check` does
            self._problem = error

    def _remaining(self) -> float:
        return STOP_BEFORE_SECONDS if self._ending.is_set() else REMAINING_SECONDS

    def _sleep(self, seconds: float) -> None:
        self._ending.wait(seconds)

    def _lane(self, entity: EntityTarget, lane: int) -> CopyLane:
        target, clients = self._context.target, self._context.clients
        described = target.mapping[entity.name]
        quarantine = Quarantine(clients.dynamodb, target.quarantine_table, "run by hand", stream="")
        targets = LaneTargets(
            database=self._context.aurora.as_bridge(described.legacy.database),
            dynamodb=clients.dynamodb_once,
            table=entity.modern_table,
            journal=target.journal_table,
            quarantine=partial(quarantine.put_copied, entity.name),
        )
        return CopyLane(described, lane, targets, owner=f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}")
