"""Runs tasks on a few threads that all end soon when one of them fails or the operator interrupts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")
WAITING = 2  # tasks a thread that are handed out before the first of them is done


class StoppedError(Exception):
    """The work was to stop: another part of it has failed, or the operator interrupted."""


class Crew:
    """A few threads.

    Args:
        threads: how many.
        stop: set when a task fails or the caller is interrupted; a task that looks at it raises `StoppedError`.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._threads = threads
        self._stop = stop
        self._first: list[BaseException] = []

    def run(self, tasks: Iterable[Callable[[], Answer]]) -> Iterator[Answer]:
        """The tasks' answers in their order; not all tasks are taken before the first answer.

        Raises:
            Exception: the first that a task raised, once every thread has ended.
        """
        waiting: deque[Future[Answer]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            for task in tasks:
                waiting.append(pool.submit(self._guarded, task))
                if len(waiting) >= WAITING * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except StoppedError:
            pool.shutdown(cancel_futures=True)
            raise self._first[0] if self._first else StoppedError from None
        except BaseException:  # the operator's interrupt among them, and a caller who wants no more
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _guarded(self, task: Callable[[], Answer]) -> Answer:
        try:
            return task()
        except StoppedError:
            raise
        except BaseException as error:
            self._first.append(error)
            self._stop.set()
            raise
