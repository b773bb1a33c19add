"""An event that only starts an instance: every writer, the bridge and the gate answer it, and write nothing."""

from __future__ import annotations

import json
import time

import pytest

from functions.api import http_api
from functions.api.store import NotFoundError


@pytest.fixture(scope="module")
def functions(prepared):
    target = prepared.target
    chefs = target.entity("chefs")
    legacy = (chefs.legacy_write_function, chefs.bridge_function)  # the bridge has the legacy writer's own code
    return prepared, (*legacy, chefs.write_function, target.gate_function)


def test_writers_and_gate_answer_it_and_write_nothing(functions):
    context, names = functions
    before = [context.api.get(f"/{system}/chefs").body["items"] for system in ("aurora", "dynamo")]
    for name in names:
        event = json.dumps({"warm": "chefs", "seconds": 0})
        answer = context.clients.functions.invoke(FunctionName=name, Payload=event.encode())
        assert "FunctionError" not in answer, name
        assert json.loads(answer["Payload"].read()) == {"warm": "chefs"}
    assert before == [context.api.get(f"/{system}/chefs").body["items"] for system in ("aurora", "dynamo")]


class Store:
    """Has nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, key):
        self.asked += 1
        raise NotFoundError(key)


def test_it_asks_the_store_once_so_that_the_connection_is_there(monkeypatch):
    store, slept = Store(), []
    monkeypatch.setattr(time, "sleep", slept.append)
    answer = http_api.warm(lambda _: (None, store), {"warm": "chefs", "seconds": 2})
    assert (answer, store.asked, slept) == ({"warm": "chefs"}, 1, [2.0])


def test_it_stays_occupied_for_a_bounded_time(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    http_api.occupied({"warm": "chefs", "seconds": 10_000})
    assert slept == [http_api.LONGEST_WARMING]
