"""A function that is updated while it runs.

On AWS a call that is under way when a function's code or settings change ends with the old ones, and the next call has
the new ones. MiniStack kills the workers of such calls, so each deployment would fail what clients have sent just then.
This file can go when MiniStack keeps a busy worker until its call has ended.
"""
# pyright: basic

import threading
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap

_updating = threading.local()
_retired: set[int] = set()  # ids of workers that are in no pool, and whose call is under way


def install() -> None:
    check_version("behaviour/updates")
    for name in ("_update_code", "_update_config"):
        wrap(functions, name, _noted)
    wrap(functions, "invalidate_worker", _retiring)
    wrap(functions, "release_worker", _releasing)


def _noted(stock: Any) -> Any:
    def update(*given: Any, **named: Any) -> Any:
        _updating.now = True
        try:
            return stock(*given, **named)
        finally:
            _updating.now = False

    return update


def _retiring(stock: Any) -> Any:
    def invalidate(name: str, qualifier: str | None = None, **place: str | None) -> None:
        if getattr(_updating, "now", False):
            _retire(name, str(qualifier))
        else:
            stock(name, qualifier=qualifier, **place)

    return invalidate


def _retire(name: str, qualifier: str) -> None:
    """Take the workers of a function out of their pool, and end those that are idle."""
    with runtime._lock:
        keys = [key for key in runtime._workers if key.split(":")[-2:] == [name, qualifier]]
        found = [worker for key in keys for worker in runtime._workers.pop(key)]
        busy = {id(worker) for worker in found if worker.in_use}
        _retired.update(busy)
    runtime.kill_workers([worker for worker in found if id(worker) not in busy])


def _releasing(stock: Any) -> Any:
    def release(worker: Any) -> None:
        stock(worker)
        if id(worker) in _retired:
            _retired.discard(id(worker))
            runtime.kill_workers([worker])

    return release
