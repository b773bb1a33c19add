"""Writes go over and come back on a whole system: what is held, what is put back, what each side has at the end."""

from __future__ import annotations

import threading
import time

import pytest

from functions.domain import names
from runbook import crossing, returning
from runbook import target as targets
from runbook.context import Context
from runbook.errors import FailedError, PreconditionError
from runbook.fence import Control, Fence
from runbook.http import path
from runbook.journal import Phase
from runbook.parts import Choices
from runbook.routing import Side
from runbook.services import copying, gates, verify
from runbook.services import init as init_service
from runbook.services.copying import Limits
from runbook.services.switching import Scope, Switch

ENTITY = "chefs"
QUICK = Choices(settle=0.0, warm=1)
FORCED = Choices(settle=0.0, warm=1, force=True)
PATIENCE = 60.0


@pytest.fixture(scope="module")
def road(sandbox):
    """The context of the shared sandbox, with copy running and caught up."""
    context = Context.of(targets.parse(sandbox.outputs, "the sandbox"))
    init_service.run(context)
    entity = context.target.entity(ENTITY)
    copying.start(context, entity, Limits(), again=False)
    _until(lambda: not [check for check in gates.copied(context, entity)[:-1] if not check.ok])
    yield context
    _back(context)
    copying.stop(context, entity)


@pytest.fixture
def chefs(road):
    """The entity on legacy, both sides found equal; it is back there at the end, whatever happened."""
    entity = road.target.entity(ENTITY)
    _back(road)
    assert verify.run(road, entity, verify.Options()).clean
    yield entity
    _back(road)


def _back(context: Context) -> None:
    _switch(context, "rollback", Scope.BOTH).execute()


def _switch(context: Context, verb: str, scope: Scope = Scope.WRITES, choices: Choices = QUICK) -> Switch:
    return Switch(context, context.target.entity(ENTITY), verb, scope, choices)


def _until(holds) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _control(context: Context) -> Control:
    return Fence(context, context.target.entity(ENTITY)).control()


def _stands(context: Context) -> tuple[Phase, Side | None, bool]:
    entity = context.target.entity(ENTITY)
    return (
        context.journal.state(ENTITY).phase,
        context.routing.routes(entity).writes,
        _control(context).fenced,
    )


LEGACY, MODERN = (Phase.LEGACY, Side.LEGACY, False), (Phase.MODERN, Side.MODERN, True)


def _write(context: Context, name: str, key: str = "", system: str = "") -> str:
    where = path(*[part for part in (system, ENTITY, key) if part])
    answer = context.api.request("PUT" if key else "POST", where, {"firstName": name, "lastName": "x"})
    assert answer.status in {200, 201}, answer
    return answer.body["id"]


def _name(context: Context, system: str, key: str) -> str | None:
    answer = context.api.get(path(system, ENTITY, key))
    return answer.body["firstName"] if answer.status == 200 else None


def test_over_back_and_over_again_and_what_was_written_is_on_both_sides(road, chefs):
    before = _write(road, "before")
    assert _switch(road, "cutover").execute().changed
    assert _stands(road) == MODERN
    _write(road, "on modern", before)
    new = _write(road, "born on modern")
    generation = _control(road).generation
    assert _switch(road, "rollback").execute().changed
    assert _stands(road) == LEGACY
    assert _control(road) == Control(fenced=False, legacy_stamp=generation + 1, generation=generation + 1)
    assert [_name(road, "aurora", key) for key in (before, new)] == ["on modern", "born on modern"]
    _write(road, "on legacy again", new)
    assert road.api.request("DELETE", path(ENTITY, before)).status == 204
    assert _switch(road, "cutover").execute().changed
    assert [_name(road, "dynamo", key) for key in (before, new)] == [None, "on legacy again"]
    _write(road, "on modern again", new)
    assert verify.run(road, chefs, verify.Options()).clean
    assert road.api.request("DELETE", path(ENTITY, new)).status == 204


def test_a_request_that_comes_while_writes_are_held_is_answered_by_the_winner(road, chefs, monkeypatch):
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_write(road, "held")))
    real = crossing._demand_equal

    def slowly(parts, keys, settle):
        if not settle:  # while clients are held
            thread.start()
            time.sleep(0.5)
        real(parts, keys, settle)

    monkeypatch.setattr(crossing, "_demand_equal", slowly)
    _switch(road, "cutover").execute()
    thread.join()
    assert _name(road, "dynamo", answers[0]) == "held"
    _until(lambda: _name(road, "aurora", answers[0]) == "held")


@pytest.mark.parametrize("step", ["fence", "drain", "compare-last"])
def test_what_fails_while_writes_are_held_puts_everything_back(road, chefs, monkeypatch, step):
    def fail(*_):
        raise FailedError("the lights went out")

    held: list[str] = []
    real = Fence.raise_

    def late(fence):
        real(fence)
        fail()

    patches = {
        "fence": (Fence, "raise_", late),
        "drain": (Fence, "queue_empty", fail),
        "compare-last": (crossing, "_demand_equal", lambda parts, keys, settle: None if settle else fail()),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*patches[step])
        with pytest.raises(PreconditionError, match="the lights went out"):
            _switch(road, "cutover").execute()
    assert _stands(road) == LEGACY
    held.append(_write(road, "still legacy"))
    assert _name(road, "aurora", held[0]) == "still legacy"
    assert road.api.request("DELETE", path("aurora", ENTITY, held[0])).status == 204


def test_a_queue_that_stays_full_puts_everything_back_in_time(road, chefs, monkeypatch):
    monkeypatch.setattr(crossing, "NUDGE", 0.05)
    monkeypatch.setattr(Fence, "queue_empty", lambda _: False)
    with pytest.raises(PreconditionError, match="copying the last rows took more than 1 s"):
        _switch(road, "cutover", choices=Choices(settle=0.0, warm=0, hold=1.0)).execute()
    assert _stands(road) == LEGACY


def test_a_difference_puts_everything_back(road, chefs):
    key = _write(road, "true", system="aurora")
    _until(lambda: _name(road, "dynamo", key) == "true")
    place = {road.target.mapping[ENTITY].modern.key: {"S": key}}
    road.clients.dynamodb.update_item(
        TableName=chefs.modern_table,
        Key=place,
        UpdateExpression="SET firstName = :name",
        ExpressionAttributeValues={":name": {"S": "false"}},
    )  # with copy's mark still on it, so the bridge leaves it alone
    crossing_settle = crossing.SETTLE
    crossing.SETTLE = 0.5
    try:
        with pytest.raises(PreconditionError, match=f"differ: {key}"):
            _switch(road, "cutover").execute()
    finally:
        crossing.SETTLE = crossing_settle
    assert _stands(road) == LEGACY
    assert road.api.request("DELETE", path("aurora", ENTITY, key)).status == 204
    _until(lambda: _name(road, "dynamo", key) is None)


def test_a_way_back_that_the_bridge_blocks_is_put_back_and_force_goes_at_once(road, chefs, monkeypatch):
    _switch(road, "cutover").execute()
    kept, changed = _write(road, "kept"), _write(road, "first")
    _until(lambda: _name(road, "aurora", changed) == "first")
    functions = road.clients.functions
    functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=False)
    try:
        _until(
            lambda: functions.get_event_source_mapping(UUID=chefs.bridge_mapping_id)["State"] == "Disabled"
        )
        _write(road, "late", changed)
        _write(road, "late", kept)
        monkeypatch.setattr(gates, "of", lambda *_: [])
        with pytest.raises(PreconditionError, match="has not applied 2 changes"):
            _switch(road, "rollback", choices=Choices(settle=0.0, warm=0, patience=1.0)).execute()
        assert _stands(road) == MODERN
        assert _switch(road, "rollback", choices=FORCED).execute().changed
        assert _stands(road) == LEGACY
        _write(road, "legacy", changed)
    finally:
        functions.update_event_source_mapping(UUID=chefs.bridge_mapping_id, Enabled=True)
    _until(lambda: _name(road, "aurora", kept) == "late")
    assert _name(road, "aurora", changed) == "legacy"
    entry = {"entity": {"S": ENTITY}, "item_key": {"S": changed}}
    quarantine = {"TableName": road.target.quarantine_table, "Key": entry}
    _until(lambda: "Item" in road.clients.dynamodb.get_item(**quarantine))
    parked = road.clients.dynamodb.get_item(**quarantine)["Item"]
    assert parked["reason"]["S"].startswith("conflict:")
    _until(lambda: _name(road, "dynamo", changed) == "legacy")
    road.clients.dynamodb.delete_item(**quarantine)
    assert verify.run(road, chefs, verify.Options()).clean


def test_a_request_that_was_never_counted_out_delays_the_way_back_but_does_not_bar_it(
    road, chefs, monkeypatch
):
    monkeypatch.setattr(returning, "WRITER_LIMIT", 0.5)
    _switch(road, "cutover").execute()
    road.clients.dynamodb.update_item(
        TableName=road.target.journal_table,
        Key={"entity": {"S": ENTITY}, "record": {"S": names.GATE_RECORD}},
        UpdateExpression="ADD inflight :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert _switch(road, "rollback").execute().changed
    assert _stands(road) == LEGACY


def test_without_copy_or_a_recent_verify_the_gates_are_closed(road, chefs):
    copying.stop(road, chefs)
    try:
        with pytest.raises(PreconditionError, match="copy is stopped"):
            _switch(road, "cutover").execute()
    finally:
        copying.start(road, chefs, Limits(), again=False)
    road.clients.dynamodb.delete_item(
        TableName=road.target.journal_table,
        Key={"entity": {"S": ENTITY}, "record": {"S": names.VERIFIED_RECORD}},
    )
    plan = _switch(road, "cutover").plan()
    assert [check.name for check in plan.gates if not check.ok] == ["last verify"]


def test_a_plan_tells_each_step_and_what_undoes_it(road, chefs):
    plan = _switch(road, "cutover").plan()
    assert [step.name for step in plan.steps] == [
        "compare",
        "gate",
        "catch-up",
        "phase-switching",
        "fence",
        "drain",
        "compare-last",
        "phase-modern",
        "route",
    ]
    undone = {step.name: step.unsays for step in plan.steps if step.unsays}
    assert list(undone) == ["gate", "phase-switching", "fence"]
    assert [step.name for step in plan.steps if step.commit] == ["phase-modern"]
    assert _stands(road) == LEGACY


def test_choices_survive_the_journal():
    made = Choices(patience=1.5, settle=0.0, hold=3.0, warm=7, force=True, generation=4)
    assert Choices.read({"verb": "cutover", **made.written()}) == made
    assert Choices.read({"verb": "cutover"}) == Choices()
