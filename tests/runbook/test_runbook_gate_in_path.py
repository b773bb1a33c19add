"""The gate in the path of public writes: no switch depends on a stage variable, and none of them loses a write."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from journal_states import long_at_the_gate
from killed import kill_self, killed
from writes_world import DIRECT, ENTITY, LEGACY, MODERN, bring_back, first_name, stands, switch, until, write

from functions.domain import names
from functions.domain.phase import Phase
from functions.gate.gate import GateRecords, new_request
from runbook.aws import lambda_calls
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.checks import routes as route_checks
from runbook.cutover import steps
from runbook.cutover.command import Scope
from runbook.cutover.fence import Fence
from runbook.cutover.steps import Choices, SwitchRun
from runbook.errors import PreconditionError
from runbook.journal.journal import Journal
from runbook.journal.lock import held
from runbook.stack import Context
from runbook.status import run as status
from sandbox.chaos.system import Arena

PAST_THE_GATE = (Phase.MODERN, Side.MODERN, True)


@pytest.fixture
def no_writer_past_the_gate(monkeypatch):
    """The wait for those has a test of its own."""
    monkeypatch.setattr(lambda_calls, "timeout_of", lambda *_: 0.0)


@pytest.fixture
def past_the_gate(live, chefs, no_writer_past_the_gate):
    """Writes are on modern, past the gate."""
    switch(live, "cutover", choices=DIRECT).execute()
    assert stands(live) == PAST_THE_GATE
    yield
    bring_back(live)
    long_at_the_gate(live, ENTITY)


def _gate(context: Context) -> GateRecords:
    return GateRecords(context.clients.dynamodb, context.target.journal_table, ENTITY)


def _read(context: Context, key: str) -> str | None:
    """What a client reads."""
    answer = context.api.get(path(ENTITY, key))
    return answer.body["firstName"] if answer.status == 200 else None


def test_no_switch_of_writes_changes_the_stage(live, chefs):
    changed: list[Any] = []
    event = "before-call.api-gateway.UpdateStage"
    live.clients.apigateway.meta.events.register(event, lambda **given: changed.append(given), unique_id="stage")
    try:
        for verb, there in (("cutover", MODERN), ("rollback", LEGACY)):
            assert switch(live, verb).execute().changed
            assert stands(live) == there
    finally:
        live.clients.apigateway.meta.events.unregister(event, unique_id="stage")
    assert changed == []


@pytest.mark.parametrize(
    ("side", "phase"), [(Side.MODERN, Phase.LEGACY), pytest.param(Side.MODERN, Phase.MODERN, marks=pytest.mark.long)]
)
def test_a_stage_variable_that_comes_late_moves_no_write(live, chefs, side, phase):
    """The last call of a cutover with --direct arrives when another operator has finished it and rolled it back."""
    if phase == Phase.MODERN:
        switch(live, "cutover").execute()
    live.routing.route(chefs, Routes(writes=side))
    truth, other = ("aurora", "dynamo") if phase == Phase.LEGACY else ("dynamo", "aurora")
    made = live.api.request("POST", path(ENTITY), {"firstName": "late", "lastName": "x"})
    assert made.status == 201, made
    assert first_name(live, truth, made.body["id"]) == "late"
    until(lambda: first_name(live, other, made.body["id"]) == "late")
    assert live.api.request("DELETE", path(ENTITY, made.body["id"])).status == 204
    assert not live.journal.inside(ENTITY)
    live.routing.route(chefs, Routes(writes=Side.GATE))


def test_a_legacy_route_that_comes_late_writes_nothing_while_modern_is_the_truth(live, chefs):
    switch(live, "cutover").execute()
    live.routing.route(chefs, Routes(writes=Side.LEGACY))
    made = live.api.once("POST", path(ENTITY), {"firstName": "late", "lastName": "x"})
    assert (made.status, made.body["outcome"]) == (503, "nothing_written")
    live.routing.route(chefs, Routes(writes=Side.GATE))


@pytest.mark.long
def test_a_write_that_stood_still_past_the_gate_for_a_whole_rollback_is_where_clients_read(
    live, sandbox, chefs, past_the_gate
):
    key = write(live, "first")
    workers = Arena(sandbox, ENTITY, lambda _: None).workers(frozenset({chefs.write_function}))
    assert workers
    late = threading.Thread(target=lambda: write(live, "late", key))
    for worker in workers:
        worker.suspend()
    try:
        late.start()
        switch(live, "rollback").execute()
        assert stands(live) == LEGACY
    finally:
        for worker in workers:
            worker.resume()
    late.join(30)
    assert [_read(live, key), first_name(live, "aurora", key)] == ["late", "late"]


def test_a_request_inside_a_writer_past_the_gate_stops_a_rollback_until_it_has_left(
    live, chefs, past_the_gate, monkeypatch
):
    request, real = new_request(), SwitchRun._enter

    def enter(run, to):
        if to.target == Phase.RETURNING and not live.journal.inside(ENTITY):
            assert _gate(live).enter(request, Phase.MODERN, 60, read=True)
        real(run, to)

    shortly = Choices(propagation_wait=0.0, warm=0, hold=1.0, reads_stay=True)
    with monkeypatch.context() as patched:
        patched.setattr(SwitchRun, "_enter", enter)
        with pytest.raises(PreconditionError, match="requests inside modern's writer took more than 1 s"):
            switch(live, "rollback", choices=shortly).execute()
    assert stands(live) == MODERN
    _gate(live).leave(request)
    assert switch(live, "rollback").execute().changed


def test_no_request_through_the_gate_meets_the_fence(live, chefs, monkeypatch):
    request, real, raised = new_request(), SwitchRun.queue_short, []

    def short(run):
        if not live.journal.inside(ENTITY):
            assert _gate(live).enter(request, Phase.LEGACY, 60, read=True)
        return real(run)

    monkeypatch.setattr(SwitchRun, "queue_short", short)
    monkeypatch.setattr(Fence, "raise_", lambda _: raised.append(1))
    with pytest.raises(PreconditionError, match="requests inside legacy's writer took more than 1 s"):
        switch(live, "cutover", choices=Choices(propagation_wait=0.0, warm=0, hold=1.0, reads_stay=True)).execute()
    assert (raised, stands(live)) == ([], LEGACY)
    _gate(live).leave(request)


@pytest.mark.long
def test_before_the_first_cutover_of_an_older_installation_the_gate_comes_first_and_requests_pass(
    live, chefs, monkeypatch
):
    live.clients.dynamodb.update_item(
        TableName=live.target.journal_table,
        Key={"entity": {"S": ENTITY}, "record": {"S": "state"}},
        UpdateExpression="REMOVE gated, gated_since, turn",
    )
    for key in names.gate_keys(ENTITY):
        live.clients.dynamodb.delete_item(TableName=live.target.journal_table, Key=key)
    live.routing.route(chefs, Routes(writes=Side.LEGACY))
    monkeypatch.setattr(lambda_calls, "timeout_of", lambda *_: 1.5)
    passed, real = [], SwitchRun._outlast

    def outlast(run, past):
        assert live.routing.routes(chefs).writes == Side.GATE
        thread = threading.Thread(target=lambda: passed.append(write(live, "passes")))
        thread.start()
        real(run, past)
        assert time.time() >= live.journal.state(ENTITY).gated_since + 0.5 + steps.API_SECONDS
        thread.join()
        assert live.journal.state(ENTITY).phase == Phase.LEGACY

    monkeypatch.setattr(SwitchRun, "_outlast", outlast)
    assert switch(live, "cutover", choices=Choices(propagation_wait=0.5, warm=0, reads_stay=True)).execute().changed
    assert (stands(live), len(passed)) == (MODERN, 1)
    assert live.journal.state(ENTITY).gated
    long_at_the_gate(live, ENTITY)


@pytest.mark.long
def test_a_rollback_from_past_the_gate_waits_for_modern_writers_own_timeout(live, chefs, past_the_gate, monkeypatch):
    waited, real = [], SwitchRun._outlast
    monkeypatch.setattr(lambda_calls, "timeout_of", lambda _, function: waited.append(function) or 1.0)

    def outlast(run, past):
        real(run, past)
        assert time.time() >= live.journal.state(ENTITY).gated_since + 1.0

    monkeypatch.setattr(SwitchRun, "_outlast", outlast)
    assert switch(live, "rollback").execute().changed
    assert (waited, stands(live)) == ([chefs.write_function], LEGACY)


@pytest.mark.parametrize("verb", ["rollback", pytest.param("cutover", marks=pytest.mark.long)])
def test_a_route_that_something_else_changed_is_shown_and_put_right(live, chefs, verb):
    if verb == "cutover":
        switch(live, "cutover").execute()
    before = stands(live)
    live.routing.route(chefs, Routes(writes=Side.LEGACY))
    assert not status(live, chefs, send_heartbeat=False, exact=False).agree
    check = route_checks.writes(live, chefs, live.journal.state(ENTITY))
    assert (check.ok, check.value, check.limit) == (False, "→ legacy", "→ gate")
    assert f"`runbook {verb} writes --entity chefs --execute`" in check.remedy
    assert [step.name for step in switch(live, verb).plan().steps] == ["route"]
    assert switch(live, verb).execute().changed
    assert stands(live) == before
    assert route_checks.writes(live, chefs, live.journal.state(ENTITY)).ok
    assert status(live, chefs, send_heartbeat=False, exact=False).agree
    long_at_the_gate(live, ENTITY)


def test_past_the_gate_and_back_without_a_switch(live, chefs, no_writer_past_the_gate):
    switch(live, "cutover").execute()
    assert switch(live, "cutover", choices=DIRECT).execute().changed
    assert stands(live) == PAST_THE_GATE
    assert not switch(live, "cutover", choices=DIRECT).execute().changed
    assert status(live, chefs, send_heartbeat=False, exact=False).agree
    assert switch(live, "cutover").execute().changed
    assert stands(live) == MODERN
    long_at_the_gate(live, ENTITY)


@pytest.mark.parametrize("at", [pytest.param(Phase.LEGACY, marks=pytest.mark.long), Phase.RETURNING])
def test_wherever_a_rollback_of_both_is_killed_clients_read_what_was_acknowledged(live, chefs, at):
    switch(live, "cutover").execute()
    live.routing.send_reads(chefs, 100)
    with held(live.journal, ENTITY, "a test", "x") as lease:
        live.journal.write(lease.lock, ENTITY, {"reads": 100})
    key = write(live, "on modern")
    real_enter, real_lower = Journal.enter, Fence.lower

    def enter(journal, lock, entity, to):
        real_enter(journal, lock, entity, to)
        if at == Phase.LEGACY == to.target:
            kill_self()

    def lower(fence, epoch, **how):
        if at == Phase.RETURNING:
            kill_self()
        real_lower(fence, epoch, **how)

    def run() -> None:
        for client in vars(live.clients).values():
            if hasattr(client, "_endpoint"):
                client._endpoint.http_session.close()  # the connections are the parent's
        live.api._http.close()
        Journal.enter, Fence.lower = enter, lower
        switch(live, "rollback", Scope.BOTH).execute()

    assert killed(run)
    assert live.journal.state(ENTITY).phase == at
    assert _read(live, key) == "on modern"
    if at == Phase.LEGACY:
        write(live, "acknowledged", key)
        assert _read(live, key) == "acknowledged"
        switch(live, "rollback", Scope.BOTH).execute()
    else:
        done = switch(live, "cutover", Scope.READS).execute()
        assert (done.resumed.result, stands(live), done.changed) == ("undone", MODERN, False)
        assert (live.journal.state(ENTITY).reads, live.routing.reads_percent(chefs)) == (100, 100)
        write(live, "acknowledged", key)
        assert _read(live, key) == "acknowledged"
