"""Threads that end soon when one of them fails or the operator interrupts, and a rate that they share."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")
QUEUED_PER_THREAD = 2  # tasks that are handed out before the first of them is done


class StoppedError(Exception):
    """The work was to stop: another part of it has failed, or the operator interrupted."""


class WorkerPool:
    """A few threads.

    Args:
        stop: set when a task fails or the caller is interrupted; a task that sees it set raises `StoppedError`.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._threads = threads
        self._stop = stop
        self._errors: deque[BaseException] = deque()

    def run(self, tasks: Iterable[Callable[[], Answer]]) -> Iterator[Answer]:
        """The tasks' answers in their order; not all tasks are taken before the first answer.

        Raises:
            Exception: the first that a task raised, once every thread has ended.
        """
        waiting: deque[Future[Answer]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            for task in tasks:
                waiting.append(pool.submit(self._stopping, task))
                if len(waiting) >= QUEUED_PER_THREAD * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except StoppedError:
            pool.shutdown(cancel_futures=True)
            raise self._errors[0] if self._errors else StoppedError from None
        except BaseException:  # the operator's interrupt too, and a caller that wants no more answers
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _stopping(self, task: Callable[[], Answer]) -> Answer:
        try:
            return task()
        except StoppedError:
            raise
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()
            raise


class RateLimiter:
    """A rate that several threads share.

    Args:
        per_second: how much may be taken in a second; 0 for no limit.
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
