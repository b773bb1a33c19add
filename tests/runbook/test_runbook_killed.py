"""`kill -9` during a switch of writes, right before and right after its changes: the same command again mends all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from writes_world import ENTITY, LEGACY, MODERN, control, first_name, stands, switch, write

from runbook.aws.api_gateway import Side
from runbook.checks import heartbeat
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices
from runbook.stack import Context
from runbook.verify import run as verify

CHOICES = Choices(propagation_wait=0.0, warm=0)
EVERY = 3  # of the changes that are neither phase nor fence nor route, one in so many
TURNING = ("phase", "fence", "stage")  # what decides where writes go
CHANGES = {"TransactWriteItems": "journal", "UpdateStage": "stage"}
EVENTS = "before-send.*"


@pytest.fixture
def sure_heartbeat(monkeypatch):
    """The heartbeat is sent before anything begins; it has tests of its own, and takes a second."""
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


def _change(event_name: str, body: bytes) -> str:
    """What a request changes: the journal, the phase, the fence, the stage; nothing for the others."""
    if b"CALL streamback_fence" in body:
        return "fence"
    kind = CHANGES.get(event_name.rpartition(".")[2], "")
    return "phase" if kind == "journal" and b"phase_since" in body else kind


def _clients(context: Context) -> list[Any]:
    return [made for made in vars(context.clients).values() if hasattr(made, "_endpoint")]


def _watch(context: Context, see: Callable[..., None]) -> None:
    for client in _clients(context):
        client.meta.events.register(EVENTS, see, unique_id="killed")


def _changes(context: Context, run: Callable[[], object]) -> list[str]:
    """The changes of a whole run, in order."""
    found: list[str] = []

    def see(request: Any, event_name: str, **_: Any) -> None:
        found.append(_change(event_name, request.body or b""))

    _watch(context, see)
    try:
        run()
    finally:
        for client in _clients(context):
            client.meta.events.unregister(EVENTS, see, unique_id="killed")
    return [change for change in found if change]


def _points(changes: Sequence[str]) -> list[tuple[int, bool]]:
    """Where to kill: the number of a change, and whether after it."""
    turning = [(at, after) for at, kind in enumerate(changes) if kind in TURNING for after in (False, True)]
    others = [(at, False) for at, kind in enumerate(changes) if kind not in TURNING]
    return [*turning, *others[::EVERY]]


def _killed_at(number: int, after: bool, context: Context, run: Callable[[], object]) -> bool:
    """Run in a child that kills itself before a change, or after it, with whatever request comes next."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    seen = [0]

    def see(request: Any, event_name: str, **_: Any) -> None:
        if after and seen[0] > number:
            os.kill(os.getpid(), signal.SIGKILL)
        if _change(event_name, request.body or b""):
            if not after and seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            seen[0] += 1

    try:
        for client in _clients(context):
            client._endpoint.http_session.close()  # the connections are the parent's
        context.api._http.close()
        _watch(context, see)
        run()
    except BaseException:  # noqa: BLE001
        os._exit(1)
    os._exit(0)


def _demand_clean(context: Context, verb: str, generation: int) -> None:
    """All is as after one clean run."""
    state, routes = context.journal.state(ENTITY), context.routing.routes(context.target.entity(ENTITY))
    assert (state.operation, state.lock) == (None, None)
    found = control(context)
    if verb == "cutover":
        assert (stands(context), found.epoch) == (MODERN, 0)
    else:
        assert (stands(context), routes.reads, state.reads) == (LEGACY, Side.LEGACY, 0)
        assert found.epoch == found.last_epoch == generation + 1
    assert verify.run(context, context.target.entity(ENTITY), verify.VerifyOptions()).clean


@pytest.mark.parametrize(("verb", "scope"), [("cutover", Scope.WRITES), ("rollback", Scope.BOTH)])
def test_killed_around_any_change_the_same_command_again_ends_as_one_clean_run(
    live, chefs, sure_heartbeat, verb, scope
):
    def there():
        return switch(live, verb, scope, CHOICES)

    def other_way():
        back = ("rollback", Scope.BOTH) if verb == "cutover" else ("cutover", Scope.WRITES)
        switch(live, *back, CHOICES).execute()

    key = write(live, "first")
    if verb == "rollback":
        other_way()
    changes = _changes(live, there().execute)
    assert {*TURNING, "journal"} <= set(changes)
    points = _points(changes)
    for point in points:
        other_way()
        generation, name = control(live).last_epoch, f"{verb}, {point}"
        write(live, name, key)
        assert _killed_at(*point, live, there().execute), f"{point}: it was not killed"
        plan, done = there().plan(), there().execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.resumed.result if done.resumed else None), point
        assert bool(plan.steps) == done.changed, point
        _demand_clean(live, verb, generation)
        assert [first_name(live, system, key) for system in ("aurora", "dynamo")] == [name, name]
