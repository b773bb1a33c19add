"""Runs a command in a child process that kills itself with -9."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from runbook.stack import Context

REQUEST = "before-send.*"
TURNING = ("phase", "fence", "stage")  # the changes that decide where traffic goes
CHANGES = {
    "DeleteResourcePolicy": "policy",
    "PutResourcePolicy": "policy",
    "TransactWriteItems": "journal",
    "UpdateStage": "stage",
}


def kill_self() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed(run: Callable[[], object]) -> bool:
    """Run in a child; whether it killed itself. A child that fails in another way fails the test."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    try:
        run()
    except BaseException:  # noqa: BLE001
        os._exit(1)
    os._exit(0)


def killed_at(
    count: int,
    connect: Callable[[], Context],
    services: Sequence[str],
    run: Callable[[Context], object],
    event: str = REQUEST,
) -> bool:
    """Run in a child that kills itself before its `count`-th request, which is also after the answer to the one before.

    Args:
        count: which request, from 1.
        connect: returns the context; it is called in the child.
        services: the names of the clients whose requests count.
        run: what to run.
        event: botocore's event that counts as a request.
    """

    def run_until_killed() -> None:
        context, left = connect(), [count]

        def tick(**_: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                kill_self()

        for service in services:
            client = getattr(context.clients, service)
            client._endpoint.http_session.close()  # the connections are the parent's
            client.meta.events.register(event, tick)
        run(context)

    return killed(run_until_killed)


def _change(event_name: str, sent: bytes | str | None) -> str:
    """What a request changes: the journal, the phase, the fence, the stage, the gate, a policy; else nothing."""
    body = sent.encode() if isinstance(sent, str) else sent or b""
    if b"CALL streamback_fence" in body:
        return "fence"
    if event_name.endswith("UpdateItem") and b'"#turn"' in body:
        return "gate"
    kind = CHANGES.get(event_name.rpartition(".")[2], "")
    return "phase" if kind == "journal" and b"phase_since" in body else kind


def _clients(context: Context) -> list[Any]:
    return [made for made in vars(context.clients).values() if hasattr(made, "_endpoint")]


def _watch(context: Context, see: Callable[..., None]) -> None:
    for client in _clients(context):
        client.meta.events.register(REQUEST, see, unique_id="killed")


def changes_of(context: Context, run: Callable[[], object]) -> list[str]:
    """The changes of a whole run, in order."""
    found: list[str] = []

    def see(request: Any, event_name: str, **_: Any) -> None:
        found.append(_change(event_name, request.body))

    _watch(context, see)
    try:
        run()
    finally:
        for client in _clients(context):
            client.meta.events.unregister(REQUEST, see, unique_id="killed")
    return [change for change in found if change]


def turning_points(changes: Sequence[str]) -> list[tuple[int, bool]]:
    """Where to kill around each change that decides where traffic goes: its number, and whether after it."""
    return [(at, after) for at, kind in enumerate(changes) if kind in TURNING for after in (False, True)]


def killed_around(number: int, after: bool, context: Context, run: Callable[[], object]) -> bool:
    """Run in a child that kills itself before a change, or after it, with whatever request comes next."""
    seen = [0]

    def see(request: Any, event_name: str, **_: Any) -> None:
        if after and seen[0] > number:
            kill_self()
        if _change(event_name, request.body):
            if not after and seen[0] == number:
                kill_self()
            seen[0] += 1

    def run_until_killed() -> None:
        for client in _clients(context):
            client._endpoint.http_session.close()  # the connections are the parent's
        context.api._http.close()
        _watch(context, see)
        run()

    return killed(run_until_killed)
