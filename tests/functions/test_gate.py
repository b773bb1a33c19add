"""The gate: whom it asks in each phase, what it holds, and that its count says which requests are inside."""

from __future__ import annotations

import io
import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.api.http_api import FENCED_HEADER
from functions.api.store import UnavailableError
from functions.aws import environment
from functions.domain import names
from functions.domain.phase import Phase
from functions.gate import handler
from functions.gate.gate import (
    MARGIN_SECONDS,
    GateRecords,
    NotStartedError,
    Stays,
    StillRunningError,
    WriteGate,
    WriterFunction,
    new_request,
)
from runbook.journal.journal import Journal as RunbookJournal

CREATED = {"statusCode": 201, "headers": {}, "body": "{}"}
FENCED = {"statusCode": 503, "headers": {FENCED_HEADER.lower(): "1"}, "body": "{}"}
STAYS = Stays.of(29, 28)
EVENT = {"httpMethod": "POST", "path": "/chefs"}


@dataclass
class Journal:
    """The gate's records in the sandbox's journal, for an entity that is this test's own."""

    client: Any
    table: str
    entity: str = field(default_factory=lambda: f"e{uuid.uuid4().hex}")
    turns: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def phases(self) -> GateRecords:
        return GateRecords(self.client, self.table, self.entity)

    def enter(self, phase: str) -> None:
        assert RunbookJournal(self.client, self.table).gate_obeys(self.entity, Phase(phase), next(self.turns))

    def inside(self) -> int:
        return len(RunbookJournal(self.client, self.table).inside(self.entity))


@dataclass
class Busy:
    """DynamoDB as it is while it is busy, for some calls."""

    client: Any
    times: int
    code: str = "ThrottlingException"

    def update_item(self, **given: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "UpdateItem")
        return self.client.update_item(**given)


@dataclass
class Looks:
    """The journal, and how often it was asked for the phase."""

    phases: GateRecords
    looks: int = 0

    def now(self, request: str) -> Phase:
        self.looks += 1
        return self.phases.now(request)

    def enter(self, request: str, phase: Phase, seconds: float, *, read: bool) -> bool:
        return self.phases.enter(request, phase, seconds, read=read)

    def leave(self, request: str) -> None:
        self.phases.leave(request)


@pytest.fixture
def journal(sandbox):
    return Journal(sandbox.client("dynamodb"), sandbox.outputs["journalTable"])


def _gate(journal, legacy=None, modern=None, limit=10.0) -> WriteGate:
    def never(_event):
        pytest.fail("the other system was asked")

    return WriteGate(phases=journal.phases, legacy=legacy or never, modern=modern or never, stays=STAYS, limit=limit)


def test_without_a_record_and_in_phase_legacy_it_asks_legacy(journal):
    gate = _gate(journal, legacy=lambda event: {**CREATED, "event": event})
    assert gate(EVENT) == {**CREATED, "event": EVENT}
    journal.enter("legacy")
    assert gate(EVENT)["event"] == EVENT


@pytest.mark.parametrize("phase", ["legacy", "modern", "complete"])
def test_in_each_phase_that_lets_in_it_counts_in_and_out(journal, phase):
    journal.enter(phase)
    inside = []

    def writer(_event):
        inside.append(journal.inside())
        return CREATED

    gate = _gate(journal, **{"legacy" if phase == "legacy" else "modern": writer})
    assert gate(EVENT) == CREATED
    assert (inside, journal.inside()) == ([1], 0)


def test_a_failing_writer_is_counted_out_too(journal):
    journal.enter("modern")

    def fail(_event):
        raise UnavailableError(maybe_written=True)

    with pytest.raises(UnavailableError) as raised:
        _gate(journal, modern=fail)(EVENT)
    assert raised.value.maybe_written
    assert journal.inside() == 0


def test_a_phase_that_it_remembers_does_not_count_where_the_journal_was_made_anew(journal):
    journal.enter("modern")
    asked = []
    gate = _gate(journal, legacy=lambda _: asked.append("legacy") or CREATED, modern=lambda _: CREATED)
    gate(EVENT)
    for key in names.gate_keys(journal.entity):
        journal.client.delete_item(TableName=journal.table, Key=key)
    gate(EVENT)
    assert asked == ["legacy"]


@pytest.mark.parametrize("minutes", [-5, 5])
def test_with_a_clock_that_is_wrong_a_request_counts_for_its_time_and_no_longer(journal, monkeypatch, minutes):
    journal.enter("modern")
    real, seen = time.time, []
    phases = journal.phases

    def modern(_event):
        monkeypatch.setattr(time, "time", real)
        seen.append(journal.inside())
        monkeypatch.setattr(time, "time", lambda: real() + 60 * minutes)
        seen.append(journal.inside())
        return CREATED

    monkeypatch.setattr(time, "time", lambda: real() + 60 * minutes)
    gate = WriteGate(phases=phases, legacy=modern, modern=modern, stays=STAYS, limit=1.0)
    gate(EVENT)
    assert seen == [1, 1]
    request = new_request()
    assert phases.enter(request, Phase.MODERN, -MARGIN_SECONDS, read=True)
    monkeypatch.setattr(time, "time", real)
    assert journal.inside() == 0


@pytest.mark.parametrize("phase", ["switching", "returning"])
def test_between_the_phases_it_gives_up_after_its_limit_with_nothing_written(journal, phase):
    journal.enter(phase)
    with pytest.raises(UnavailableError) as raised:
        _gate(journal, limit=0.05)(EVENT)
    assert not raised.value.maybe_written


@pytest.mark.parametrize(
    ("first", "then", "winner"), [("switching", "modern", "modern"), ("returning", "legacy", "legacy")]
)
def test_what_is_held_goes_to_the_winner(journal, first, then, winner):
    journal.enter(first)
    looked, answers = threading.Event(), []
    phases = journal.phases
    inner = phases.now

    def now(request):
        found = inner(request)
        looked.set()
        return found

    phases.now = now
    gate = WriteGate(
        phases=phases, legacy=lambda _: {"by": "legacy"}, modern=lambda _: {"by": "modern"}, stays=STAYS, limit=30
    )
    thread = threading.Thread(target=lambda: answers.append(gate(EVENT)))
    thread.start()
    assert looked.wait(10)
    journal.enter(then)
    thread.join(10)
    assert answers == [{"by": winner}]


def test_what_the_fence_refused_is_held_and_asked_again(journal):
    journal.enter("legacy")
    asked = []

    def legacy(_event):
        asked.append(1)
        if len(asked) == 2:
            journal.enter("modern")
        return FENCED

    assert _gate(journal, legacy=legacy, modern=lambda _: CREATED)(EVENT) == CREATED
    assert len(asked) == 2


def test_a_writer_that_takes_nothing_now_is_asked_again(journal):
    journal.enter("modern")
    asked = []

    def modern(_event):
        asked.append(1)
        if len(asked) == 1:
            raise NotStartedError
        return CREATED

    assert _gate(journal, modern=modern)(EVENT) == CREATED
    assert journal.inside() == 0


def test_no_request_gets_in_once_the_phase_has_changed(journal):
    for before, after in (("legacy", "switching"), ("modern", "returning")):
        journal.enter(before)
        phases, requests = journal.phases, [new_request() for _ in range(40)]
        assert {phases.now(request) for request in requests} == {before}
        journal.enter(after)
        assert not any(phases.enter(request, Phase(before), 60, read=True) for request in requests)


def test_a_phase_of_an_earlier_change_reaches_no_record_any_more(journal):
    journal.enter("legacy")
    records = RunbookJournal(journal.client, journal.table)
    assert records.gate_obeys(journal.entity, Phase.LEGACY, 9)
    assert not records.gate_obeys(journal.entity, Phase.MODERN, 8)
    assert {journal.phases.now(new_request()) for _ in range(40)} == {"legacy"}


def test_requests_are_spread_over_every_record(journal):
    for _ in range(200):
        assert journal.phases.enter(new_request(), Phase.LEGACY, 60, read=True)
    assert journal.inside() == 200
    found = [
        journal.client.get_item(TableName=journal.table, Key=key)["Item"] for key in names.gate_keys(journal.entity)
    ]
    assert len(found) == names.GATE_RECORDS


def test_the_record_of_an_earlier_version_says_the_phase_until_the_first_change(journal):
    key = {"entity": {"S": journal.entity}, "record": {"S": names.GATE_RECORD}}
    journal.client.put_item(TableName=journal.table, Item={**key, "phase": {"S": "modern"}, "inflight": {"N": "-1"}})
    assert _gate(journal, modern=lambda _: CREATED)(EVENT) == CREATED
    journal.enter("legacy")
    assert _gate(journal, legacy=lambda _: CREATED)(EVENT) == CREATED


def test_a_count_out_of_an_earlier_switch_changes_nothing(journal):
    """A gate that stood still over a whole switch leaves when another request is inside."""
    sleeper, other = new_request(), new_request()
    for phase in ("modern", "returning", "legacy", "switching", "modern"):
        journal.enter(phase)
        if journal.inside() == 0:
            assert journal.phases.enter(sleeper, Phase.MODERN, 60, read=True)
    assert journal.phases.enter(other, Phase.MODERN, 60, read=True)
    journal.phases.leave(sleeper)
    journal.phases.leave(sleeper)
    assert journal.inside() == 1


def test_a_request_whose_gate_died_counts_until_its_time_has_passed_and_is_then_forgotten(journal):
    dead, alive = new_request(), new_request()
    while names.gate_key_of(journal.entity, alive) != names.gate_key_of(journal.entity, dead):
        alive = new_request()
    assert journal.phases.enter(dead, Phase.LEGACY, 60, read=True)
    assert journal.inside() == 1
    assert journal.phases.enter(dead, Phase.LEGACY, -2, read=True)
    assert journal.inside() == 0
    assert journal.phases.enter(alive, Phase.LEGACY, 60, read=True)
    journal.phases.leave(alive)
    item = journal.client.get_item(TableName=journal.table, Key=names.gate_key_of(journal.entity, dead))["Item"]
    assert item.keys() == {"entity", "record", "phase"}


def test_a_writer_that_gave_no_answer_may_still_run_and_stays_counted(journal):
    class Client:
        def invoke(self, **_):
            raise ReadTimeoutError(endpoint_url="x")

    journal.enter("modern")
    with pytest.raises(StillRunningError) as raised:
        _gate(journal, modern=WriterFunction(Client(), "writer"))(EVENT)
    assert (raised.value.maybe_written, journal.inside()) == (True, 1)


@pytest.mark.parametrize("payload", [b"null", b"[]", b'"done"', b"7"])
@pytest.mark.parametrize("phase", ["legacy", "modern"])
def test_a_writer_that_answers_nothing_to_api_gateway_is_asked_once_because_it_may_have_written(
    journal, phase, payload
):
    asked = []

    class Client:
        def invoke(self, **_):
            asked.append(1)
            return {"Payload": io.BytesIO(payload)}

    journal.enter(phase)
    with pytest.raises(UnavailableError) as raised:
        _gate(journal, **{phase: WriterFunction(Client(), "writer")})(EVENT)
    assert (raised.value.maybe_written, asked, journal.inside()) == (True, [1], 0)


@pytest.mark.parametrize(("adopted", "legacy"), [(False, 35.0), (True, 935.0)])
def test_a_request_in_an_adopted_legacy_writer_counts_until_that_cannot_write_any_more(monkeypatch, adopted, legacy):
    """Streamback's own says that the fence refused it; an adopted one answers as it likes."""
    described = SimpleNamespace(contract=object() if adopted else None)
    monkeypatch.setattr(environment, "mapping", lambda: {"orders": described})
    monkeypatch.setattr(handler, "functions", lambda: None)
    monkeypatch.setattr(handler, "dynamodb", lambda: None)
    given = {"OWN_TIMEOUT": "29", "MODERN_WRITE_TIMEOUT": "60", "LEGACY_WRITE_TIMEOUT": "900", "JOURNAL_TABLE": "j"}
    given |= {"LEGACY_WRITE_FUNCTION": "old", "MODERN_WRITE_FUNCTIONS": '{"orders": "new"}'}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert handler._gate.__wrapped__("orders").stays == Stays(legacy=legacy, modern=95.0)


def test_a_503_of_another_cause_is_passed_on_as_it_is(journal):
    asleep = {"statusCode": 503, "headers": {"Retry-After": "5"}, "body": "{}"}
    assert _gate(journal, legacy=lambda _: asleep)(EVENT) == asleep


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_count_is_made_again_until_it_is_there(journal, code):
    journal.enter("modern")
    request = new_request()
    assert journal.phases.enter(request, Phase.MODERN, 60, read=True)
    GateRecords(Busy(journal.client, times=3, code=code), journal.table, journal.entity).leave(request)
    assert journal.inside() == 0


def test_in_phase_modern_it_looks_at_the_phase_only_when_that_does_not_hold_any_more(journal):
    journal.enter("modern")
    counting = Looks(journal.phases)
    gate = WriteGate(phases=counting, legacy=lambda _: CREATED, modern=lambda _: CREATED, stays=STAYS, limit=10.0)
    assert [gate(EVENT) for _ in range(3)] == [CREATED] * 3
    assert counting.looks == 1
    journal.enter("legacy")
    asked = []
    gate.legacy = lambda event: asked.append(event) or CREATED
    assert gate(EVENT) == CREATED
    assert (asked, counting.looks) == ([EVENT], 2)
    assert journal.inside() == 0


def test_getting_ready_starts_no_function_and_bears_a_lambda_that_does_not_answer():
    class Client:
        asked: ClassVar[list[dict[str, str]]] = []

        def invoke(self, **given):
            self.asked.append(given)
            raise ClientError({"Error": {"Code": "ServiceException", "Message": "x"}}, "Invoke")

    WriterFunction(Client(), "writer").get_ready()
    assert Client.asked == [{"FunctionName": "writer", "InvocationType": "DryRun"}]
