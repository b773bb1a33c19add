"""What holds copy back: a rate, Aurora's load, the length of the queue."""

from __future__ import annotations

import threading

import pytest
from copying import make_copying

from functions.copy.state import BOUND
from functions.copy.throttle import LOOK_SECONDS, Bucket, Load
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


def _rows_in(bucket: Bucket, clock: Clock, seconds: float, *, step: float = 0.1, most: int = 500) -> int:
    taken = 0
    for _ in range(round(seconds / step)):
        clock.now += step
        some = bucket.available(most)
        bucket.take(some)
        taken += some
    return taken


@pytest.mark.parametrize(("rate", "expected"), [(0.25, 25), (7, 700), (1000, 100_000)])
def test_over_time_the_rate_is_kept(rate, expected):
    clock = Clock()
    bucket = Bucket(clock)
    bucket.limit(rate)
    assert _rows_in(bucket, clock, 100) == pytest.approx(expected, abs=1)


def test_what_was_not_used_for_long_is_not_made_up_for():
    clock = Clock()
    bucket = Bucket(clock)
    bucket.limit(100)
    clock.now += 3600
    assert bucket.available(500) == 100


def test_it_says_how_long_to_wait_for_the_next_row():
    clock = Clock()
    bucket = Bucket(clock)
    bucket.limit(0.25)
    assert bucket.wait() == pytest.approx(4)
    clock.now += 3
    assert bucket.wait() == pytest.approx(1)
    clock.now += 1
    assert (bucket.wait(), bucket.available(500)) == (0, 1)


def test_a_rate_can_be_changed_and_lifted():
    clock = Clock()
    bucket = Bucket(clock)
    bucket.limit(1000)
    clock.now += 1
    bucket.limit(10)
    assert bucket.available(500) == 10
    bucket.limit(0)
    assert (bucket.available(500), bucket.wait()) == (500, 0)


def test_a_lane_takes_its_share_of_the_rate(chefs):
    for _ in range(60):
        chefs.created()
    chefs.begin(backfilled=True, rate=names.LANES * 5)
    clock = Clock()
    lane = chefs.lane(1, clock=clock)
    assert lane.lease.take()
    assert lane.round().wait == pytest.approx(0.2)
    assert not chefs.items()
    clock.now += 0.6
    assert lane.round().rows == 3
    chefs.begin("switching", backfilled=True, rate=names.LANES * 5)  # clients wait: no limit holds
    assert lane.round().rows > 5


def test_a_busy_aurora_is_noticed_within_seconds_and_its_own_work_does_not_count(chefs, sandbox):
    clock, database = Clock(), chefs.entity.legacy.database
    load = Load(chefs.legacy.database, clock)
    assert load.excess(0) == ""
    before = load.excess(1)
    name = f"test_{database}"
    connections = [sandbox.database.connect() for _ in range(4)]
    with connections[0].cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{name}', 0)")

    def wait(connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT GET_LOCK('{name}', 30)")
            cursor.execute(f"SELECT RELEASE_LOCK('{name}')")

    waiting = [threading.Thread(target=wait, args=(each,)) for each in connections[1:]]
    for each in waiting:
        each.start()
    _until_waiting(connections[0], 3)
    assert load.excess(1) == before
    clock.now += LOOK_SECONDS
    busy = load.excess(1)
    with connections[0].cursor() as cursor:
        cursor.execute(f"SELECT RELEASE_LOCK('{name}')")
    for each in waiting:
        each.join()
    for each in connections:
        each.close()
    assert "threads running, above 1" in busy


def _until_waiting(connection, count: int) -> None:
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'")
            if cursor.fetchone()[0] >= count:
                return


def test_while_aurora_is_busy_nothing_is_taken_and_the_journal_says_why(chefs, monkeypatch):
    chefs.created()
    chefs.begin(threads=5)
    lane = chefs.lane(0)
    assert lane.lease.take()
    monkeypatch.setattr(lane._load, "excess", lambda limit: f"above {limit}")
    assert lane.round().wait > 0
    assert chefs.record()["paused"]["S"] == "above 5"
    assert not chefs.items()
    monkeypatch.setattr(lane._load, "excess", lambda _limit: "")
    assert lane.round().enqueued == 1
    assert chefs.record()["paused"]["S"] == ""


def test_the_backfill_waits_for_a_short_queue(chefs):
    for _ in range(20):
        chefs.created()
    chefs.begin(bound=20)
    lane = chefs.lane(0)
    lane.queue.remove([row for n in range(names.LANES) for row in lane.queue.take(n, 500)][:1])
    lane.lease.take()
    full = chefs.lane(1)
    assert full.queue.length(BOUND) == 19
    assert lane.round().enqueued == 20
    chefs.begin(bound=chefs.queued())
    chefs.legacy.database.execute(f"UPDATE {names.CHANGES_TABLE} SET lane = 2")
    assert lane.round().enqueued == 0
    lane.lease.release()
    chefs.catch_up()
    assert chefs.converged()


def test_only_the_first_lane_does_the_backfill_and_none_while_switching(chefs):
    chefs.created()
    chefs.legacy.database.execute(f"DELETE FROM {names.CHANGES_TABLE}")
    assert chefs.round(chefs.lane(1)).enqueued == 0
    chefs.begin("switching")
    assert chefs.round(chefs.lane(0)).enqueued == 0
    chefs.begin()
    assert chefs.round(chefs.lane(0)).enqueued == 1


def test_a_checkpoint_of_an_earlier_start_does_not_end_the_next_one(chefs):
    seen = chefs.lane(0).records.read()
    chefs.begin(started_at="2026-02-02T00:00:00Z")
    lane = chefs.lane(0)
    assert lane.lease.take()
    lane.records.checkpoint(seen, "", 5, lane.lease.held())
    assert not lane.records.read().backfilled
    lane.records.checkpoint(lane.records.read(), "", 5, lane.lease.held())
    assert lane.records.read().backfilled
