"""The journal and its lock, on a real DynamoDB API."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from functions.domain.phase import Phase
from runbook.errors import LockLostError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.journal.lock import Lease
from runbook.journal.state import Event, Lock, Operation

ENTITY = "chefs"


def _event(result: str) -> Event:
    return Event(entity=ENTITY, command="test", result=result, operator="a", details={"n": 1})


def _operation() -> Operation:
    return Operation(
        id="1", command="cutover reads", arguments={"verb": "cutover"}, operator="a", started_at="now", step="one"
    )


def test_an_entity_begins_in_legacy_and_is_begun_only_once(bare):
    state = bare.journal.state(ENTITY)
    assert (state.phase, state.reads, state.operation, state.lock) == (Phase.LEGACY, 0, None, None)
    assert not bare.journal.create(ENTITY, "", _event("again"))
    assert [event.result for event in bare.journal.events(ENTITY, 10)] == ["done"]


def test_an_entity_that_was_not_initialised_names_the_command_that_does(bare):
    with pytest.raises(PreconditionError) as caught:
        bare.journal.state("unheard")
    assert "runbook init" in caught.value.remedy


def test_what_is_written_under_the_lock_is_read_back_with_its_event(bare):
    operation = _operation()
    with locks.held(bare.journal, ENTITY, "me", "test") as lease:
        bare.journal.write(lease.lock, ENTITY, {"phase": "switching", "reads": 40, "operation": operation}, _event("x"))
        state = bare.journal.state(ENTITY)
    assert (state.phase, state.reads, state.operation) == (Phase.SWITCHING, 40, operation)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details) == ("x", {"n": 1})
    assert bare.journal.state(ENTITY).lock is None


def test_nothing_is_written_and_no_event_recorded_without_the_lock(bare):
    with locks.held(bare.journal, ENTITY, "me", "test") as lease:
        stranger = replace(lease.lock, id="another")
        with pytest.raises(LockLostError):
            bare.journal.write(stranger, ENTITY, {"reads": 7}, _event("never"))
    assert bare.journal.state(ENTITY).reads == 0
    assert "never" not in [event.result for event in bare.journal.events(ENTITY, 10)]


def test_a_second_operator_is_refused_and_sees_who_holds_the_lock(bare):
    with (
        locks.held(bare.journal, ENTITY, "alice", "cutover reads"),
        pytest.raises(RefusedError, match="alice runs `cutover reads`"),
        locks.held(bare.journal, ENTITY, "bob", "rollback both"),
    ):
        pass


def test_an_expired_lock_is_taken_over_and_its_late_holder_can_write_no_more(bare):
    late = Lock(id="late", holder="a", command="c", process="elsewhere|1|2", until=time.time() - 1)
    assert bare.journal.take(late, ENTITY, late.id, time.time())
    with locks.held(bare.journal, ENTITY, "b", "c"), pytest.raises(LockLostError):
        bare.journal.write(late, ENTITY, {"reads": 9})
    assert bare.journal.state(ENTITY).reads == 0


def test_a_living_lock_of_another_machine_is_not_taken_over(bare):
    theirs = Lock(id="t", holder="a", command="c", process="elsewhere|1|2", until=time.time() + 60)
    assert bare.journal.take(theirs, ENTITY, theirs.id, time.time())
    with pytest.raises(RefusedError), locks.held(bare.journal, ENTITY, "b", "c"):
        pass


def test_the_lock_of_a_process_that_was_killed_here_is_free_at_once(bare):
    process = subprocess.Popen(
        [sys.executable, "-c", "from runbook.journal.lock import this_process as p; print(p(), flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.stdout.readline().strip()
    held = Lock(id="k", holder="a", command="c", process=said, until=time.time() + 600)
    assert bare.journal.take(held, ENTITY, held.id, time.time())
    assert not locks.is_dead(said)
    process.kill()
    process.wait()
    with locks.held(bare.journal, ENTITY, "b", "c") as lease:
        assert bare.journal.state(ENTITY).lock.id == lease.lock.id


def test_this_process_is_alive_and_one_of_another_machine_is_not_said_to_be_dead():
    assert not locks.is_dead(locks.this_process())
    assert not locks.is_dead(f"elsewhere|boot|ns|{os.getpid()}|1")
    assert not locks.is_dead("")


def test_a_held_lease_is_renewed(bare, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 0.6)
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        first = bare.journal.state(ENTITY).lock.until
        deadline = time.monotonic() + 20
        while bare.journal.state(ENTITY).lock.until <= first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        lease.check()


def test_a_holder_that_lost_its_lease_is_stopped(bare, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 0.6)

    def robbed(lease: Lease) -> None:
        thief = replace(lease.lock, id="thief", holder="a thief", until=time.time() + 60)
        assert bare.journal.take(thief, ENTITY, lease.lock.id, time.time())
        deadline = time.monotonic() + 20
        while not lease._lost.wait(0.02):
            assert time.monotonic() < deadline
        with pytest.raises(LockLostError):
            lease.check()

    with pytest.raises(LockLostError, match="thief"), locks.held(bare.journal, ENTITY, "a", "c") as lease:
        robbed(lease)
    assert bare.journal.state(ENTITY).lock.id == "thief"


def test_a_command_whose_lock_was_taken_reports_no_success(bare):
    """It did all that it wanted to; who took over, with what, and when, is in its error."""
    with (
        pytest.raises(LockLostError, match=r"`cutover reads` of chefs was overtaken: bob took over with `rollback`"),
        locks.held(bare.journal, ENTITY, "alice", "cutover reads"),
        locks.held(bare.journal, ENTITY, "bob", "rollback", take_over=True),
    ):
        pass
    taken = next(event for event in bare.journal.events(ENTITY, 10) if event.result == "lock taken over")
    assert (taken.operator, taken.details["from"], taken.details["its_command"]) == ("bob", "alice", "cutover reads")


def test_each_lock_has_a_higher_token_than_the_one_before(bare):
    found = []
    for _ in range(3):
        with locks.held(bare.journal, ENTITY, "a", "c") as lease:
            found.append([lease.next_token(), lease.next_token(), lease.last_token])
    tokens = [token for some in found for token in some]
    assert tokens == sorted(set(tokens))


def test_a_lock_outgrows_the_tokens_of_another_journal(bare):
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        lease.outgrow(70_123)
        assert lease.next_token() > 70_123
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        assert lease.next_token() > 71_999


def test_a_lock_that_was_taken_does_not_outgrow_the_one_that_took_it(bare):
    with contextlib.suppress(LockLostError), locks.held(bare.journal, ENTITY, "a", "c") as late:
        with locks.held(bare.journal, ENTITY, "b", "c", take_over=True):
            pass
        with pytest.raises(LockLostError, match="b took over"):
            late.outgrow(70_123)
    assert bare.journal.state(ENTITY).token == 2


def test_a_holder_without_progress_loses_its_lock_and_the_refusal_says_so(bare, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 2.0)
    monkeypatch.setattr(locks, "QUIET_SECONDS", -1)

    def taken() -> bool:
        try:
            with locks.held(bare.journal, ENTITY, "bob", "rollback"):
                return True
        except RefusedError as error:
            said.append(f"{error.message} {error.remedy}")
            return False

    def hang(lease: Lease) -> None:
        lease.begin("release triggers", 2.0)
        deadline = time.monotonic() + 20
        while not taken():
            assert time.monotonic() < deadline

    said: list[str] = []
    with pytest.raises(LockLostError, match="bob"), locks.held(bare.journal, ENTITY, "alice", "copy stop") as lease:
        hang(lease)
    answer = said[-1]
    assert "alice runs `copy stop`" in answer
    assert "at step release triggers, without progress for" in answer
    assert "--take-over" in answer


def test_a_holder_that_gets_answers_keeps_its_lock(bare, monkeypatch):
    monkeypatch.setattr(locks, "LEASE", 1.5)
    with bare.held(bare.target.entity(ENTITY), "copy stop") as lease:
        lease.begin("a long step", 0.5)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            bare.journal.state(ENTITY)
        lease.check()


def test_the_record_of_a_command_that_was_overtaken_is_not_written(bare):
    def write(lock: Lock) -> None:
        bare.journal.change_record(ENTITY, "copy", {"state": "running"}, {"state": None}, lock)

    stranger = Lock(id="another", holder="a", command="c", process="", until=0)
    event = _event("never")
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        for act in (
            write,
            lambda lock: bare.journal.put_record(ENTITY, "drained", {"at": "now"}, lock),
            lambda lock: bare.journal.record(event, lock),
        ):
            with pytest.raises(LockLostError):
                act(stranger)
        write(lease.lock)
        with pytest.raises(LockLostError):
            bare.journal.remove_records(stranger, ENTITY, "copy")
    assert bare.journal.find_record(ENTITY, "copy")["state"] == "running"
    assert bare.journal.find_record(ENTITY, "drained") is None
    assert "never" not in [each.result for each in bare.journal.events(ENTITY, 10)]


@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_a_holder_whose_machine_slept_for_longer_than_its_lease_is_stopped(bare, monkeypatch, clock):
    """No other command has taken the lock; but one may have, for all that its holder knows."""
    real = getattr(time, clock)
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        lease.check()
        monkeypatch.setattr(locks.time, clock, lambda: real() + locks.LEASE + 1)
        with pytest.raises(LockLostError, match="could not be renewed"):
            lease.check()
        monkeypatch.undo()
        lease.check()


def test_the_history_reports_a_lock_that_was_taken_over_and_no_other(bare):
    dead = Lock(id="d", holder="alice", command="cutover writes", process="elsewhere|1|2", until=time.time() - 1)
    assert bare.journal.take(dead, ENTITY, dead.id, time.time())
    for _ in range(2):
        with locks.held(bare.journal, ENTITY, "bob", "rollback both"):
            pass
    said = [event for event in bare.journal.events(ENTITY, 10) if event.result == "lock taken over"]
    assert [(event.command, event.operator, event.details["from"]) for event in said] == [
        ("rollback both", "bob", "alice")
    ]


def test_events_come_newest_first(bare):
    for number in range(3):
        bare.journal.record(_event(str(number)))
    assert [event.result for event in bare.journal.events(ENTITY, 3)] == ["2", "1", "0"]


def test_as_many_events_as_asked_for_are_reported_though_a_page_holds_one_megabyte(bare):
    long = Event(entity=ENTITY, command="test", result="x", operator="a", details={"keys": ["k" * 300_000]})
    for _ in range(6):
        bare.journal.record(long)
    assert len(bare.journal.events(ENTITY, 1000)) == 7
    assert len(bare.journal.events(ENTITY, 5)) == 5
