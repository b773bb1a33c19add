"""An API that is not streamback's own: its operations, templates of calls, and what counts as a success."""

from __future__ import annotations

import copy
import json

import pytest

from functions.domain.contract import ApiOperation, Call, Success, filled, found
from functions.domain.entities import EntitiesError, parse

ORDERS = {
    "legacy": {"database": "shop", "table": "orders", "key": "order_id", "key_type": "string"},
    "modern": {"table": "orders-v2", "key": "pk"},
    "fields": {
        "customer": {"column": "customer_name", "type": "string", "max_length": 80},
        "cents": {"column": "total_cents", "type": "integer"},
    },
    "api": {
        "reads": ["GET /v2/orders", "GET /v2/orders/{orderId}"],
        "writes": ["POST /v2/orders", "PUT /v2/orders/{orderId}", "DELETE /v2/orders/{orderId}"],
    },
    "calls": {
        "create": {
            "call": "POST /v2/orders",
            "body": {
                "data": {"order_id": "{id}", "total": "{cents}", "name": "for {customer}", "tags": ["{customer}"]}
            },
            "headers": {"X-Client": "smoke"},
            "status": [201, 202],
            "id": "/data/order_id",
        },
        "read": {"call": "GET /v2/orders/{orderId}", "query": {"full": "1"}, "absent": "/errorMessage"},
    },
}


def orders(**changes):
    """The contract of the entity with other tables."""
    return parse({"orders": {**copy.deepcopy(ORDERS), **changes}})["orders"].contract


def problems(**changes):
    with pytest.raises(EntitiesError) as caught:
        orders(**changes)
    return caught.value.problems


def test_the_event_of_a_create_is_what_a_proxy_integration_sends():
    event = orders().calls["create"].event({"id": "o-1", "customer": "Ann", "cents": 250})
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/v2/orders", "/v2/orders", "POST")
    assert event["headers"]["X-Client"] == "smoke"
    assert event["pathParameters"] is None
    assert json.loads(event["body"]) == {"data": {"order_id": "o-1", "total": 250, "name": "for Ann", "tags": ["Ann"]}}


def test_a_key_is_escaped_in_the_path_and_not_among_the_parameters():
    event = orders().calls["read"].event({"id": "a/b c"})
    assert event["path"] == "/v2/orders/a%2Fb%20c"
    assert event["pathParameters"] == {"orderId": "a/b c"}
    assert event["queryStringParameters"] == {"full": "1"}
    assert event["body"] is None


def test_several_path_parameters_need_a_template_each():
    api = {"reads": [], "writes": ["PUT /t/{tenant}/orders/{orderId}"]}
    given = {"call": "PUT /t/{tenant}/orders/{orderId}", "path": {"tenant": "{customer}", "orderId": "{id}"}}
    call = orders(api=api, calls={"update": given}).calls["update"]
    assert call.event({"id": "7", "customer": "Ann", "cents": 1})["path"] == "/t/Ann/orders/7"
    (problem,) = problems(api=api, calls={"update": {"call": given["call"]}})
    assert problem.startswith("orders.calls.update.path: expected a text for each of tenant, orderId")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"api": {"reads": ["READ /x"], "writes": ["POST /x"]}}, "orders.api.reads: expected method and path"),
        ({"api": {"reads": [], "writes": []}, "calls": {}}, "orders.api.writes: names no operation"),
        ({"api": {"reads": ["GET /x"], "writes": ["GET /x"]}, "calls": {}}, "orders.api.writes: GET /x is among reads"),
        ({"calls": {"create": {"call": "POST /v3"}}}, "orders.calls.create.call: expected one of the operations"),
        ({"calls": {"read": {"call": "POST /v2/orders"}}}, "orders.calls.read.call: expected a GET"),
        (
            {"calls": {"list": {"call": "GET /v2/orders", "query": {"a": "{b}"}}}},
            "orders.calls.list.query: {b} is neither",
        ),
        (
            {"calls": {"list": {"call": "GET /v2/orders", "query": {"customer": "{customer}"}}}},
            "orders.calls.list.query: expected texts without a record's values",
        ),
        ({"calls": {"list": {"call": "GET /v2/orders", "status": ["ok"]}}}, "orders.calls.list.status: expected HTTP"),
        (
            {"calls": {"list": {"call": "GET /v2/orders", "id": "data"}}},
            "orders.calls.list.id: expected a JSON pointer",
        ),
        ({"calls": {"purge": {"call": "GET /v2/orders"}}}, "orders.calls.purge: is not a known key"),
    ],
)
def test_a_mistake_is_named_by_its_key(changes, text):
    assert any(problem.startswith(text) for problem in problems(**changes)), problems(**changes)


def test_templates_without_an_api_are_refused():
    raw = copy.deepcopy(ORDERS)
    del raw["api"]
    with pytest.raises(EntitiesError, match=r"orders\.calls: expected only with a table api"):
        parse({"orders": raw})


def test_a_counted_key_is_refused_because_such_a_function_finds_no_row_of_moderns():
    (problem,) = problems(legacy={"database": "shop", "table": "orders", "key": "order_id"})
    assert problem.startswith('orders.legacy.key_type: expected "string" beside a table api')


def test_one_operation_belongs_to_one_entity():
    other = copy.deepcopy(ORDERS)
    other["legacy"]["table"], other["modern"]["table"] = "others", "others"
    with pytest.raises(EntitiesError) as caught:
        parse({"orders": ORDERS, "others": other})
    assert any(
        problem.startswith("api: others and orders both name 'POST /v2/orders'") for problem in caught.value.problems
    )


def test_only_the_entitys_writes_are_its_own():
    contract = orders()
    assert contract.writes_by("PUT", "/v2/orders/{orderId}")
    assert not contract.writes_by("PUT", "/v2/orders/7")
    assert not contract.writes_by("GET", "/v2/orders")


@pytest.mark.parametrize(
    ("success", "answer", "problem"),
    [
        (Success(), {"statusCode": 204}, ""),
        (Success(), {"statusCode": 500, "body": "no"}, "500 no"),
        (Success(status=(201,)), {"statusCode": 200}, "200"),
        (
            Success(absent="/errorMessage"),
            {"statusCode": 200, "body": '{"errorMessage": "x"}'},
            "200, and the body has",
        ),
        (Success(absent="/errorMessage"), {"statusCode": 200, "body": '{"data": 1}'}, ""),
        (Success(without="Exception"), {"statusCode": 200, "body": "an Exception in"}, "200, and the body contains"),
        (Success(), {}, "0"),
    ],
)
def test_success_is_what_the_template_says(success, answer, problem):
    said = success.problem(answer)
    assert said.startswith(problem) if problem else said == ""


@pytest.mark.parametrize(
    ("body", "pointer", "value"),
    [
        ('{"a": {"b": [1, 2]}}', "/a/b/1", 2),
        ('{"a/b": 3}', "/a~1b", 3),
        ("[]", "/0", None),
        ("no JSON", "/a", None),
        ('{"a": 1}', "/a/b", None),
    ],
)
def test_a_pointer_finds_its_value_or_nothing(body, pointer, value):
    assert found(body, pointer) == value


def test_a_call_without_templates_is_filled_with_nothing():
    call = Call(operation=ApiOperation(method="GET", path="/health"))
    assert call.event({})["path"] == "/health"
    assert filled({"a": [1, True, None]}, {}) == {"a": [1, True, None]}


CHANGING = {
    **ORDERS["calls"],
    "update": {"call": "PUT /v2/orders/{orderId}", "body": {"total": "{cents}"}},
    "delete": {"call": "DELETE /v2/orders/{orderId}"},
}


def test_replay_takes_an_entity_whose_calls_carry_the_key():
    found = parse({"orders": {**copy.deepcopy(ORDERS), "bridge": "replay", "calls": CHANGING}})["orders"]
    assert found.replayed
    assert found.contract.calls["create"].carried == {"id", "cents", "customer"}
    assert not parse({"orders": copy.deepcopy(ORDERS)})["orders"].replayed


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bridge": "both"}, "orders.bridge: expected one of direct, replay, got 'both'"),
        ({"calls": ORDERS["calls"]}, "orders.bridge: replay expects a table [orders.calls.update]"),
        (
            {"calls": {**CHANGING, "create": {"call": "POST /v2/orders", "body": {"total": "{cents}"}}}},
            "orders.calls.create: replay expects {id} in path, query, headers or body: a key that legacy assigns",
        ),
        (
            {"calls": {**CHANGING, "delete": {"call": "GET /v2/orders"}}},
            "orders.calls.delete.call: replay expects one of writes, got 'GET /v2/orders'",
        ),
        (
            {"calls": {**CHANGING, "delete": {"call": "DELETE /v2/orders/{orderId}", "path": {"orderId": "7"}}}},
            "orders.calls.delete: replay expects {id} in path, query, headers or body: it finds the row",
        ),
        (
            {"legacy": {"database": "shop", "table": "orders", "key": "order_id"}},
            'orders.bridge: replay expects key_type = "string" in legacy',
        ),
    ],
)
def test_replay_names_what_it_lacks(changes, text):
    found = problems(**{"bridge": "replay", "calls": CHANGING, **changes})
    assert any(problem.startswith(text) for problem in found), found


def test_replay_without_an_api_names_the_tables():
    given = {name: copy.deepcopy(ORDERS[name]) for name in ("legacy", "modern", "fields")}
    with pytest.raises(EntitiesError) as caught:
        parse({"orders": {**given, "bridge": "replay"}})
    assert caught.value.problems == ["orders.bridge: replay expects tables [orders.api] and [orders.calls]"]
