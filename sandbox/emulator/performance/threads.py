"""Threads that MiniStack starts for each call of a function are kept and used again, and ids take no system call.

The event loop waits in `Thread.start` until the new thread runs, and gives the interpreter's lock up for random ids:
with other threads at work that is milliseconds of every request, in which it serves no request. This file can go when
MiniStack keeps its threads.
"""
# pyright: basic

from __future__ import annotations

import queue
import random
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ministack.core import concurrency, lambda_runtime

from sandbox.emulator.patching import check_version

if TYPE_CHECKING:
    Job = Callable[[], None]

RANDOM = random.Random(random.SystemRandom().getrandbits(128))  # noqa: S311  # ids, not secrets


def install() -> None:
    check_version("performance/threads")
    for module in (concurrency, lambda_runtime):
        module.threading = Threading()  # pyright: ignore[reportAttributeAccessIssue]
    uuid.uuid4 = random_id


def random_id() -> uuid.UUID:
    """A random UUID; nothing of the sandbox must be unguessable."""
    return uuid.UUID(int=RANDOM.getrandbits(128), version=4)


class Kept:
    idle: ClassVar[list[Kept]] = []  # the last that ended its job is the next to get one

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        threading.Thread(target=self._live, daemon=True, name="sandbox-kept").start()

    @classmethod
    def give(cls, job: Job) -> None:
        """Have a job done by a thread that is idle, or by a new one: there is no bound, so nothing can lock up."""
        try:
            thread = cls.idle.pop()
        except IndexError:
            thread = cls()
        thread._jobs.put(job)

    def _live(self) -> None:
        while True:
            self._jobs.get()()
            self.idle.append(self)


class Thread:
    """Stands in for `threading.Thread`: a job on a kept thread."""

    def __init__(
        self,
        *,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str = "",
        daemon: bool = True,
    ) -> None:
        assert daemon, "a kept thread does not keep the process alive"
        self.name = name
        self._target, self._args, self._kwargs = target, args, kwargs or {}
        self._ended: threading.Event | None = None

    def start(self) -> None:
        self._ended = threading.Event()
        Kept.give(self._run)

    def _run(self) -> None:
        assert self._ended
        try:
            self._target(*self._args, **self._kwargs)
        except BaseException:  # noqa: BLE001  # as a thread of its own would: reported, and no other thread ends
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), None)))
        finally:
            self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, for so many seconds at most."""
        assert self._ended, "it was not started"
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return self._ended is not None and not self._ended.is_set()


class Threading:
    """Stands in for the module `threading`: its threads are kept ones, all else as ever."""

    Thread = Thread

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)
