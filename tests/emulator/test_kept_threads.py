"""Threads that are kept behave as threads of their own do."""

from __future__ import annotations

import threading
import uuid

import pytest

from sandbox.emulator.performance.threads import Kept, Thread, Threading, random_id


def _run(target, *args):
    thread = Thread(target=target, args=args)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return thread


def test_a_job_is_done_elsewhere_and_the_next_one_by_the_same_thread():
    seen: list[int] = []
    for _ in range(3):
        _run(lambda: seen.append(threading.get_ident()))
        _until_idle()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


def test_as_many_run_at_once_as_are_asked_for():
    barrier = threading.Barrier(50)
    threads = [Thread(target=barrier.wait, args=(10,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not barrier.broken


def test_waiting_has_an_end_and_says_so():
    go = threading.Event()
    thread = Thread(target=go.wait, name="slow", daemon=True)
    assert not thread.is_alive()
    thread.start()
    thread.join(0.01)
    assert thread.is_alive()
    go.set()
    thread.join()
    assert not thread.is_alive()


def test_a_failure_is_reported_and_the_thread_works_on(monkeypatch):
    reported: list[type] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))

    def fail():
        raise ValueError

    _run(fail)
    assert reported == [ValueError]
    done: list[int] = []
    _run(done.append, 1)
    assert done == [1]


def test_a_thread_that_should_outlive_the_rest_is_refused():
    with pytest.raises(AssertionError):
        Thread(target=print, daemon=False)


def test_all_else_of_the_module_is_there():
    assert Threading().Event is threading.Event


def test_ids_are_random_uuids():
    made = {random_id() for _ in range(1000)}
    assert len(made) == 1000
    assert {(one.version, one.variant) for one in made} == {(4, uuid.RFC_4122)}


def _until_idle():
    ended = threading.Event()
    while not Kept.idle:
        ended.wait(0.001)
