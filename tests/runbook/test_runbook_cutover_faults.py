"""Faults while writes move to modern or back on a whole system: what is held, rolled back, and on each side after."""

from __future__ import annotations

import threading
import time

import pytest
from writes_world import ENTITY, FORCED, LEGACY, MODERN, control, first_name, stands, switch, until, write

from functions.aws.mysql_errors import DataApiError
from functions.copy.state import Records
from functions.domain import names
from functions.domain.phase import Phase
from functions.gate.gate import GateRecords, new_request
from functions.install import control_row
from functions.install.control_row import Control, ControlChange
from runbook.aws.http import path
from runbook.checks import plans
from runbook.copy import control as copying
from runbook.copy.control import CopyLimits
from runbook.cutover import forward
from runbook.cutover.fence import Fence
from runbook.cutover.steps import Choices, OperationKind, Part, SwitchArguments, SwitchRun
from runbook.errors import FailedError, PreconditionError
from runbook.journal.journal import Journal
from runbook.journal.phases import transition
from runbook.verify import run


def test_over_back_and_over_again_and_what_was_written_is_on_both_sides(live, chefs):
    before = write(live, "before")
    assert switch(live, "cutover").execute().changed
    assert stands(live) == MODERN
    write(live, "on modern", before)
    new = write(live, "created on modern")
    generation = control(live).last_epoch
    assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY
    assert control(live) == Control(fenced=False, epoch=generation + 1, last_epoch=generation + 1)
    assert [first_name(live, "aurora", key) for key in (before, new)] == ["on modern", "created on modern"]
    write(live, "on legacy again", new)
    assert live.api.request("DELETE", path(ENTITY, before)).status == 204
    assert switch(live, "cutover").execute().changed
    assert [first_name(live, "dynamo", key) for key in (before, new)] == [None, "on legacy again"]
    write(live, "on modern again", new)
    assert run.run(live, chefs, run.VerifyOptions()).clean
    assert live.api.request("DELETE", path(ENTITY, new)).status == 204


@pytest.mark.long
def test_the_second_rollback_follows_the_stream_from_where_the_first_had_all_of_it(live, chefs, monkeypatch):
    with live.held(chefs, "a test") as lease:
        live.journal.remove_records(lease.lock, ENTITY, names.DRAINED_RECORD)
    followed = []
    real = SwitchRun.follower_of_bridge

    def follower(parts, since, authority):
        followed.append(since)
        return real(parts, since, authority)

    monkeypatch.setattr(SwitchRun, "follower_of_bridge", follower)
    for _ in range(2):
        switch(live, "cutover").execute()
        followed.clear()
        switch(live, "rollback").execute()
        if followed[0] is None:
            began = live.journal.find_record(ENTITY, names.DRAINED_RECORD)["at"]
    assert followed[0].isoformat() == began
    later = {"at": began, "stream": "of another table"}
    live.journal.put_record(ENTITY, names.DRAINED_RECORD, later)
    switch(live, "cutover").execute()
    followed.clear()
    switch(live, "rollback").execute()
    assert followed[0] is None


def test_a_request_that_comes_while_writes_are_held_is_answered_by_the_winner(live, chefs, monkeypatch):
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(write(live, "held")))
    real = forward.demand_equal

    def slowly(run, keys, grace):
        if not grace:  # while clients are held
            thread.start()
            time.sleep(0.5)
        real(run, keys, grace)

    monkeypatch.setattr(forward, "demand_equal", slowly)
    switch(live, "cutover").execute()
    thread.join()
    assert first_name(live, "dynamo", answers[0]) == "held"
    until(lambda: first_name(live, "aurora", answers[0]) == "held")


@pytest.mark.parametrize("step", ["fence", "drain", "compare-last"])
def test_what_fails_while_writes_are_held_puts_everything_back(live, chefs, monkeypatch, step):
    def fail(*_):
        raise FailedError("the lights went out")

    held: list[str] = []
    real = Fence.raise_

    def late(fence):
        real(fence)
        fail()

    patches = {
        "fence": (Fence, "raise_", late),
        "drain": (SwitchRun, "queue_empty", fail),
        "compare-last": (forward, "demand_equal", lambda run, keys, grace: None if grace else fail()),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*patches[step])
        with pytest.raises(PreconditionError, match="the lights went out"):
            switch(live, "cutover").execute()
    assert stands(live) == LEGACY
    held.append(write(live, "still legacy"))
    assert first_name(live, "aurora", held[0]) == "still legacy"
    assert live.api.request("DELETE", path("aurora", ENTITY, held[0])).status == 204


@pytest.mark.parametrize("verb", ["cutover", "rollback"])
def test_a_commit_whose_answer_was_lost_is_not_put_back(live, chefs, monkeypatch, verb):
    where, name = (Journal, "enter") if verb == "cutover" else (Fence, "lower")
    real, failures = getattr(where, name), iter([KeyboardInterrupt()])

    def unanswered(*given, **named):
        real(*given, **named)
        if where is Fence or transition(Phase.MODERN) in given:
            for failure in failures:
                raise failure

    if verb == "rollback":
        switch(live, "cutover").execute()
    key = write(live, "before")
    monkeypatch.setattr(where, name, unanswered)
    switch(live, verb).execute()
    assert not list(failures)
    assert stands(live) == (MODERN if verb == "cutover" else LEGACY)
    write(live, "after", key)
    systems = ("dynamo", "aurora")
    until(lambda: [first_name(live, system, key) for system in systems] == ["after", "after"])


def _late(live, chefs, change, monkeypatch, verb: str) -> None:
    """A call of the fence gets no answer in the first command; it arrives when that has rolled everything back."""
    calls: list[tuple[Fence, int]] = []

    def unanswered(fence, *_, **__):
        calls.append((fence, fence._lease.next_token()))
        raise FailedError("no answer")

    monkeypatch.setattr(Fence, change, unanswered)
    with pytest.raises(PreconditionError, match="no answer"):
        switch(live, verb).execute()
    monkeypatch.undo()
    fence, token = calls[0]
    with pytest.raises(DataApiError, match=names.FENCE_MOVED):
        control_row.change(
            fence._database, fence._described, ControlChange(fenced=change == "raise_", epoch=9, token=token), 1
        )


def test_a_fence_that_would_come_late_is_barred(live, chefs, monkeypatch):
    _late(live, chefs, "raise_", monkeypatch, "cutover")
    assert stands(live) == LEGACY
    assert first_name(live, "aurora", write(live, "let in")) == "let in"


def test_a_fence_that_comes_down_late_in_a_rollback_is_barred(live, chefs, monkeypatch):
    switch(live, "cutover").execute()
    _late(live, chefs, "lower", monkeypatch, "rollback")
    assert stands(live) == MODERN


def test_a_fence_that_somebody_left_up_comes_down_with_a_rollback(live, chefs):
    epoch = control(live).epoch
    with live.held(chefs, "a test") as lease:
        Fence(live, chefs, lease).raise_()
    plan = switch(live, "rollback").plan()
    assert [step.says for step in plan.steps] == ["fence down in Aurora: legacy's writers may write again"]
    assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY
    assert control(live).epoch == epoch
    assert not switch(live, "rollback").plan().steps


@pytest.mark.long
def test_a_failing_call_of_the_lanes_does_not_interrupt_a_rollback(live, chefs, monkeypatch):
    switch(live, "cutover").execute()

    def throttled(*_):
        raise FailedError("Lambda takes no call now")

    monkeypatch.setattr("runbook.aws.lambda_calls.wake_lanes", throttled)
    assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY


def test_a_queue_that_stays_full_puts_everything_back_in_time(live, chefs, monkeypatch):
    monkeypatch.setattr(forward, "NUDGE_SECONDS", 0.05)
    monkeypatch.setattr(SwitchRun, "queue_empty", lambda _: False)
    with pytest.raises(PreconditionError, match="copying the last rows took more than 1 s"):
        switch(live, "cutover", choices=Choices(propagation_wait=0.0, warm=0, hold=1.0, reads_stay=True)).execute()
    assert stands(live) == LEGACY


def test_a_difference_puts_everything_back(live, chefs, monkeypatch):
    key = write(live, "true", system="aurora")
    until(lambda: first_name(live, "dynamo", key) == "true")
    legacy = live.target.mapping[ENTITY].legacy
    past_triggers = live.aurora.as_bridge(legacy.database)
    past_triggers.execute(
        f"UPDATE {legacy.table} SET cheffirst = 'false' WHERE {legacy.key} = :id", {"id": {"longValue": int(key)}}
    )
    monkeypatch.setattr(forward, "GRACE_SECONDS", 0.5)
    with pytest.raises(PreconditionError, match=f"differ: {key}"):
        switch(live, "cutover").execute()
    assert stands(live) == LEGACY
    assert live.api.request("DELETE", path("aurora", ENTITY, key)).status == 204
    until(lambda: first_name(live, "dynamo", key) is None)


def test_a_rollback_that_the_bridge_blocks_is_put_back_and_force_does_not_wait(live, chefs, monkeypatch):
    switch(live, "cutover").execute()
    kept, changed = write(live, "kept"), write(live, "first")
    until(lambda: first_name(live, "aurora", changed) == "first")
    functions = live.clients.functions
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    try:
        until(lambda: functions.get_event_source_mapping(UUID=chefs.bridge_mapping_id)["State"] == "Disabled")
        write(live, "late", changed)
        write(live, "late", kept)
        monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
        with pytest.raises(PreconditionError, match="has not applied 2 changes"):
            switch(
                live, "rollback", choices=Choices(propagation_wait=0.0, warm=0, timeout=1.0, reads_stay=True)
            ).execute()
        assert stands(live) == MODERN
        assert switch(live, "rollback", choices=FORCED).execute().changed
        assert stands(live) == LEGACY
        write(live, "legacy", changed)
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)
    until(lambda: first_name(live, "aurora", kept) == "late")
    assert first_name(live, "aurora", changed) == "legacy"
    entry = {"entity": {"S": ENTITY}, "item_key": {"S": changed}}
    quarantine = {"TableName": live.target.quarantine_table, "Key": entry}
    until(lambda: "Item" in live.clients.dynamodb.get_item(**quarantine))
    entry = live.clients.dynamodb.get_item(**quarantine)["Item"]
    assert entry["reason"]["S"].startswith("conflict:")
    until(lambda: first_name(live, "dynamo", changed) == "legacy")
    live.clients.dynamodb.delete_item(**quarantine)
    assert run.run(live, chefs, run.VerifyOptions()).clean
    monkeypatch.undo()
    assert live.journal.state(ENTITY).undrained
    assert switch(live, "cutover").execute().changed
    assert not live.journal.state(ENTITY).undrained
    assert [first_name(live, system, changed) for system in ("aurora", "dynamo")] == ["legacy", "legacy"]


@pytest.mark.long
def test_after_a_forced_rollback_no_cutover_commits_before_the_bridge_has_applied_all(live, chefs, monkeypatch):
    switch(live, "cutover").execute()
    key = write(live, "first")
    until(lambda: first_name(live, "aurora", key) == "first")
    functions = live.clients.functions
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    until(lambda: functions.get_event_source_mapping(UUID=chefs.bridge_mapping_id)["State"] == "Disabled")
    try:
        write(live, "late", key)
        switch(live, "rollback", choices=FORCED).execute()
        write(live, "legacy", key)
        until(lambda: first_name(live, "dynamo", key) == "legacy")
        monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
        with pytest.raises(PreconditionError, match=f"has not applied 1 changes in time: {key}"):
            switch(
                live, "cutover", choices=Choices(propagation_wait=0.0, warm=0, timeout=1.0, reads_stay=True)
            ).execute()
        assert stands(live) == LEGACY
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)
    entry = {"entity": {"S": ENTITY}, "item_key": {"S": key}}
    quarantine = {"TableName": live.target.quarantine_table, "Key": entry}
    until(lambda: "Item" in live.clients.dynamodb.get_item(**quarantine))
    with pytest.raises(PreconditionError, match=f"cannot take 1 of the last rows: {key}"):
        switch(live, "cutover").execute()  # as with any entry that comes after the checks
    live.clients.dynamodb.delete_item(**quarantine)
    assert switch(live, "cutover").execute().changed
    assert [first_name(live, system, key) for system in ("aurora", "dynamo")] == ["legacy", "legacy"]


@pytest.mark.long
def test_a_request_that_was_never_counted_out_delays_the_rollback_but_does_not_prevent_it(live, chefs):
    switch(live, "cutover").execute()
    gate = GateRecords(live.clients.dynamodb, live.target.journal_table, ENTITY)
    assert gate.enter(new_request(), Phase.MODERN, 3.0, read=True)
    assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY


def test_without_copy_or_a_recent_verify_the_checks_fail(live, chefs):
    copying.stop(live, chefs)
    try:
        with pytest.raises(PreconditionError, match="copy is stopped"):
            switch(live, "cutover").execute()
    finally:
        copying.start(live, chefs, CopyLimits(), again=False)
    live.clients.dynamodb.delete_item(
        TableName=live.target.journal_table, Key={"entity": {"S": ENTITY}, "record": {"S": names.VERIFIED_RECORD}}
    )
    plan = switch(live, "cutover").plan()
    assert [check.name for check in plan.checks if not check.ok] == ["last verify"]


def test_a_plan_reports_each_step_and_what_undoes_it(live, chefs):
    plan = switch(live, "cutover").plan()
    assert [step.name for step in plan.steps] == [
        "compare",
        "gate",
        "catch-up",
        "phase-switching",
        "quiet",
        "fence",
        "drain",
        "compare-last",
        "phase-modern",
        "copy-ended",
    ]
    undone = {step.name: step.unsays for step in plan.steps if step.unsays}
    assert list(undone) == ["phase-switching", "fence"]
    assert [step.name for step in plan.steps if step.commit] == ["phase-modern"]
    assert stands(live) == LEGACY


def test_choices_survive_the_journal():
    made = Choices(timeout=1.5, propagation_wait=0.0, hold=3.0, warm=7, direct=False, force=True, epoch=4)
    arguments = SwitchArguments(kind=OperationKind.ROLLBACK, part=Part.WRITES, choices=made)
    assert SwitchArguments.read(arguments.written()) == arguments
    early = {"verb": "cutover", "scope": "writes"}
    assert SwitchArguments.read(early).choices == Choices(direct=True), "what it did when it stored no such choice"


@pytest.mark.long
def test_copy_looks_often_while_the_operation_says_that_clients_are_about_to_wait(live, chefs, monkeypatch):
    records = Records(live.clients.dynamodb, live.target.journal_table, ENTITY)
    seen: list[tuple[str, bool]] = []
    real = SwitchRun.queue_short

    def looking(run):
        state = live.journal.state(ENTITY)
        seen.append((state.operation.step, records.read().attends))
        return real(run)

    monkeypatch.setattr(SwitchRun, "queue_short", looking)
    assert not records.read().attends
    switch(live, "cutover").execute()
    assert set(seen) == {("catch-up", True)}
    assert not records.read().attends
