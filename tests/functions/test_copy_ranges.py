"""A backfill by ranges: what legacy writes meanwhile is never lost, though workers are killed, late or stand still."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from typing import Any

import pytest
from copying import Copying, Faulty, KilledError, failing, killed_after, make_copying
from unsure_calls import UnsureCalls

from functions.copy import range_plan, range_worker
from functions.copy.lane import LaneTargets
from functions.copy.lease import LeaseLostError
from functions.copy.range_worker import RangesLeftError, RangeWork
from functions.copy.ranges import RangeRecords
from functions.domain import names
from functions.install import control_row
from runbook.aws.clients import Clients
from runbook.copy import estimate

ROWS, WIDTH = 30, 10
WRITE = "transact_write_items"
FOREVER = lambda: 1000.0  # noqa: E731  # seconds that a worker may run


@pytest.fixture(scope="module")
def copied(make_legacy, bridge_user, prepared):
    legacy = make_legacy("chefs")
    return make_copying(legacy, bridge_user(legacy).database, Clients(prepared.target).dynamodb_once)


@pytest.fixture(scope="module")
def natural(make_legacy, bridge_user, prepared):
    legacy = make_legacy("chefs", key_type="string", key="sku")
    return make_copying(legacy, bridge_user(legacy).database, Clients(prepared.target).dynamodb_once)


@pytest.fixture
def chefs(copied):
    copied.clear()
    copied.keys = [copied.created(f"chef {number}") for number in range(ROWS)]
    _forget_queue(copied)
    control_row.begin_first_epoch(copied.writers.server, copied.entity)
    begin(copied)
    return copied


def begin(chefs: Copying, run: str = "run-1", **given: Any) -> None:
    """What `copy start --by ranges` writes."""
    record = {"stage": "plan", "ranges": 0, "planned_to": "", "range_end": "", "workers": 2, "range_rows": WIDTH}
    chefs.begin(**{**record, "total": ROWS, "run": run, **given})


def resume(chefs: Copying, run: str) -> None:
    """What `copy start` writes after `copy stop`."""
    key = {"entity": {"S": chefs.entity.name}, "record": {"S": names.COPY_RECORD}}
    chefs.dynamodb.update_item(
        TableName=chefs.journal,
        Key=key,
        UpdateExpression="SET #run = :run",
        ExpressionAttributeNames={"#run": "run"},
        ExpressionAttributeValues={":run": {"S": run}},
    )


def targets(chefs: Copying, fault: Any = None) -> LaneTargets:
    return LaneTargets(
        database=Faulty(chefs.legacy.database, fault) if fault else chefs.legacy.database,
        dynamodb=Faulty(chefs.dynamodb, fault) if fault else chefs.dynamodb,
        table=chefs.table,
        journal=chefs.journal,
        quarantine=lambda key, reason, _held: chefs.quarantined.__setitem__(key, reason),
    )


def step(chefs: Copying, name: str, run: str = "run-1", fault: Any = None, **more: Any) -> dict[str, Any]:
    """One step, as the state machine calls it."""
    event = {"step": name, "run": run, **more}
    return range_worker.step(event, chefs.entity, targets(chefs, fault), FOREVER, lambda: None)


def planned(chefs: Copying, run: str = "run-1") -> list[int]:
    return step(chefs, "plan", run)["ranges"]


def copy_all(chefs: Copying, run: str = "run-1") -> None:
    for number in planned(chefs, run):
        assert step(chefs, "copy", run, range=number) == {"more": False}


def finish(chefs: Copying, run: str = "run-1") -> None:
    assert step(chefs, "end", run) == {"ended": True}
    chefs.catch_up()


def _forget_queue(chefs: Copying) -> None:
    chefs.legacy.database.execute(f"DELETE FROM {names.CHANGES_TABLE}")


def records(chefs: Copying) -> RangeRecords:
    return RangeRecords(chefs.dynamodb, chefs.journal, chefs.entity.name)


def test_every_row_is_copied_once_and_none_is_queued(chefs):
    copy_all(chefs)
    assert chefs.queued() == 0
    assert chefs.converged()
    assert chefs.number("rows_done") == chefs.number("enqueued") == ROWS
    finish(chefs)
    assert chefs.record()["backfilled"]["BOOL"]


def test_numbers_are_divided_by_value_to_the_last_row(chefs):
    numbers = planned(chefs)
    found = records(chefs).all(len(numbers))
    bounds = [(found[number].after, found[number].until) for number in numbers]
    assert [after for after, _ in bounds[1:]] == [until for _, until in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == ("", chefs.keys[-1])
    assert len(numbers) == ROWS // WIDTH


def test_texts_are_divided_by_counting(natural):
    natural.clear()
    keys = [f"key {number:02}" for number in range(25)]
    for key in keys:
        natural.created(key=key)
    begin(natural, total=25)
    numbers = planned(natural)
    found = records(natural).all(len(numbers))
    assert [found[number].until for number in numbers] == ["key 09", "key 19", "key 24"]


@pytest.mark.parametrize("left", [[], ["first"]], ids=["nothing is left", "newer rows are left"])
@pytest.mark.parametrize(
    ("place", "ranges"),
    [(("query", 2), 1), ((WRITE, 1), ROWS)],
    ids=["before its first row is looked up", "after its first ranges"],
)
def test_a_plan_ends_though_legacy_deletes_all_rows_meanwhile(chefs, monkeypatch, left, place, ranges):
    monkeypatch.setattr(range_plan, "AT_ONCE", 5)
    begin(chefs, range_rows=1)
    calls = Counter[str]()

    def delete_all(name: str, call: Any) -> Any:
        calls[name] += 1
        if (name, calls[name]) == place:
            for key in chefs.keys:
                chefs.writers.store.delete(key)
            chefs.keys = [chefs.created(first) for first in left]
        return call()

    assert len(step(chefs, "plan", fault=delete_all)["ranges"]) == ranges
    copy_all(chefs)
    finish(chefs)
    assert chefs.converged()


def test_an_empty_table_has_no_ranges_and_ends(copied):
    copied.clear()
    begin(copied)
    assert planned(copied) == []
    finish(copied)


def test_lanes_write_nothing_before_the_run_has_ended(chefs):
    chefs.changed(chefs.keys[0], "newer")
    for lane in chefs.lanes():
        assert not chefs.round(lane).running
    assert chefs.items() == {}
    copy_all(chefs)
    finish(chefs)
    assert chefs.converged()


def test_a_row_that_is_deleted_between_its_reading_and_its_writing_does_not_stay(chefs):
    """Its worker writes an item from a row that is gone; the delete waits in the queue until the run has ended."""
    key = chefs.keys[0]
    once = itertools.count()

    def delete_first(name: str, call: Any) -> Any:
        if name == WRITE and not next(once):
            chefs.writers.store.delete(key)
            chefs.once()  # the lanes are called meanwhile
        return call()

    for number in planned(chefs):
        step(chefs, "copy", fault=delete_first, range=number)
    assert key in chefs.items()
    finish(chefs)
    assert key not in chefs.items()
    assert chefs.converged()


def test_a_lane_that_was_at_work_when_the_run_began_removes_no_change_that_the_run_needs(chefs):
    """It finds neither row nor item and writes nothing, so only its lease can refuse it."""
    key = chefs.keys[0]
    resume(chefs, "")
    late = chefs.lane(names.lane_of(key), clock=lambda: 0.0)
    assert late.lease.take()
    seen = late.records.read()
    late.records.read = lambda: seen  # read before the run began
    resume(chefs, "run-1")
    chefs.forget_leases()  # as `bar_lanes`
    once = itertools.count()

    def late_lane_goes_on(name: str, call: Any) -> Any:
        if name == WRITE and not next(once):
            chefs.writers.store.delete(key)
            with pytest.raises(LeaseLostError):
                late.round()
        return call()

    for number in planned(chefs):
        step(chefs, "copy", fault=late_lane_goes_on, range=number)
    finish(chefs)
    assert chefs.converged()


@pytest.mark.parametrize("calls", [2, 4, 6, 8, 9])
def test_a_killed_worker_is_resumed_by_the_next_call(chefs, calls):
    numbers = planned(chefs)
    with pytest.raises(KilledError):
        step(chefs, "copy", fault=killed_after(calls), range=numbers[0])
    chefs.changed(chefs.keys[0], "newer")
    copy_all(chefs)
    finish(chefs)
    assert chefs.converged()


def test_a_write_that_is_late_is_refused_once_the_run_has_ended(chefs):
    """Another call has done the range meanwhile, the lanes have caught up, and legacy has changed the row again."""
    key, once = chefs.keys[0], itertools.count()

    def stand_still(name: str, call: Any) -> Any:
        if name == WRITE and not next(once):
            copy_all(chefs)
            step(chefs, "end")
            chefs.writers.store.delete(key)
            chefs.catch_up()
        return call()

    first = planned(chefs)[0]
    with pytest.raises(LeaseLostError):
        step(chefs, "copy", fault=stand_still, range=first)
    assert key not in chefs.items()
    assert chefs.converged()


@pytest.mark.parametrize("ended", [False, True], ids=["stopped while it copied", "stopped while it ended"])
def test_no_range_of_a_run_that_was_stopped_can_be_written_once_the_next_one_has_ended(chefs, ended):
    """Also one that was done when the next run began, which had nothing to do there."""
    step(chefs, "copy", range=planned(chefs)[0])
    if ended:
        copy_all(chefs)
        with pytest.raises(KilledError):
            step(chefs, "end", fault=killed_after(3))  # before it has barred a range
    resume(chefs, "run-2")
    copy_all(chefs, "run-2")
    finish(chefs, "run-2")
    assert [found.run for found in records(chefs).all(ROWS // WIDTH).values()] == [""] * (ROWS // WIDTH)
    records(chefs).remove(10)
    assert records(chefs).all(10) == {}


def test_a_write_in_doubt_is_refused_when_the_worker_has_repeated_it(chefs):
    """The stream would show an older write of copy's over a newer one, which counts as somebody else's."""
    first = planned(chefs)[0]
    with UnsureCalls(chefs.dynamodb, "TransactWriteItems", late=True) as late:
        step(chefs, "copy", range=first)
    before = chefs.items()
    assert len(before) == WIDTH
    assert late.deliver() == [400]
    assert chefs.items() == before


def test_a_plan_that_is_late_adds_no_range_to_a_run_that_has_ended(chefs):
    once = itertools.count()

    def stand_still(name: str, call: Any) -> Any:
        if name == WRITE and not next(once):
            copy_all(chefs)
            finish(chefs)
        return call()

    assert step(chefs, "plan", fault=stand_still)["ranges"] == []
    assert all(not found.run for found in records(chefs).all(10).values())


def test_a_run_does_not_end_while_a_range_is_left(chefs):
    numbers = planned(chefs)
    step(chefs, "copy", range=numbers[0])
    with pytest.raises(RangesLeftError, match="2 of 3 ranges are not done"):
        step(chefs, "end")
    assert not chefs.record()["backfilled"]["BOOL"]


def test_a_run_that_was_stopped_writes_nothing_and_the_next_one_does_what_is_left(chefs):
    numbers = planned(chefs)
    step(chefs, "copy", range=numbers[0])
    resume(chefs, "run-2")
    assert step(chefs, "copy", range=numbers[1]) == {"more": False}
    assert step(chefs, "end") == {"ended": False}
    assert planned(chefs, "run-1") == []
    assert len(chefs.items()) == WIDTH
    assert planned(chefs, "run-2") == numbers[1:]
    copy_all(chefs, "run-2")
    finish(chefs, "run-2")
    assert chefs.converged()


def test_the_end_is_completed_by_a_second_call_when_the_first_was_killed(chefs):
    copy_all(chefs)
    for calls in (2, 3, 4):
        with pytest.raises(KilledError):
            step(chefs, "end", fault=killed_after(calls))
    finish(chefs)
    assert chefs.converged()


def test_throttling_and_a_waking_database_only_delay_a_range(chefs, monkeypatch):
    monkeypatch.setattr(range_worker, "back_off", lambda _: 0.0)
    numbers = planned(chefs)
    for number, fault in zip(numbers, (failing(WRITE, times=4), failing("batch_get_item", times=3), None), strict=True):
        assert step(chefs, "copy", fault=fault, range=number) == {"more": False}
    finish(chefs)
    assert chefs.converged()


def test_items_of_an_earlier_copy_whose_rows_are_gone_are_deleted(chefs):
    copy_all(chefs)
    finish(chefs)
    gone = chefs.keys[:3]
    for key in gone:
        chefs.writers.store.delete(key)
    _forget_queue(chefs)
    begin(chefs, "run-2", leftovers=True)
    copy_all(chefs, "run-2")
    finish(chefs, "run-2")
    assert chefs.converged()
    assert not set(gone) & set(chefs.items())


def test_a_worker_whose_time_is_up_is_called_again(chefs):
    numbers, left = planned(chefs), itertools.chain([100.0], itertools.repeat(0.0))
    work = RangeWork(chefs.entity, targets(chefs), numbers[0], "run-1", lambda: next(left))
    work._most = 5
    assert work.work()
    assert len(chefs.items()) == 5
    copy_all(chefs)
    assert chefs.converged()


def test_a_page_takes_as_many_statements_as_the_plan_of_the_operator_counts(chefs):
    most, statements = range_worker.MOST_KEYS, Counter[str]()
    values = ", ".join(["('chef', 'x')"] * (2 * most))
    chefs.writers.database.execute(f"INSERT INTO cheftable (cheffirst, cheflast) VALUES {values}")
    begin(chefs, range_rows=3 * most, total=3 * most)

    def counted(name: str, call: Any) -> Any:
        statements[name] += 1
        return call()

    work = RangeWork(chefs.entity, targets(chefs, counted), planned(chefs)[0], "run-1", FOREVER)
    work._most = most
    assert not work.work()
    rows = 2 * most + ROWS
    assert statements["query"] <= estimate.CALLS_PER_ROW * rows
    assert most == 396  # docs/scaling.md


@pytest.mark.parametrize("seed", range(3))
def test_a_table_that_legacy_changes_all_the_time_converges(chefs, seed):
    _converges(chefs, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 40))
def test_every_seed_converges(chefs, seed):
    _converges(chefs, seed)


class _Disturbed:
    """A run whose calls are disturbed at random: legacy writes before them, lanes are called, workers are killed."""

    def __init__(self, chefs: Copying, seed: int) -> None:
        self.chefs = chefs
        self.drawn = random.Random(seed)
        self.present = list(chefs.keys)
        self._one = threading.Lock()  # a worker reads rows and items at the same time

    def fault(self, _name: str, call: Any) -> Any:
        with self._one:
            if self.drawn.random() < 0.3:
                self.drawn.choice([self.create, self.change, self.delete, self.chefs.once])()
        answer = call()
        if self.drawn.random() < 0.05:
            raise KilledError
        return answer

    def create(self) -> None:
        self.present.append(self.chefs.created(f"made {self.drawn.random()}"))

    def change(self) -> None:
        self.chefs.changed(self.drawn.choice(self.present), f"changed {self.drawn.random()}")

    def delete(self) -> None:
        if len(self.present) > 1:
            self.chefs.writers.store.delete(self.present.pop(self.drawn.randrange(len(self.present))))

    def surely(self, name: str, **more: Any) -> dict[str, Any]:
        for _ in range(100):
            try:
                return step(self.chefs, name, fault=self.fault, **more)
            except KilledError:
                continue
        raise AssertionError


def _converges(chefs: Copying, seed: int) -> None:
    run = _Disturbed(chefs, seed)
    for number in run.surely("plan")["ranges"]:
        while run.surely("copy", range=number)["more"]:
            pass
    run.surely("end")
    chefs.catch_up()
    assert chefs.converged()
