"""A worker of copy that stands still, or whose call is late, while somebody else goes on: its effects are refused."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
from copying import Faulty, make_copying, make_table
from unsure_calls import UnsureCalls

from functions.aws.dynamodb import InDoubtError
from functions.aws.quarantine import Quarantine, QuarantineTable
from functions.copy.lease import LeaseLostError
from functions.copy.queue import ChangeQueue
from functions.copy.worker import OVER, STOP_BEFORE_SECONDS, LaneWork
from functions.domain import names
from functions.domain.phase import Phase
from functions.install import control_row, tokens
from functions.install.control_row import ControlChange
from runbook.aws.clients import Clients
from runbook.journal.journal import Journal
from runbook.journal.lock import held
from runbook.journal.phases import transition
from runbook.journal.state import Operation

WRITE = "transact_write_items"


@pytest.fixture(scope="module")
def copied(make_legacy, bridge_user, prepared):
    legacy = make_legacy("chefs")
    return make_copying(legacy, bridge_user(legacy).database, Clients(prepared.target).dynamodb_once)


@pytest.fixture
def chefs(copied):
    copied.clear()
    control_row.begin_first_epoch(copied.writers.server, copied.entity)
    copied.begin()
    yield copied
    _fence(copied, up=False)


def _key(chefs) -> str:
    """A record of lane 0."""
    while True:
        key = chefs.created()
        if names.lane_of(key) == 0:
            return key


def _paused(chefs, wanted: str, meanwhile, number: int = 1, **given):
    """A lane that stands still before its `number`-th call of this name, while `meanwhile` happens."""
    calls = itertools.count(1)

    def stand_still(name, call):
        if name == wanted and next(calls) == number:
            meanwhile()
        return call()

    dynamodb, database = Faulty(chefs.dynamodb, stand_still), Faulty(chefs.legacy.database, stand_still)
    lane = chefs.lane(0, dynamodb, database=database, **given)
    assert lane.lease.take()
    return lane


def _fence(chefs, *, up: bool) -> None:
    database, entity = chefs.writers.database, chefs.entity
    seen = control_row.read(database, entity)
    epoch = 0 if up else seen.last_epoch + seen.fenced
    to = ControlChange(fenced=up, epoch=epoch, token=tokens.read(database, entity) + 1)
    control_row.change(database, entity, to, 3)


def _switch(chefs) -> None:
    """What `cutover` does that copy can see: the fence, and the phase."""
    journal, name = Journal(chefs.dynamodb, chefs.journal), chefs.entity.name
    _fence(chefs, up=True)
    with held(journal, name, "a test", "cutover writes") as lease:
        to = transition(Phase.MODERN)
        operation = Operation(
            id="1", command="cutover", arguments={"verb": to.verb}, operator="a", started_at="now", step=to.step
        )
        journal.write(lease.lock, name, {"phase": Phase.SWITCHING.value, "operation": operation})
        journal.enter(lease.lock, name, to)


def _forget_queue(chefs) -> None:
    chefs.legacy.database.execute(f"DELETE FROM {names.CHANGES_TABLE}")


def _client_writes(chefs, key: str) -> None:
    chefs.put(key, firstName="a client's", lastName="x")


def test_a_put_after_the_switch_does_not_reach_the_item(chefs):
    key = _key(chefs)

    def switch() -> None:
        _switch(chefs)
        _client_writes(chefs, key)

    lane = _paused(chefs, WRITE, switch)
    with pytest.raises(LeaseLostError):
        lane.round()
    assert chefs.items()[key]["firstName"]["S"] == "a client's"
    assert chefs.queued()


def test_a_delete_after_the_switch_does_not_reach_the_item(chefs):
    key = _key(chefs)
    chefs.begin(backfilled=True)
    chefs.once()
    chefs.writers.store.delete(key)

    def switch() -> None:
        _switch(chefs)
        _client_writes(chefs, key)

    lane = _paused(chefs, WRITE, switch, number=2)  # the first one marks the item
    with pytest.raises(LeaseLostError):
        lane.round()
    assert chefs.items()[key]["firstName"]["S"] == "a client's"


def test_a_put_that_is_late_in_the_network_is_refused_after_the_switch(chefs):
    key = _key(chefs)
    lane = chefs.lane(0)
    assert lane.lease.take()
    with UnsureCalls(chefs.dynamodb, "TransactWriteItems", late=True) as late, pytest.raises(InDoubtError):
        lane.round()
    _switch(chefs)
    _client_writes(chefs, key)
    assert late.deliver() == [400]
    assert chefs.items()[key]["firstName"]["S"] == "a client's"


def test_a_put_that_is_late_does_not_undo_a_newer_one_of_its_own_worker(chefs):
    """The worker does not wait for it: its next round bars it."""
    key = _key(chefs)
    work, slept = LaneWork(chefs.lane(0), lambda: next(left), lambda _: None), itertools.count()
    left = itertools.chain([STOP_BEFORE_SECONDS + 1] * 4, itertools.repeat(0.0))
    changed = lambda: chefs.changed(key, f"newer {next(slept)}")  # noqa: E731
    with UnsureCalls(chefs.dynamodb, "TransactWriteItems", late=True, meanwhile=changed) as late:
        assert work.run() == OVER
    assert chefs.items()[key]["firstName"]["S"] == "newer 0"
    assert late.deliver() == [400]
    assert chefs.items()[key]["firstName"]["S"] == "newer 0"


def test_a_put_of_an_old_read_does_not_undo_one_of_the_lanes_next_worker(chefs):
    key = _key(chefs)

    def next_worker() -> None:
        chefs.changed(key, "newer")
        chefs.forget_leases()
        chefs.catch_up()

    lane = _paused(chefs, WRITE, next_worker)
    with pytest.raises(LeaseLostError):
        lane.round()
    assert chefs.items()[key]["firstName"]["S"] == "newer"
    assert chefs.converged()


def test_a_worker_that_lost_its_lane_removes_no_change_that_the_next_worker_has_not_seen(chefs):
    """It finds neither row nor item, so it writes nothing that could be refused."""
    key = _key(chefs)
    chefs.begin(backfilled=True)
    late = chefs.lane(0, clock=lambda: 0.0)
    assert late.lease.take()
    chefs.forget_leases()

    def late_worker_goes_on() -> None:
        chefs.writers.store.delete(key)
        with pytest.raises(LeaseLostError):
            late.round()

    following = _paused(chefs, WRITE, late_worker_goes_on)
    following.round()
    following.lease.release()
    chefs.catch_up()
    assert chefs.converged()


def test_an_entry_of_the_quarantine_is_not_written_after_the_switch(chefs):
    """It would replace one of the bridge for the same key, which then counted as not applied."""
    key, table = _key(chefs), make_table(chefs.dynamodb, "entity", "item_key")
    chefs.put(key, **{names.HEARTBEAT_ATTRIBUTE: "a token"})
    bridge = Quarantine(chefs.dynamodb, table, "a request", stream="a stream")
    copy = Quarantine(chefs.dynamodb, table, "another", stream="")

    def switch() -> None:
        _switch(chefs)
        bridge.put_key("chefs", "upsert", key, "the bridge's", sequence=7)

    lane = _paused(chefs, "query", switch, number=3, quarantine=partial(copy.put_copied, "chefs"))
    with pytest.raises(LeaseLostError):
        lane.round()
    assert QuarantineTable(chefs.dynamodb, table, "chefs").sequences([key], "a stream") == {key: 7}


def _there_and_back(chefs) -> None:
    _switch(chefs)
    _fence(chefs, up=False)


@pytest.mark.parametrize("meanwhile", [_switch, _there_and_back])
def test_the_backfill_enqueues_nothing_after_the_switch_nor_after_the_way_back(chefs, meanwhile):
    """Copy would write the old row over an item that the bridge has not brought to Aurora yet."""
    chefs.created()
    _forget_queue(chefs)
    lane = _paused(chefs, "execute", lambda: meanwhile(chefs))  # the INSERT
    lane.round()
    assert chefs.queued() == 0
    assert "position" not in chefs.record()


def test_the_backfill_enqueues_nothing_when_the_way_back_was_taken_before_it_reads_the_epoch(chefs):
    chefs.created()
    _forget_queue(chefs)
    lane = _paused(chefs, "query", lambda: _there_and_back(chefs), number=2)  # the queue's length
    with pytest.raises(LeaseLostError):
        lane.round()
    assert chefs.queued() == 0


def test_a_position_of_the_backfill_is_not_stored_after_the_switch(chefs):
    """A backfill that ran again after a rollback would copy old rows over what only modern has."""
    chefs.created()
    _forget_queue(chefs)
    lane = _paused(chefs, WRITE, lambda: _switch(chefs))
    lane.round()
    assert not chefs.record()["backfilled"]["BOOL"]
    assert chefs.number("enqueued") == 0


def test_what_a_late_worker_has_counted_is_not_added_to_a_backfill_that_was_begun_anew(chefs):
    chefs.created()
    lane = _paused(chefs, "update_item", lambda: None)
    lane.round()
    lane._done["rows_done"] = 5
    chefs.begin(started_at="2027-01-01T00:00:00Z")
    lane.report()
    assert chefs.number("rows_done") == 0


def test_a_late_remove_takes_no_row_of_a_queue_that_was_made_anew(chefs):
    """With the last entity its table goes, and another one's queue begins with the same ids."""
    queue = ChangeQueue(chefs.legacy.database, chefs.entity)
    key = chefs.created()
    (old,) = queue.take(names.lane_of(key), 1)
    _forget_queue(chefs)
    chefs.legacy.database.execute(
        f"INSERT INTO {names.CHANGES_TABLE} (change_id, entity, lane, item_key, enqueued_at) "
        f"VALUES ({old.id}, 'chefs', 0, '{key}', UTC_TIMESTAMP(6))"
    )
    queue.remove([old])
    assert chefs.queued() == 1
    queue.remove(queue.take(0, 1))
    assert chefs.queued() == 0


def test_a_lane_is_taken_anew_after_the_way_back(chefs):
    chefs.created()
    before = [chefs.lane(lane) for lane in range(names.LANES)]
    assert all(lane.lease.take() for lane in before)
    _switch(chefs)
    _fence(chefs, up=False)
    chefs.begin()
    chefs.catch_up()
    assert chefs.converged()
    for lane in before:
        with pytest.raises(LeaseLostError):
            lane.lease.confirm()
