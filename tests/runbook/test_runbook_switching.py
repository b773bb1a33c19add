"""Switches survive everything: failures, interrupts, kill -9 before any request, a second operator."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from runbook import lock as locks
from runbook import probe
from runbook.errors import FailedError, LockLostError, PreconditionError, RefusedError
from runbook.journal import Phase
from runbook.routing import Routes, Side
from runbook.services import gates
from runbook.services.switching import Scope, Switch
from runbook.steps import Runner, Step

if TYPE_CHECKING:
    from runbook.context import Context

ENTITY = "chefs"


@pytest.fixture
def open_gates(monkeypatch):
    """Gates and probes that pass: these tests are about the steps."""
    monkeypatch.setattr(gates, "of", lambda *_: [])
    monkeypatch.setattr(probe, "send", lambda *_, **__: probe.Arrival(True, 0.0))


def _switch(context: Context, verb: str, scope: str) -> Switch:
    return Switch(context, context.target.entity(ENTITY), verb, Scope(scope))


def _where(context: Context) -> tuple[Phase, int, Side, Side]:
    state, routes = context.journal.state(ENTITY), context.routing.routes(context.target.entity(ENTITY))
    return state.phase, state.reads, routes.reads, routes.writes


START = (Phase.LEGACY, 0, Side.LEGACY, Side.LEGACY)
READS = (Phase.LEGACY, 100, Side.MODERN, Side.LEGACY)
WRITES = (Phase.MODERN, 0, Side.LEGACY, Side.MODERN)
OVER = (Phase.MODERN, 100, Side.MODERN, Side.MODERN)


def test_reads_go_over_and_back_and_over_again(bare, open_gates):
    for verb, scope, then in (
        ("cutover", "reads", READS),
        ("rollback", "reads", START),
        ("cutover", "reads", READS),
        ("rollback", "both", START),
    ):
        assert _switch(bare, verb, scope).execute().changed
        assert _where(bare) == then
    state = bare.journal.state(ENTITY)
    assert (state.operation, state.lock) == (None, None)


def test_a_repeated_command_has_nothing_to_do(bare, open_gates):
    _switch(bare, "cutover", "reads").execute()
    events = len(bare.journal.events(ENTITY, 100))
    assert not _switch(bare, "cutover", "reads").execute().changed
    assert len(bare.journal.events(ENTITY, 100)) == events


def test_a_route_changed_behind_the_journal_is_put_right_by_the_same_command(bare, open_gates):
    _switch(bare, "cutover", "reads").execute()
    bare.routing.route(bare.target.entity(ENTITY), Routes(reads=Side.LEGACY))
    assert _switch(bare, "cutover", "reads").execute().changed
    assert _where(bare) == READS


def test_the_trail_tells_who_began_what_and_how_it_ended(bare, open_gates):
    _switch(bare, "cutover", "reads").execute()
    done, started, _ = bare.journal.events(ENTITY, 3)
    assert (started.command, started.result) == ("cutover reads", "started")
    assert (done.command, done.result) == ("cutover reads", "done")
    assert done.operator == bare.clients.operator
    assert started.details["operation"] == done.details["operation"]


def test_a_plan_changes_nothing_and_takes_no_lock(bare, open_gates):
    with locks.held(bare.journal, ENTITY, "another", "something"):
        plan = _switch(bare, "cutover", "reads").plan()
    assert [step.name for step in plan.steps] == ["share", "record-share"]
    assert _where(bare) == START


def test_a_held_lock_refuses_and_nothing_changes(bare, open_gates):
    with locks.held(bare.journal, ENTITY, "another", "something"), pytest.raises(RefusedError):
        _switch(bare, "cutover", "writes").execute()
    assert _where(bare) == START


def test_a_closed_gate_refuses_changes_nothing_and_is_in_the_trail(bare, monkeypatch):
    """The bare stack has no bridge, so the real gates are closed."""
    with pytest.raises(PreconditionError):
        _switch(bare, "cutover", "writes").execute()
    assert _where(bare) == START
    assert bare.journal.events(ENTITY, 1)[0].result == "refused"


def test_a_failing_step_puts_everything_back(bare, open_gates, monkeypatch):
    real = bare.routing.send_reads

    def fail(entity, percent, others=None):
        if percent:
            raise FailedError("the stage is on fire")
        return real(entity, percent, others)

    monkeypatch.setattr(bare.routing, "send_reads", fail)
    with pytest.raises(PreconditionError, match="the stage is on fire"):
        _switch(bare, "cutover", "reads").execute()
    assert _where(bare) == START
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == ("undone", "the stage is on fire")
    assert bare.journal.state(ENTITY).operation is None


def test_an_interrupt_puts_everything_back(bare, open_gates, monkeypatch):
    real = bare.routing.send_reads

    def interrupted(entity, percent, others=None):
        real(entity, percent, others)
        if percent:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(bare.routing, "send_reads", interrupted)
    with pytest.raises(PreconditionError, match="interrupted"):
        _switch(bare, "cutover", "reads").execute()
    assert _where(bare) == START


def test_an_operator_whose_lock_was_taken_stops_and_undoes_nothing(bare):
    did: list[str] = []

    def robbed():
        with_lock = bare.journal.state(ENTITY).lock
        thief = locks.Lock(**{**vars(with_lock), "id": "thief"})
        bare.journal.take(thief, ENTITY, with_lock.id, 0)

    steps = [Step(name="robbed", says="", do=robbed, undo=lambda: did.append("undo"))]
    steps.append(Step(name="next", says="", do=lambda: did.append("next")))
    with pytest.raises(LockLostError), locks.held(bare.journal, ENTITY, "me", "x") as lease:
        Runner(bare.journal, lease, steps, lambda _: None).run("x", {})
    assert did == []


def _killed_at(count: int, context: Context, verb: str, scope: str) -> bool:
    """Run a switch in a child.

    It kills itself with -9 before its `count`-th request, which is also after the answer to the one before.
    """
    child = os.fork()
    if child == 0:
        left = [count]

        def tick(**_):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        for client in (context.clients.dynamodb, context.clients.apigateway, context.clients.sts):
            client._endpoint.http_session.close()  # the connections are the parent's
            client.meta.events.register("before-send.*", tick)
        try:
            _switch(context, verb, scope).execute()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    ("commands", "after"),
    [
        ([("cutover", "reads")], READS),
        ([("cutover", "reads"), ("rollback", "both")], START),
    ],
)
def test_killed_anywhere_the_same_command_again_ends_as_one_clean_run(bare, open_gates, commands, after):
    *before, (verb, scope) = commands
    count, killed = 0, True
    while killed:
        count += 1
        _switch(bare, "rollback", "both").execute()
        for command in before:
            _switch(bare, *command).execute()
        killed = _killed_at(count, bare, verb, scope)
        plan, done = _switch(bare, verb, scope).plan(), _switch(bare, verb, scope).execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.settled.result if done.settled else None)
        assert bool(plan.steps) == done.changed
        state = bare.journal.state(ENTITY)
        assert (_where(bare), state.operation, state.lock) == (after, None, None), f"killed at {count}"
    assert count > 10, "the switch was killed at all its boundaries"


def test_an_aws_error_in_a_step_is_told_with_its_text(bare, open_gates, monkeypatch):
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "UpdateStage")
    real = bare.routing.send_reads

    def denied(entity, percent, others=None):
        if percent:
            raise error
        return real(entity, percent, others)

    monkeypatch.setattr(bare.routing, "send_reads", denied)
    with pytest.raises(PreconditionError, match="AccessDenied"):
        _switch(bare, "cutover", "reads").execute()
    assert _where(bare) == START
