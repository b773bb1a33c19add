"""Copy's function as it is deployed: with its own role, its own user, and several at work at once."""

from __future__ import annotations

import json
import threading
import time

import pytest
from copying import Copying
from legacy_world import Legacy

from functions.domain import entities, names

ROWS = 200


@pytest.fixture
def deployed(prepared, sandbox, data_api, bridge_user):
    """Chefs of the sandbox, empty and captured; the journal is afterwards as it was."""
    outputs = sandbox.outputs
    entity = entities.parse(outputs["mapping"])["chefs"]
    legacy = Legacy(entity, data_api(), data_api(entity.legacy.database))
    table = outputs["entities"]["chefs"]["modernTable"]
    made = Copying(bridge_user(legacy), legacy, sandbox.client("dynamodb"), table, outputs["journalTable"])
    key = {"entity": {"S": "chefs"}, "record": {"S": names.STATE_RECORD}}
    before = made.dynamodb.get_item(TableName=made.journal, Key=key).get("Item")
    _install(sandbox, "capture")
    yield made
    _install(sandbox, "release")
    made.dynamodb.delete_item(TableName=made.journal, Key={**key, "record": {"S": names.COPY_RECORD}})
    if before:
        made.dynamodb.put_item(TableName=made.journal, Item=before)
    else:
        made.dynamodb.delete_item(TableName=made.journal, Key=key)


def _install(sandbox, action: str) -> None:
    answer = sandbox.client("lambda").invoke(
        FunctionName=sandbox.outputs["bridgeInstallFunction"], Payload=json.dumps({"action": action, "entity": "chefs"})
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def _until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_deployed_function_copies_until_it_is_stopped(sandbox, deployed):
    chefs = ", ".join(f"('chef {n}', 'x')" for n in range(ROWS))
    deployed.legacy.database.execute(f"INSERT INTO cheftable (cheffirst, cheflast) VALUES {chefs}")
    deployed.begin()
    answers: list[dict] = []

    def call(lane: int) -> None:
        event = json.dumps({"entity": "chefs", "lane": lane, "alone": True})
        answer = sandbox.client("lambda").invoke(FunctionName=sandbox.outputs["copyFunction"], Payload=event)
        answers.append(json.loads(answer["Payload"].read()))

    workers = [threading.Thread(target=call, args=(lane,)) for lane in range(names.LANES)]
    for worker in workers:
        worker.start()
    _until(lambda: deployed.number("rows_done") == ROWS)
    made = deployed.created("later")
    _until(lambda: made in deployed.items())
    deployed.writers.store.delete(made)
    _until(lambda: made not in deployed.items())
    assert deployed.converged()
    deployed.begin(state="stopped")
    for worker in workers:
        worker.join()
    assert [answer.get("stopped") for answer in answers] == [True] * names.LANES, answers
    assert sum(answer["rows"] for answer in answers) == ROWS + 2
    assert deployed.queued() == 0


def test_the_schedules_call_starts_a_worker_for_each_lane(sandbox, deployed):
    deployed.begin()
    answer = sandbox.client("lambda").invoke(
        FunctionName=sandbox.outputs["copyFunction"], Payload=json.dumps({"entity": "chefs", "lane": 0})
    )
    assert json.loads(answer["Payload"].read()) == {"called": names.LANES}
    _until(lambda: all(_is_leased(sandbox, lane) for lane in range(names.LANES)))
    deployed.begin(state="stopped")
    _until(lambda: not any(_is_leased(sandbox, lane) for lane in range(names.LANES)))


def _is_leased(sandbox, lane: int) -> bool:
    """Whether a worker has the lane; its lease ends with it."""
    key = {"entity": {"S": "chefs"}, "record": {"S": names.lane_record(lane)}}
    found = sandbox.client("dynamodb").get_item(TableName=sandbox.outputs["journalTable"], Key=key, ConsistentRead=True)
    return float(found.get("Item", {}).get("expires", {}).get("N", "0")) > time.time()
