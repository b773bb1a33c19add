"""The gate: whom it asks in each phase, what it holds, and that its count says which requests are inside."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from functions.api.http_api import FENCED_HEADER
from functions.api.store import UnavailableError
from functions.domain import names
from functions.gate.gate import GateRecord, NotStartedError, WriteGate, WriterFunction

CREATED = {"statusCode": 201, "headers": {}, "body": "{}"}
FENCED = {"statusCode": 503, "headers": {FENCED_HEADER.lower(): "1"}, "body": "{}"}
EVENT = {"httpMethod": "POST", "path": "/chefs"}


@dataclass
class Journal:
    """The gate's record in the sandbox's journal, for an entity that is this test's own."""

    client: Any
    table: str
    entity: str = field(default_factory=lambda: f"e{uuid.uuid4().hex}")

    @property
    def phases(self) -> GateRecord:
        return GateRecord(self.client, self.table, self.entity)

    @property
    def _key(self) -> dict[str, Any]:
        return {"entity": {"S": self.entity}, "record": {"S": names.GATE_RECORD}}

    def enter(self, phase: str) -> None:
        self.client.update_item(
            TableName=self.table,
            Key=self._key,
            UpdateExpression="SET #p = :p",
            ExpressionAttributeNames={"#p": "phase"},
            ExpressionAttributeValues={":p": {"S": phase}},
        )

    def inflight(self) -> int:
        item = self.client.get_item(TableName=self.table, Key=self._key, ConsistentRead=True)["Item"]
        return int(item["inflight"]["N"])


@dataclass
class Busy:
    """DynamoDB as it is while another transaction holds the record, for some calls."""

    client: Any
    times: int
    code: str = "TransactionConflictException"

    def update_item(self, **given: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "UpdateItem")
        return self.client.update_item(**given)


@dataclass
class Looks:
    """The journal, and how often it was asked for the phase."""

    phases: GateRecord
    looks: int = 0

    def now(self) -> str:
        self.looks += 1
        return self.phases.now()

    def enter(self, phase: str) -> bool:
        return self.phases.enter(phase)

    def leave(self) -> None:
        self.phases.leave()


@pytest.fixture
def journal(sandbox):
    return Journal(sandbox.client("dynamodb"), sandbox.outputs["journalTable"])


def _gate(journal, legacy=None, modern=None, limit=10.0) -> WriteGate:
    def never(_event):
        pytest.fail("the other system was asked")

    return WriteGate(phases=journal.phases, legacy=legacy or never, modern=modern or never, limit=limit)


def test_without_a_record_and_in_phase_legacy_it_asks_legacy(journal):
    gate = _gate(journal, legacy=lambda event: {**CREATED, "event": event})
    assert gate(EVENT) == {**CREATED, "event": EVENT}
    journal.enter("legacy")
    assert gate(EVENT)["event"] == EVENT


@pytest.mark.parametrize("phase", ["modern", "complete"])
def test_in_phase_modern_it_asks_modern_and_counts_in_and_out(journal, phase):
    journal.enter(phase)
    inside = []
    gate = _gate(journal, modern=lambda _: inside.append(journal.inflight()) or CREATED)
    assert gate(EVENT) == CREATED
    assert (inside, journal.inflight()) == ([1], 0)


def test_a_failing_writer_is_counted_out_too(journal):
    journal.enter("modern")

    def fail(_event):
        raise UnavailableError(maybe_written=True)

    with pytest.raises(UnavailableError) as raised:
        _gate(journal, modern=fail)(EVENT)
    assert raised.value.maybe_written
    assert journal.inflight() == 0


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

    def now():
        found = inner()
        looked.set()
        return found

    phases.now = now
    gate = WriteGate(phases=phases, legacy=lambda _: {"by": "legacy"}, modern=lambda _: {"by": "modern"}, limit=30)
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
    assert journal.inflight() == 0


def test_no_request_gets_in_once_the_phase_has_left_modern(journal):
    journal.enter("modern")
    phases = journal.phases
    assert phases.now() == "modern"
    journal.enter("returning")
    assert not phases.enter("modern")


def test_a_503_of_another_cause_is_passed_on_as_it_is(journal):
    asleep = {"statusCode": 503, "headers": {"Retry-After": "5"}, "body": "{}"}
    assert _gate(journal, legacy=lambda _: asleep)(EVENT) == asleep


def test_a_busy_record_is_counted_out_all_the_same(journal):
    journal.enter("modern")
    assert journal.phases.enter("modern")
    phases = GateRecord(Busy(journal.client, times=3), journal.table, journal.entity)
    phases.leave()
    assert journal.inflight() == 0


def test_a_count_whose_answer_was_lost_is_not_made_again(journal):
    journal.enter("modern")
    assert journal.phases.enter("modern")
    with pytest.raises(ClientError):
        GateRecord(Busy(journal.client, times=1, code="InternalServerError"), journal.table, journal.entity).leave()
    assert journal.inflight() == 1


def test_in_phase_modern_it_looks_at_the_phase_only_when_that_does_not_hold_any_more(journal):
    journal.enter("modern")
    counting = Looks(journal.phases)
    gate = WriteGate(phases=counting, legacy=lambda _: CREATED, modern=lambda _: CREATED, limit=10.0)
    assert [gate(EVENT) for _ in range(3)] == [CREATED] * 3
    assert counting.looks == 1
    journal.enter("legacy")
    asked = []
    gate.legacy = lambda event: asked.append(event) or CREATED
    assert gate(EVENT) == CREATED
    assert (asked, counting.looks) == ([EVENT], 2)
    assert journal.inflight() == 0


def test_getting_ready_starts_no_function_and_bears_a_lambda_that_does_not_answer():
    class Client:
        asked: ClassVar[list[dict[str, str]]] = []

        def invoke(self, **given):
            self.asked.append(given)
            raise ClientError({"Error": {"Code": "ServiceException", "Message": "x"}}, "Invoke")

    WriterFunction(Client(), "writer").get_ready()
    assert Client.asked == [{"FunctionName": "writer", "InvocationType": "DryRun"}]
