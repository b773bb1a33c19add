"""How a load's clients speak a foreign contract, and what they take its answers for."""

from __future__ import annotations

import pytest

from functions.domain import entities
from sandbox.brownfield.system import ENTITIES, ENTITY
from sandbox.load.client import Answer
from sandbox.load.dialect import ForeignDialect
from sandbox.load.records import DELETE, EXPECTED, GET, LIST, POST, PUT

ORDER = {"order_id": "A-1", "note": "load-1", "reference": "load-1 reference"}


@pytest.fixture(scope="module")
def shop():
    return ForeignDialect(entities.load(ENTITIES)[ENTITY])


def test_a_create_has_the_body_of_the_template_and_a_key_of_its_own(shop):
    first, second = (shop.request(POST, "", {"note": "load-1", "reference": "r"}, 0) for _ in range(2))
    assert (first.method, first.path, first.query) == ("POST", "/v2/orders", "")
    assert first.body["data"]["note"] == "load-1"
    assert first.body["data"]["order_id"] == first.key
    assert first.key != second.key


def test_a_key_is_escaped_in_the_path(shop):
    sent = shop.request(PUT, "a/b c", {"note": "n", "reference": "r"}, 0)
    assert (sent.method, sent.path, sent.key) == ("PUT", "/v2/orders/a%2Fb%20c", "a/b c")


def test_a_list_has_the_query_of_the_template(shop):
    assert shop.request(LIST, "", None, 25).query == "customer_id=customer-1&limit=10"


@pytest.mark.parametrize(("kind", "status"), [(POST, 201), (PUT, 202), (DELETE, 200), (GET, 200)])
def test_a_success_is_taken_for_the_one_of_streamback(shop, kind, status):
    answer = shop.answer(kind, "A-1", Answer(status, {"data": ORDER}, 1.0))
    assert answer.status in EXPECTED[kind]


def test_the_record_of_a_read_is_unwrapped(shop):
    assert shop.answer(GET, "A-1", Answer(200, {"data": ORDER}, 1.0)).body == ORDER
    assert shop.answer(LIST, "", Answer(200, {"data": [ORDER]}, 1.0)).body == {"items": [ORDER]}


@pytest.mark.parametrize("kind", [POST, PUT, DELETE, GET, LIST])
def test_an_error_that_was_swallowed_is_a_failure(shop, kind):
    answer = shop.answer(kind, "A-1", Answer(200, {"errorMessage": "Duplicate entry"}, 1.0))
    assert answer.status not in EXPECTED[kind]
    assert answer.body["message"] == "/errorMessage: Duplicate entry"


def test_what_the_gate_answers_itself_stays_as_it_is(shop):
    held = Answer(503, {"error": "unavailable", "outcome": "nothing_written"}, 1.0)
    assert shop.answer(PUT, "A-1", held) == held
