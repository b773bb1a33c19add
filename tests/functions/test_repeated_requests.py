"""One request of a client takes effect at most once, whatever answer is lost on its way, in both systems."""

from __future__ import annotations

import json
import uuid
from weakref import WeakSet

import pytest
from botocore.exceptions import ClientError
from copying import Faulty, make_table
from unsure_calls import UnsureCalls

from functions.api.http_api import Contract, request_token, resolve
from functions.api.store import ConflictError, NotFoundError, UnavailableError, key_of_request
from functions.aws import data_api
from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import TransientError
from functions.domain.errors import InvalidFieldError
from functions.legacy.table import LegacyStore
from functions.modern import table as modern_table
from functions.modern.table import ModernStore
from runbook.aws.clients import Clients

ANA, ANJA, ZOE = ({"firstName": name, "lastName": "x"} for name in ("Ana", "Anja", "Zoe"))
WRITE, STATEMENT = "TransactWriteItems", "ExecuteStatement"


@pytest.fixture(scope="module")
def clients(prepared):
    return Clients(prepared.target)


@pytest.fixture(scope="module")
def chefs(prepared):
    return prepared.target.mapping["chefs"]


@pytest.fixture
def dynamodb(clients):
    """The client as the deployed writer has it: without the SDK's retries."""
    return clients.dynamodb_once


@pytest.fixture
def store(clients, chefs, dynamodb):
    """The store of a table of its own."""
    name = make_table(dynamodb, chefs.modern.key)
    yield ModernStore(chefs, dynamodb, name)
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def other(store, clients, chefs):
    """Another client's writer on the same table."""
    return ModernStore(chefs, clients.dynamodb, store._table)


@pytest.fixture(scope="module")
def sql(clients):
    """A Data API on the legacy table of some fixture, with a client that it has for itself."""

    def of(legacy) -> DataApi:
        target = clients.target
        place = (target.cluster_arn, target.master_secret_arn, legacy.entity.legacy.database)
        return DataApi(clients.rds_data, *place)

    return of


@pytest.fixture(scope="module")
def named(make_legacy):
    """A legacy table whose clients name the keys."""
    return make_legacy("chefs", key_type="string")


@pytest.fixture
def aurora(legacy, sql):
    return LegacyStore(legacy.entity, sql(legacy))


def request() -> str:
    return str(uuid.uuid4())


def count(store) -> int:
    return len(store.page(1000, "").records)


class TestModern:
    """Writes to DynamoDB: their outcome is known, because a repetition has the same token."""

    def test_a_create_whose_answer_is_lost_is_created_once_and_is_no_conflict(self, store, other, dynamodb):
        for key in (None, "cook"):
            with UnsureCalls(dynamodb, WRITE):
                made = store.create(key, ANA)
            assert other.get(made.key).fields == ANA
        assert count(store) == 2

    def test_a_create_that_another_client_has_deleted_since_stays_deleted(self, store, other, dynamodb):
        with UnsureCalls(dynamodb, WRITE, meanwhile=lambda: other.delete("cook")):
            assert store.create("cook", ANA).key == "cook"
        assert count(store) == 0

    def test_a_create_of_a_key_that_another_client_has_is_a_conflict_even_if_both_are_equal(self, store, other):
        other.create("cook", ANA)
        with pytest.raises(ConflictError):
            store.create("cook", ANA)

    def test_a_replace_whose_answer_is_lost_does_not_undo_a_newer_one(self, store, other, dynamodb):
        store.create("cook", ANA)
        with UnsureCalls(dynamodb, WRITE, meanwhile=lambda: other.replace("cook", ZOE)):
            assert store.replace("cook", ANJA).fields == ANJA
        assert other.get("cook").fields == ZOE

    def test_a_replace_of_what_another_client_has_deleted_since_succeeded(self, store, other, dynamodb):
        store.create("cook", ANA)
        with UnsureCalls(dynamodb, WRITE, meanwhile=lambda: other.delete("cook")):
            store.replace("cook", ANJA)
        assert count(store) == 0

    def test_a_delete_whose_answer_is_lost_succeeded(self, store, dynamodb):
        store.create("cook", ANA)
        with UnsureCalls(dynamodb, WRITE):
            store.delete("cook")
        assert count(store) == 0

    def test_a_delete_whose_answer_is_lost_leaves_what_another_client_has_created_since(self, store, other, dynamodb):
        store.create("cook", ANA)
        with UnsureCalls(dynamodb, WRITE, meanwhile=lambda: other.create("cook", ZOE)):
            store.delete("cook")
        assert other.get("cook").fields == ZOE

    @pytest.mark.parametrize("act", ["create", "replace", "delete"])
    def test_a_call_that_arrives_after_its_repetition_changes_nothing(self, store, other, dynamodb, act):
        if act != "create":
            store.create("cook", ANA)
        with UnsureCalls(dynamodb, WRITE, late=True) as late:
            getattr(store, act)("cook", *([] if act == "delete" else [ANJA]))
        other.create("cook", ZOE) if act == "delete" else other.replace("cook", ZOE)
        assert late.deliver() == [200]
        assert other.get("cook").fields == ZOE

    def test_a_refusal_after_a_call_in_doubt_is_no_answer(self, store, dynamodb):
        """The first call may arrive when the item is there: "not found" would be false then."""
        with UnsureCalls(dynamodb, WRITE, late=True), pytest.raises(UnavailableError) as refused:
            store.delete("cook")
        assert refused.value.maybe_written

    def test_without_any_answer_the_outcome_is_unknown(self, store, dynamodb, monkeypatch):
        monkeypatch.setattr(modern_table, "RETRY_SECONDS", 0.2)
        with UnsureCalls(dynamodb, WRITE, times=100) as lost, pytest.raises(UnavailableError) as unknown:
            store.create("cook", ANA)
        assert unknown.value.maybe_written
        assert lost.requests > 1
        assert count(store) == 1

    def test_a_request_that_reaches_the_writer_twice_takes_effect_once(self, store, other):
        first, second, third = request(), request(), request()
        made = [store.create(None, ANA, first) for _ in range(2)]
        assert made[0] == made[1]
        store.replace(made[0].key, ANJA, second)
        other.replace(made[0].key, ZOE)
        store.replace(made[0].key, ANJA, second)
        assert other.get(made[0].key).fields == ZOE
        for _ in range(2):
            store.delete(made[0].key, third)
        assert count(store) == 0

    def test_after_dynamodb_has_forgotten_the_token_a_created_record_is_known_by_its_key(self, store, other):
        first = request()
        other.create(key_of_request(first), ANA)
        assert store.create(None, ANA, first).fields == ANA
        with pytest.raises(ConflictError):
            store.create(None, ZOE, first)

    def test_a_token_that_is_used_for_another_write_is_refused(self, store):
        first = request()
        store.create("cook", ANA, first)
        with pytest.raises(InvalidFieldError, match="Idempotency-Key"):
            store.create("other", ANA, first)

    def test_a_write_that_meets_another_transaction_is_repeated(self, store, chefs, dynamodb):
        """DynamoDB cancels one of two transactions that meet; the sandbox lets one wait."""
        left = [3]

        def conflict(_name, call):
            if left[0]:
                left[0] -= 1
                reasons = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
                raise ClientError({"Error": {"Code": "TransactionCanceledException"}, **reasons}, WRITE)
            return call()

        ModernStore(chefs, Faulty(dynamodb, conflict), store._table).create("cook", ANA)
        assert count(store) == 1
        assert not left[0]


class TestLegacy:
    """Writes to Aurora: nothing there knows a request, so one whose outcome is unknown is not repeated."""

    @pytest.mark.parametrize(
        ("lost_call", "outcome"), [(STATEMENT, (False, 1, 0)), ("CommitTransaction", (True, 1, 1))]
    )
    def test_a_create_whose_answer_is_lost_is_created_at_most_once(
        self, aurora, clients, monkeypatch, lost_call, outcome
    ):
        monkeypatch.setattr(data_api, "answering_keys", WeakSet())  # so it is sent in a transaction
        with UnsureCalls(clients.rds_data, lost_call) as lost, pytest.raises(TransientError) as unknown:
            aurora.create(None, ANA)
        assert (unknown.value.maybe_written, lost.requests, count(aurora)) == outcome

    def test_a_create_under_a_given_key_whose_answer_is_lost_is_created_once(self, named, sql, clients):
        named.clear()
        aurora = LegacyStore(named.entity, sql(named))
        with UnsureCalls(clients.rds_data, STATEMENT) as lost, pytest.raises(TransientError) as unknown:
            aurora.create("cook", ANA)
        assert (unknown.value.maybe_written, lost.requests, count(aurora)) == (True, 1, 1)

    def test_a_replace_whose_answer_is_lost_does_not_undo_a_newer_one(self, aurora, legacy, clients):
        key = aurora.create(None, ANA).key
        with (
            UnsureCalls(clients.rds_data, STATEMENT, meanwhile=lambda: legacy.store.replace(key, ZOE)),
            pytest.raises(TransientError) as unknown,
        ):
            aurora.replace(key, ANJA)
        assert unknown.value.maybe_written
        assert aurora.get(key).fields == ZOE

    def test_a_delete_whose_answer_is_lost_is_not_answered_as_not_found(self, aurora, clients):
        key = aurora.create(None, ANA).key
        with UnsureCalls(clients.rds_data, STATEMENT), pytest.raises(TransientError) as unknown:
            aurora.delete(key)
        assert unknown.value.maybe_written
        with pytest.raises(NotFoundError):
            aurora.get(key)

    def test_a_delete_leaves_what_another_client_has_created_since(self, named, sql, clients):
        named.clear()
        aurora = LegacyStore(named.entity, sql(named))
        aurora.create("cook", ANA)
        with (
            UnsureCalls(clients.rds_data, STATEMENT, meanwhile=lambda: named.store.create("cook", ZOE)),
            pytest.raises(TransientError),
        ):
            aurora.delete("cook")
        assert aurora.get("cook").fields == ZOE

    def test_a_create_under_a_key_of_the_request_meets_its_own_row(self, named, sql, clients):
        named.clear()
        aurora, first = LegacyStore(named.entity, sql(named)), request()
        with UnsureCalls(clients.rds_data, STATEMENT), pytest.raises(TransientError):
            aurora.create(None, ANA, first)
        made = aurora.create(None, ANA, first)
        assert (made.fields, count(aurora)) == (ANA, 1)
        with pytest.raises(ConflictError):
            aurora.create(made.key, ANA, request())


class TestToken:
    """What makes two events the same request."""

    def event(self, **given):
        return {
            "httpMethod": "PUT",
            "path": "/chefs/1",
            "headers": {},
            "requestContext": {"requestId": "the client's", "extendedRequestId": "a"},
            **given,
        }

    def test_the_same_event_has_the_same_token_of_a_length_that_dynamodb_takes(self):
        assert request_token(self.event()) == request_token(self.event())
        assert len(request_token(self.event())) == 36

    def test_an_id_that_a_client_may_set_is_not_taken(self):
        again = {"requestId": "the client's", "extendedRequestId": "b"}
        assert request_token(self.event()) != request_token(self.event(requestContext=again))
        bare = self.event(requestContext={"requestId": "the client's"})
        assert request_token(bare) != request_token(bare)

    def test_the_clients_own_key_names_the_request_in_any_spelling(self):
        first = self.event(headers={"idempotency-key": "k"}, requestContext={"extendedRequestId": "a"})
        second = self.event(headers={"Idempotency-Key": "k"}, requestContext={"extendedRequestId": "b"})
        assert request_token(first) == request_token(second)
        assert request_token(first) != request_token({**second, "path": "/chefs/2"})
        assert request_token(first) != request_token({**second, "httpMethod": "DELETE"})


def test_the_contract_gives_the_token_to_the_store(store, chefs):
    app = Contract(lambda _: (chefs, store)).writes()
    event = {
        "httpMethod": "POST",
        "path": "/chefs",
        "headers": {"Idempotency-Key": "once"},
        "requestContext": {},
        "body": json.dumps(ANA),
    }
    answers = [resolve(app, event, None) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [201, 201]
    assert answers[0]["body"] == answers[1]["body"]
    assert count(store) == 1
    other = resolve(app, {**event, "body": json.dumps(ZOE)}, None)
    assert (other["statusCode"], json.loads(other["body"])["field"]) == (400, "Idempotency-Key")
