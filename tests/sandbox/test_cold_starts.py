"""A burst of calls starts few workers at a time, takes those that become free, and never waits for ever."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from ministack.core import lambda_runtime as runtime

from sandbox.emulator.performance import cold_starts
from sandbox.emulator.performance.cold_starts import AT_ONCE, Starts

TIMEOUT = 10.0


class Pool:
    """Stands in for MiniStack's pool of one function's workers."""

    def __init__(self, starts, monkeypatch):
        self.workers = []
        self.most_starting = 0
        monkeypatch.setattr(runtime, "_workers", {"key": self.workers})
        monkeypatch.setattr(runtime, "_worker_key", lambda *_: "key")
        self.acquire = starts.acquiring(self._acquire)
        self.release = starts.releasing(self._release)
        self.spawn = starts.spawning(self._spawn)

    def _acquire(self, *_, **__):
        for worker in self.workers:
            if not worker.in_use:
                worker.in_use = True
                return worker, "reused"
        worker = SimpleNamespace(in_use=True, started=False, may_start=threading.Event())
        self.workers.append(worker)
        self.most_starting = max(self.most_starting, sum(not each.started for each in self.workers))
        return worker, "spawn"

    @staticmethod
    def _release(worker):
        worker.in_use = False

    @staticmethod
    def _spawn(worker):
        assert worker.may_start.wait(TIMEOUT)
        worker.started = True

    def call(self):
        worker, reason = self.acquire("function", {}, b"")
        if reason == "spawn":
            self.spawn(worker)
        self.release(worker)


@pytest.fixture
def pool(monkeypatch):
    return Pool(Starts(), monkeypatch)


def run(pool, count):
    threads = [threading.Thread(target=pool.call) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def end(threads):
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def wait_for(happened):
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_burst_starts_a_few_workers_which_serve_all_of_it(pool):
    threads = run(pool, 30)
    wait_for(lambda: len(pool.workers) == AT_ONCE)
    for worker in pool.workers:
        worker.may_start.set()
    end(threads)
    assert pool.most_starting == AT_ONCE
    assert len(pool.workers) == AT_ONCE


def test_when_no_worker_becomes_free_another_one_starts(pool):
    held = [pool.acquire("function", {}, b"")[0] for _ in range(AT_ONCE)]
    for worker in held:
        worker.may_start.set()
        pool.spawn(worker)
    threads = run(pool, 1)
    wait_for(lambda: len(pool.workers) == AT_ONCE + 1)
    pool.workers[-1].may_start.set()
    end(threads)


def test_a_start_that_never_ends_is_forgotten(pool, monkeypatch):
    monkeypatch.setattr(cold_starts, "FORGOTTEN", 0.05)
    for _ in range(AT_ONCE):
        pool.acquire("function", {}, b"")
    threads = run(pool, 1)
    wait_for(lambda: len(pool.workers) == AT_ONCE + 1)
    pool.workers[-1].may_start.set()
    end(threads)


def test_a_start_that_fails_lets_the_next_call_start(pool):
    failing = Starts().spawning(lambda _: (_ for _ in ()).throw(RuntimeError("no")))
    with pytest.raises(RuntimeError):
        failing(SimpleNamespace())
    worker, _ = pool.acquire("function", {}, b"")
    pool.release(worker)
    assert pool.acquire("function", {}, b"") == (worker, "reused")
