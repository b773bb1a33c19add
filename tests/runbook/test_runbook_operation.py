"""Operations survive failures, interrupts, kill -9 before any request, a second operator.

On the bare stack, with the switches that need no bridge (reads) and with steps of the tests' own; switches of writes
are in test_runbook_cutover_writes.py and test_runbook_killed.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from killed import killed_at
from sweep import BEFORE_FIRST, EVERY, OFTEN

from functions.domain.phase import Phase
from runbook.aws.api_gateway import Side
from runbook.cutover import canary
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import OperationKind
from runbook.errors import FailedError, LockLostError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.journal.operation import Runner, Step, finishes
from runbook.stack import Context

SERVICES = ["dynamodb", "apigateway", "sts"]
ENTITY = "chefs"
START = (0, Side.LEGACY, None)
OVER = (100, Side.MODERN, None)
MARKS = "abcd"
COMMIT = "c"


def _switch(context: Context, verb: str, scope: str = "reads") -> Switch:
    return Switch(context, context.target.entity(ENTITY), OperationKind(verb), Scope(scope))


def _where(context: Context) -> tuple[int, Side | None, str | None]:
    """The share of reads by the journal, where they go, and what is interrupted."""
    state, routes = context.journal.state(ENTITY), context.routing.routes(context.target.entity(ENTITY))
    assert (state.phase, routes.writes) == (Phase.LEGACY, Side.LEGACY), "no test here moves writes"
    return state.reads, routes.reads, state.operation and state.operation.step


# Steps of our own: each makes a mark in the journal's table, undoing takes it away


def _marked(context: Context) -> str:
    found = {mark: context.journal.find_record(ENTITY, f"mark#{mark}") or {} for mark in MARKS}
    return "".join(mark for mark, record in found.items() if record.get("on"))


def _steps(context: Context, failing: str = "", error: BaseException | None = None) -> list[Step]:
    def mark(name: str, on: bool) -> Callable[[], None]:
        def do() -> None:
            context.journal.put_record(ENTITY, f"mark#{name}", {"on": on})
            if on and name == failing:
                raise error or FailedError("the stage is on fire")

        return do

    return [
        Step(
            name=name,
            says=name,
            do=mark(name, True),
            unsays=f"not {name}",
            undo=mark(name, False),
            done=lambda name=name: name in _marked(context),
            commit=name == COMMIT,
        )
        for name in MARKS
    ]


def _run(context: Context, steps: list[Step]) -> None:
    """As a command does: resume what is interrupted, then do what is needed."""
    with locks.held(context.journal, ENTITY, "me", "marking") as lease:
        runner, pending = Runner(context.journal, lease, steps, context.say), _pending(context)
        if pending:
            runner.recover(pending)
        if _marked(context) != MARKS:
            runner.run("marking", {})


def _pending(context: Context):
    return context.journal.state(ENTITY).operation


def _clear(context: Context) -> None:
    for name in MARKS:
        context.journal.put_record(ENTITY, f"mark#{name}", {"on": False})


@pytest.mark.parametrize("failing", "abc")
def test_a_step_that_fails_up_to_the_commit_puts_everything_back(bare, failing):
    with pytest.raises(PreconditionError, match="everything rolled back: the stage is on fire"):
        _run(bare, _steps(bare, failing))
    assert (_marked(bare), _pending(bare)) == ("", None)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == ("undone", "the stage is on fire")


def test_what_to_do_about_the_error_of_a_step_is_said_when_all_is_rolled_back(bare):
    def fail() -> None:
        raise PreconditionError("the door is shut", "Open it.")

    first, *_ = _steps(bare)
    with pytest.raises(PreconditionError, match="the door is shut") as stopped:
        _run(bare, [replace(first, do=fail)])
    assert stopped.value.remedy == "Open it."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted by the operator"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "UpdateStage"), "AccessDenied"),
        (ValueError("unknown"), "ValueError: unknown"),
    ],
)
def test_whatever_it_was_it_is_reported(bare, error, said):
    with pytest.raises(PreconditionError, match=said):
        _run(bare, _steps(bare, "b", error))
    assert (_marked(bare), _pending(bare)) == ("", None)


def test_past_the_commit_a_failure_stays_interrupted_and_the_next_run_finishes_it(bare):
    with pytest.raises(FailedError, match="point of no return"):
        _run(bare, _steps(bare, "d"))
    pending = _pending(bare)
    assert (pending.step, pending.direction, finishes(_steps(bare), pending)) == ("d", "do", True)
    assert bare.journal.events(ENTITY, 1)[0].result == "stopped at d"
    _run(bare, _steps(bare))
    assert (_marked(bare), _pending(bare)) == (MARKS, None)
    assert bare.journal.events(ENTITY, 1)[0].result == "done"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FailedError("the answer was lost")])
def test_a_commit_that_took_effect_and_did_not_say_so_is_gone_on_from(bare, error):
    steps = _steps(bare)
    at = MARKS.index(COMMIT)
    do, failures = steps[at].do, iter([error])

    def unanswered():
        do()
        for failure in failures:
            raise failure

    steps[at] = replace(steps[at], do=unanswered, undo=lambda: None, unsays="")  # it cannot be undone
    _run(bare, steps)
    assert (_marked(bare), _pending(bare)) == (MARKS, None)
    assert bare.journal.events(ENTITY, 1)[0].result == "done"


def test_whether_a_commit_took_effect_that_cannot_be_known_is_asked_again_by_the_next_run(bare):
    steps = _steps(bare)
    at = MARKS.index(COMMIT)

    def dark():
        raise FailedError("no answer")

    unknown = replace(steps[at], undo=lambda: None, unsays="", done=dark)
    with pytest.raises(FailedError, match="no answer"):
        _run(bare, [*steps[:at], replace(unknown, do=dark), *steps[at + 1 :]])
    assert _pending(bare).direction == "undo"
    _run(bare, steps)
    assert (_marked(bare), _pending(bare)) == (MARKS, None)


def test_what_could_not_be_put_back_is_put_back_by_the_next_run(bare):
    steps, real = _steps(bare, "c"), _steps(bare)

    def stuck() -> None:
        raise FailedError("the door is locked")

    steps[1] = Step(name="b", says="b", do=steps[1].do, undo=stuck)
    with pytest.raises(FailedError, match="could not be rolled back: the door is locked"):
        _run(bare, steps)
    assert (_pending(bare).step, _pending(bare).direction) == ("b", "undo")
    assert not finishes(real, _pending(bare))
    with locks.held(bare.journal, ENTITY, "me", "marking") as lease:
        outcome = Runner(bare.journal, lease, real, bare.say).recover(_pending(bare))
    assert (outcome.result, outcome.reason) == ("undone", "the stage is on fire")
    assert (_marked(bare), _pending(bare)) == ("", None)


def test_a_step_that_this_version_does_not_know_is_left_alone(bare):
    with pytest.raises(FailedError, match="point of no return"):
        _run(bare, _steps(bare, "d"))
    with pytest.raises(FailedError, match="which this version does not know"):
        _run(bare, _steps(bare)[:-1])
    assert _marked(bare) == MARKS


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


@pytest.mark.sweep
def test_killed_anywhere_steps_are_all_done_or_all_undone_and_the_next_run_does_them(bare):
    count, killed, ends = 1 - OFTEN, True, set()
    while killed:
        count += OFTEN
        _clear(bare)
        killed = killed_at(count, lambda: bare, SERVICES, lambda context: _run(context, _steps(context)))
        pending = _pending(bare)
        if pending:
            committed = COMMIT in _marked(bare)
            assert finishes(_steps(bare), pending) == committed, f"killed at {count}"
            with locks.held(bare.journal, ENTITY, "me", "marking") as lease:
                outcome = Runner(bare.journal, lease, _steps(bare), bare.say).recover(pending)
            assert (outcome.result, _marked(bare)) == (("done", MARKS) if committed else ("undone", ""))
            ends.add(outcome.result)
        _run(bare, _steps(bare))
        state = bare.journal.state(ENTITY)
        assert (_marked(bare), state.operation, state.lock) == (MARKS, None, None), f"killed at {count}"
    assert count > 10, "it was killed at all its boundaries"
    assert ends == {"done", "undone"}


@pytest.mark.sweep
@pytest.mark.parametrize(("verb", "after"), [("cutover", OVER), ("rollback", START)])
def test_killed_anywhere_the_same_command_again_ends_as_one_clean_run(bare, open_checks, verb, after):
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        _switch(bare, "rollback").execute()
        if verb == "rollback":
            _switch(bare, "cutover").execute()
        killed = killed_at(count, lambda: bare, SERVICES, lambda context: _switch(context, verb).execute())
        plan, done = _switch(bare, verb).plan(), _switch(bare, verb).execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.resumed.result if done.resumed else None)
        assert bool(plan.steps) == done.changed
        assert (_where(bare), bare.journal.state(ENTITY).lock) == (after, None), f"killed at {count}"
    assert count > 10, "the switch was killed at all its boundaries"


# The commands


def test_cutover_rollback_and_cutover_again(bare, open_checks):
    for verb, scope, then in (
        ("cutover", "reads", OVER),
        ("rollback", "reads", START),
        ("cutover", "reads", OVER),
        ("rollback", "both", START),
        ("cutover", "reads", OVER),
    ):
        assert _switch(bare, verb, scope).execute().changed
        assert _where(bare) == then
    assert bare.journal.state(ENTITY).lock is None


def test_a_repeated_command_has_nothing_to_do(bare, open_checks):
    _switch(bare, "cutover").execute()
    events = len(bare.journal.events(ENTITY, 100))
    assert not _switch(bare, "cutover").execute().changed
    assert len(bare.journal.events(ENTITY, 100)) == events


def test_a_route_changed_behind_the_journal_is_put_right_by_the_same_command(bare, open_checks):
    _switch(bare, "cutover").execute()
    bare.routing.send_reads(bare.target.entity(ENTITY), 0)
    assert _switch(bare, "cutover").execute().changed
    assert _where(bare) == OVER


def test_the_trail_reports_who_began_what_and_how_it_ended(bare, open_checks):
    _switch(bare, "cutover").execute()
    done, started, _ = bare.journal.events(ENTITY, 3)
    assert (started.command, started.result) == ("cutover reads", "started")
    assert (done.command, done.result) == ("cutover reads", "done")
    assert done.operator == bare.clients.operator
    assert started.details["operation"] == done.details["operation"]


def test_a_plan_changes_nothing_and_takes_no_lock(bare, open_checks):
    with locks.held(bare.journal, ENTITY, "another", "something"):
        plan = _switch(bare, "cutover").plan()
    assert [step.name for step in plan.steps] == ["share", "record-share"]
    assert _where(bare) == START


def test_a_held_lock_refuses_and_nothing_changes(bare, open_checks):
    with locks.held(bare.journal, ENTITY, "another", "something"), pytest.raises(RefusedError):
        _switch(bare, "cutover").execute()
    assert _where(bare) == START


@pytest.mark.parametrize("scope", ["reads", "writes"])
def test_a_closed_gate_refuses_changes_nothing_and_is_in_the_trail(bare, scope):
    """The bare stack has no bridge, so the real checks do not hold."""
    with pytest.raises(PreconditionError, match="bridge is not deployed"):
        _switch(bare, "cutover", scope).execute()
    assert _where(bare) == START
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.command, event.result) == (f"cutover {scope}", "refused")


def test_a_stage_that_does_not_change_leaves_everything_as_it_was(bare, open_checks, monkeypatch):
    def fail(*_):
        raise FailedError("the stage is on fire")

    with monkeypatch.context() as patched:
        patched.setattr(bare.routing, "send_reads", fail)
        with pytest.raises(PreconditionError, match="the stage is on fire"):
            _switch(bare, "cutover").execute()
    assert _where(bare) == START


def test_an_interrupt_puts_everything_back(bare, open_checks, monkeypatch):
    real = bare.routing.send_reads

    def interrupted(entity, percent, others=None):
        real(entity, percent, others)
        if percent:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(bare.routing, "send_reads", interrupted)
    with pytest.raises(PreconditionError, match="interrupted"):
        _switch(bare, "cutover").execute()
    assert _where(bare) == START


@pytest.fixture
def interrupted(bare, open_checks, monkeypatch):
    """Reads are over by the stage, and not yet by the journal."""
    with monkeypatch.context() as patched:
        patched.setattr(canary._Moving, "record", lambda _: (_ for _ in ()).throw(FailedError("no")))
        with pytest.raises(FailedError, match="point of no return"):
            _switch(bare, "cutover").execute()
    assert _where(bare) == (0, Side.MODERN, "record-share")


@pytest.mark.parametrize("command", ["cutover reads", "rollback reads", "rollback both"])
def test_any_command_resumes_an_interrupted_operation_first(bare, interrupted, command):
    switch, back = _switch(bare, *command.split()), command.startswith("rollback")
    plan = switch.plan()
    assert (plan.pending.step, plan.pending_result, bool(plan.steps)) == ("record-share", "finished", back)
    done = switch.execute()
    assert (done.resumed.command, done.resumed.result, done.changed) == ("cutover reads", "done", back)
    assert _where(bare) == (START if back else OVER)
