"""Copy when something breaks: killed between any two steps, robbed of its lane, refused by a service."""

from __future__ import annotations

import datetime as dt
import itertools
import time

import pytest
from botocore.exceptions import ClientError
from copying import Faulty, KilledError, failing, killed_after, make_copying
from sweep import EVERY

from functions.aws.dynamodb import LONGEST_CALL_SECONDS, TransientDynamoError
from functions.copy.lease import LEASE_SECONDS, LeaseLostError
from functions.copy.queue import ChangeQueue
from functions.copy.worker import (
    FIRST_LOOK_SECONDS,
    GATHER_SECONDS,
    HELD,
    LAST_LOOK_SECONDS,
    LOST,
    OVER,
    STOP_BEFORE_SECONDS,
    STOPPED,
    URGENT_LOOK_SECONDS,
    LaneWork,
)
from functions.domain import names


@pytest.fixture(scope="module")
def copied(make_legacy, bridge_user, sandbox):
    legacy = make_legacy("chefs")
    return make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))


@pytest.fixture
def chefs(copied):
    copied.clear()
    copied.begin()
    return copied


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _of_lane(chefs, lane: int, count: int) -> list[str]:
    found = []
    while len(found) < count:
        key = chefs.created()
        if names.lane_of(key) == lane:
            found.append(key)
    return found


@pytest.mark.sweep
def test_killed_after_any_call_and_run_again_it_converges(chefs):
    changed, deleted, *spare = _of_lane(chefs, 0, 40)
    chefs.catch_up()
    for calls in itertools.count(1, EVERY):
        chefs.changed(changed, f"name {calls}")
        chefs.writers.store.delete(deleted)
        deleted = spare.pop()
        chefs.begin()  # the backfill, too, begins anew
        fault = killed_after(calls)
        lane = chefs.lane(0, Faulty(chefs.dynamodb, fault), database=Faulty(chefs.legacy.database, fault))
        try:
            chefs.round(lane)
        except KilledError:
            chefs.forget_leases()
            chefs.catch_up()
            assert chefs.converged()
            assert ChangeQueue(chefs.legacy.database, chefs.entity).length(1) == 0
        else:
            break
    assert calls > 15


def test_a_lane_has_one_worker(chefs):
    first, second = chefs.lane(2), chefs.lane(2)
    assert first.lease.take()
    assert not second.lease.take()
    assert chefs.lane(3).lease.take()
    first.lease.release()
    assert second.lease.take()


def test_a_worker_that_was_away_for_too_long_writes_nothing(chefs):
    clock = Clock()
    late = chefs.lane(0, clock=clock)
    assert late.lease.take()
    _of_lane(chefs, 0, 1)
    clock.now += LEASE_SECONDS
    chefs.forget_leases()
    assert chefs.lane(0).lease.take()
    with pytest.raises(LeaseLostError):
        late.round()
    assert not chefs.items()


def test_a_lane_that_is_lost_while_rows_are_read_is_not_written_to(chefs):
    clock = Clock()
    _of_lane(chefs, 0, 1)

    def slow(name, call):
        answer = call()
        if name == "batch_get_item":
            clock.now += LEASE_SECONDS
            chefs.forget_leases()
            assert chefs.lane(0).lease.take()
        return answer

    late = chefs.lane(0, Faulty(chefs.dynamodb, slow), clock=clock)
    assert late.lease.take()
    with pytest.raises(LeaseLostError):
        late.round()
    assert not chefs.items()
    assert chefs.queued() > 0


def test_a_dead_workers_lane_is_taken_when_its_lease_ends(chefs):
    dead = chefs.lane(0)
    assert dead.lease.take()
    chefs.let_lease_end(0, 10.0)
    work, slept = _work(chefs, chefs.lane(0), rounds=1)
    work.sleep = lambda seconds: (slept.append(seconds), chefs.let_lease_end(0, -1.0))
    assert work.run() == OVER
    assert slept[0] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("wrong", [-300.0, -35.0, 0.0, 35.0, 300.0])
def test_a_worker_whose_clock_is_wrong_notes_dynamodbs_time(chefs, monkeypatch, wrong):
    """By its own, no cutover would believe that it is alive, and its lease would be over, or last for minutes."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + wrong)
    lane = chefs.lane(0)
    assert lane.lease.take()
    for _ in range(2):
        record = chefs.lane_record(0)
        assert dt.datetime.fromisoformat(record["beat"]["S"]).timestamp() == pytest.approx(now(), abs=3)
        assert float(record["expires"]["N"]) == pytest.approx(now() + LEASE_SECONDS, abs=3)
        lane.lease.confirm()


def test_rounds_are_small_while_rows_are_slow_to_read(chefs):
    clock, seconds = Clock(), [4.0]
    keys = ", ".join(f"('chefs', 1, 'gone {n}', UTC_TIMESTAMP(6))" for n in range(240))
    chefs.legacy.database.execute(
        f"INSERT INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) VALUES {keys}"
    )

    def slow(name, call):
        clock.now += seconds[0] if name == "batch_get_item" else 0
        return call()

    lane = chefs.lane(1, Faulty(chefs.dynamodb, slow), clock=clock)
    assert lane.lease.take()
    assert [lane.round().rows for _ in range(4)] == [99, 49, 24, 12]
    seconds[0] = 0.1
    assert [lane.round().rows for _ in range(4)] == [6, 12, 24, 14]


def test_an_expired_lease_that_no_other_worker_took_continues(chefs):
    clock = Clock()
    lane = chefs.lane(0, clock=clock)
    assert lane.lease.take()
    clock.now += LEASE_SECONDS - LONGEST_CALL_SECONDS
    assert not lane.lease.may_write()
    lane.lease.check()
    assert lane.lease.may_write()


def test_the_lane_reports_its_beat_its_rows_and_its_lag(chefs):
    clock = Clock()
    chefs.begin(backfilled=True)
    chefs.legacy.database.execute(
        f"INSERT INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) "
        "VALUES ('chefs', 1, 'gone', UTC_TIMESTAMP(6) - INTERVAL 90 SECOND)"
    )
    lane = chefs.lane(1, clock=clock)
    assert lane.lease.take()
    lane.round()
    lane.lease.release()
    assert chefs.number("rows", "lane#1") == 1
    assert 89 < chefs.number("lag", "lane#1") < 120
    assert chefs.record("lane#1")["beat"]["S"].endswith("+00:00")


def _work(chefs, lane, rounds: int = 50) -> tuple[LaneWork, list[float]]:
    slept: list[float] = []
    left = itertools.chain([STOP_BEFORE_SECONDS + 1] * rounds, itertools.repeat(0.0))
    return LaneWork(lane, lambda: next(left), slept.append), slept


def test_a_worker_waits_out_what_passes(chefs):
    _of_lane(chefs, 0, 3)
    aurora = Faulty(chefs.legacy.database._client, failing("execute_statement", times=3))
    database = type(chefs.legacy.database)(aurora, *_target(chefs.legacy.database))
    dynamodb = Faulty(chefs.dynamodb, failing("transact_write_items", "get_item", "update_item", times=5))
    work, slept = _work(chefs, chefs.lane(0, dynamodb, database=database))
    assert work.run() == OVER
    assert len(slept) > 5
    chefs.catch_up()
    assert chefs.converged()


def _target(database):
    target = database._target
    return target["resourceArn"], target["secretArn"], target["database"]


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_surely_wrote_nothing_is_repeated(chefs, reason):
    _of_lane(chefs, 0, 3)
    left = [2]

    def canceled(name, call):
        if name == "transact_write_items" and left[0]:
            left[0] -= 1
            raise _canceled("None", reason)
        return call()

    chefs.round(chefs.lane(0, Faulty(chefs.dynamodb, canceled)))
    assert not left[0]
    assert len(chefs.items()) == 3


def _canceled(*codes: str) -> ClientError:
    reasons = {"CancellationReasons": [{"Code": code, "Message": "nested too deep"} for code in codes]}
    return ClientError({"Error": {"Code": "TransactionCanceledException", "Message": "it"}, **reasons}, "a write")


@pytest.mark.parametrize("whole", [True, False])
def test_one_item_that_dynamodb_refuses_does_not_stop_the_others(chefs, whole):
    """It refuses some items before it begins a transaction, and cancels it for others."""
    keys = _of_lane(chefs, 0, 3)
    dynamodb = Faulty(chefs.dynamodb, lambda _name, call: call())
    real = chefs.dynamodb.transact_write_items

    def write(TransactItems):  # noqa: N803  # boto3's name
        refused = {"S": keys[1]}
        if any("Put" in action and refused in action["Put"]["Item"].values() for action in TransactItems):
            details = {"Error": {"Code": "ValidationException", "Message": "nested too deep"}}
            raise ClientError(details, "a write") if whole else _canceled("None", "ValidationError")
        return real(TransactItems=TransactItems)

    dynamodb.transact_write_items = write
    chefs.round(chefs.lane(0, dynamodb))
    assert set(chefs.items()) == {keys[0], keys[2]}
    assert chefs.quarantined == {keys[1]: "nested too deep"}


def test_an_unknown_error_is_raised_and_the_lane_is_free(chefs):
    dynamodb = Faulty(chefs.dynamodb, failing("batch_get_item", times=1, error="ResourceNotFoundException"))
    _of_lane(chefs, 0, 1)
    with pytest.raises(ClientError):
        _work(chefs, chefs.lane(0, dynamodb))[0].run()
    assert chefs.lane(0).lease.take()
    assert chefs.queued() > 0


def test_a_journal_that_does_not_answer_is_an_error(chefs):
    dynamodb = Faulty(chefs.dynamodb, failing("batch_get_item", times=99))
    with pytest.raises(TransientDynamoError):
        _work(chefs, chefs.lane(0, dynamodb))[0].run()


@pytest.mark.parametrize(
    ("phase", "state"), [("legacy", "stopped"), ("modern", "running"), ("returning", "running"), ("complete", "")]
)
def test_it_does_nothing_unless_copy_runs_and_legacy_is_the_source_of_truth(chefs, phase, state):
    _of_lane(chefs, 0, 1)
    chefs.begin(phase, state=state)
    assert _work(chefs, chefs.lane(0))[0].run() == STOPPED
    assert not chefs.items()


def test_before_the_first_start_it_does_nothing(chefs):
    key = {"entity": {"S": "chefs"}, "record": {"S": names.COPY_RECORD}}
    chefs.dynamodb.delete_item(TableName=chefs.journal, Key=key)
    assert _work(chefs, chefs.lane(0))[0].run() == STOPPED


def test_a_worker_ends_when_its_time_is_up_when_copy_stops_or_when_the_lane_is_anothers(chefs):
    other = chefs.lane(1)
    assert other.lease.take()
    assert _work(chefs, chefs.lane(1))[0].run() == HELD
    assert _work(chefs, chefs.lane(0), rounds=3)[0].run() == OVER
    clock = Clock()
    work, _ = _work(chefs, chefs.lane(0, clock=clock))

    def robbed(_seconds: float) -> None:
        clock.now += LEASE_SECONDS
        chefs.forget_leases()
        assert chefs.lane(0).lease.take()

    work.sleep = robbed
    assert work.run() == LOST
    work, _ = _work(chefs, chefs.lane(2))
    work.sleep = lambda _seconds: chefs.begin(state="stopped")
    assert work.run() == STOPPED


def test_it_looks_often_while_clients_wait_and_seldom_when_idle(chefs):
    chefs.begin(backfilled=True)
    work, slept = _work(chefs, chefs.lane(0), rounds=8)
    work.run()
    assert slept[0] == FIRST_LOOK_SECONDS
    assert slept[-1] == LAST_LOOK_SECONDS > FIRST_LOOK_SECONDS
    chefs.begin("switching", backfilled=True)
    work, slept = _work(chefs, chefs.lane(0), rounds=3)
    work.run()
    assert slept == [URGENT_LOOK_SECONDS] * 3


def test_after_a_few_rows_it_lets_more_gather_unless_clients_wait(chefs):
    chefs.begin(backfilled=True)
    _of_lane(chefs, 0, 1)
    work, slept = _work(chefs, chefs.lane(0), rounds=1)
    work.run()
    assert slept == [GATHER_SECONDS]
    chefs.begin("switching", backfilled=True)
    _of_lane(chefs, 0, 1)
    work, slept = _work(chefs, chefs.lane(0), rounds=1)
    work.run()
    assert slept == []
