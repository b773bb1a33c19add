"""A copy worker that stands still between its read and its write, while operators go on: the system's own parts."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from writes_world import ENTITY, first_name, switch, until, write

from functions.copy.lane import CopyLane, LaneTargets
from functions.copy.lease import LeaseLostError
from functions.domain import names
from functions.domain.phase import Phase
from runbook.checks import copy as copy_checks
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.stack import Context

WAIT_SECONDS = 60.0


class Sleeper:
    """A DynamoDB client that stands still at its first transaction until it is woken; the real one does the work."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.asleep, self._awake = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def transact_write_items(self, **given: Any) -> Any:
        self.asleep.set()
        assert self._awake.wait(WAIT_SECONDS * 3)
        return self._real.transact_write_items(**given)

    def wake(self) -> None:
        self._awake.set()


@contextmanager
def asleep(context, entity, key: str):
    """A worker that has read the row of `key` and not written its item; its error when the block has ended."""
    control.stop(context, entity)
    until(lambda: control._lanes_ended(context, entity))
    write(context, "old", key, "aurora")
    with mock.patch.object(Context, "switch_schedules"):  # or a worker of theirs might have the lane first
        control.start(context, entity, CopyLimits(), again=False, call=False)
    sleeper, ended = Sleeper(context.clients.dynamodb_once), []
    lane = _lane(context, entity, key, sleeper)
    until(lane.lease.take)
    context.switch_schedules(entity, enabled=True, check=lambda: None)

    def work() -> None:
        try:
            while True:
                lane.round()
        except LeaseLostError as error:
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert sleeper.asleep.wait(WAIT_SECONDS)
    _expire(context, key)
    yield ended
    sleeper.wake()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def _lane(context, entity, key: str, dynamodb: Any) -> CopyLane:
    described = context.target.mapping[entity.name]
    targets = LaneTargets(
        database=context.aurora.as_bridge(described.legacy.database),
        dynamodb=dynamodb,
        table=entity.modern_table,
        journal=context.target.journal_table,
        quarantine=lambda *_: pytest.fail("nothing is to be quarantined"),
    )
    return CopyLane(described, names.lane_of(key), targets, owner="a sleeper")


def _expire(context, key: str) -> None:
    """As if the worker had slept for longer than its lease."""
    record = names.lane_record(names.lane_of(key))
    assert context.journal.change_record(ENTITY, record, {"expires": 0}, {"owner": "a sleeper"})


def _right_behind(context, entity) -> bool:
    return all(check.ok for check in copy_checks.checks(context, entity)[:-1])


def test_it_does_not_overwrite_what_a_client_has_written_after_the_cutover(live, chefs):
    key = write(live, "first")
    with asleep(live, chefs, key) as ended:
        write(live, "newer", key, "aurora")
        live.wake_lanes(chefs)
        until(lambda: first_name(live, "dynamo", key) == "newer" and _right_behind(live, chefs))
        switch(live, "cutover").execute()
        assert live.journal.state(ENTITY).phase == Phase.MODERN
        write(live, "a client's", key)
    assert ended
    assert first_name(live, "dynamo", key) == "a client's"
    switch(live, "rollback").execute()
    write(live, "legacy again", key)
    until(lambda: first_name(live, "dynamo", key) == "legacy again")


@pytest.mark.long
def test_it_writes_nothing_after_copy_was_removed(live, chefs):
    key = write(live, "first")
    until(lambda: first_name(live, "dynamo", key) == "first")
    with asleep(live, chefs, key) as ended:
        control.release(live, chefs)
    assert ended
    assert first_name(live, "dynamo", key) == "first"
    control.start(live, chefs, CopyLimits(), again=False)
    until(lambda: first_name(live, "dynamo", key) == "old" and _right_behind(live, chefs))
