"""The journal and its lock, on a real DynamoDB API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from runbook.errors import LockLostError, PreconditionError, RefusedError
from runbook.journal import lock as locks
from runbook.journal.journal import Event, Lock, Operation, Phase

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
    with locks.held(bare.journal, ENTITY, "a", "c") as lease:
        thief = replace(lease.lock, id="thief", until=time.time() + 60)
        assert bare.journal.take(thief, ENTITY, lease.lock.id, time.time())
        deadline = time.monotonic() + 20
        while not lease._lost.wait(0.02):
            assert time.monotonic() < deadline
        with pytest.raises(LockLostError):
            lease.check()
    assert bare.journal.state(ENTITY).lock.id == "thief"


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
