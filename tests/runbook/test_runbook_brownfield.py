"""A stack that has adopted a shop: the gate in front of functions that know nothing of it, and what is left alone."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from difflib import unified_diff

import pytest
from journal_states import long_at_the_gate
from shop_world import ShopWorld, order, written_event

from functions.domain import names
from runbook.aws.api_gateway import Routes, Side
from runbook.checks import plans
from runbook.checks.plans import CheckScope
from runbook.cutover.steps import Choices, SwitchRun
from runbook.errors import PreconditionError
from runbook.journal.lock import held
from sandbox import lifecycle
from sandbox.brownfield import api, bringing_up, ledger, snapshot
from sandbox.brownfield.functions import SOURCES, function_name
from sandbox.brownfield.system import ENTITY
from sandbox.engine.aws import Aws

ROWS = 30
WRITER = function_name("orders_write")
AT_ONCE = ("--warm", "1", "--settle", "0", "--entity", ENTITY, "--execute")
# In a function's place: answers with the event that it was called with.
ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "headers": {"X-Shop": "1"}, "body": json.dumps(event)}
"""
OF_THE_REQUEST = ("requestId", "extendedRequestId", "requestTime", "requestTimeEpoch")


@pytest.fixture(scope="module")
def before():
    """The shop alone, with a picture of it."""
    name = f"test-{os.getpid()}-shop"
    try:
        shop = bringing_up.shop(name, ROWS)
        account = Aws(lifecycle.start(name).endpoint)
        yield name, shop, snapshot.take(account, shop)
    finally:
        lifecycle.down(name)


@pytest.fixture(scope="module")
def deployed(before):
    """The same with the stack beside it, and what the stack's function found before `adopt`."""
    name, shop, _ = before
    made = ShopWorld(bringing_up.deploy(name, current=False), shop)
    return made, look(made)


@pytest.fixture(scope="module")
def adopted(deployed):
    """The same, adopted; its stack has no bridge yet."""
    made, _ = deployed
    made.runbook("adopt", "--execute")
    return made


@pytest.fixture(scope="module")
def world(before, adopted):
    """The same, prepared; tests of `adopted` alone come first."""
    made = ShopWorld(bringing_up.deploy(before[0], current=False), adopted.shop)
    made.runbook("init")
    return made


@pytest.fixture
def gated(world):
    """Public writes go through the gate."""
    context = world.context
    context.routing.route(world.entity, Routes(writes=Side.GATE))
    yield world
    context.routing.route(world.entity, Routes(writes=Side.LEGACY))


@pytest.fixture
def echo(world):
    """The legacy writer answers with its event."""
    functions = world.sandbox.client("lambda")
    _replace(functions, ECHO)
    yield world
    _replace(functions, (SOURCES / "orders_write.py").read_text())


def _replace(functions, source):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("orders_write.py", source)
    functions.update_function_code(FunctionName=WRITER, ZipFile=buffer.getvalue())


def _event(answer):
    """The event in an echo, without what differs from request to request."""
    found = dict(answer.body)
    found["requestContext"] = {k: v for k, v in found["requestContext"].items() if k not in OF_THE_REQUEST}
    return found


def overwritten(world):
    """Another tool's deployment; it is deleted again, because a test compares the list of deployments."""
    gateway, place = world.sandbox.client("apigateway"), {"restApiId": world.shop.api_id}
    api.deploy_again(world.account, world.shop.api_id, [("POST", api.ORDERS)])
    served = gateway.get_stage(**place, stageName=api.STAGE)["deploymentId"]
    yield f"POST {api.ORDERS} → {WRITER}"
    gateway.delete_deployment(**place, deploymentId=served)


def not_permitted(world):
    functions, name = world.sandbox.client("lambda"), world.entity.read_function
    policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    for each in policy["Statement"]:
        functions.remove_permission(FunctionName=name, StatementId=each["Sid"])
    yield f"{name}: not for GET {api.ORDERS}"


def switched_off(world):
    table = world.entity.modern_table
    world.sandbox.client("dynamodb").update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    yield f"stream of {table}: off"


def variable_gone(world):
    operation = {"op": "remove", "path": f"/variables/{ENTITY}_writes"}
    world.sandbox.client("apigateway").update_stage(
        restApiId=world.shop.api_id, stageName=api.STAGE, patchOperations=[operation]
    )
    yield f"stage variable {ENTITY}_writes: not set"


def look(world):
    """What the stack's function answers to the event of its schedule."""
    scheduler = world.sandbox.client("scheduler")
    (schedule,) = scheduler.list_schedules(NamePrefix="streamback-sandbox-adopted")["Schedules"]
    target = scheduler.get_schedule(Name=schedule["Name"])["Target"]
    return world.invoke(target["Arn"], json.loads(target["Input"]))


def measured(world):
    """Of the metric that the entity's alarm watches: how often it was published, and the sum."""
    cloudwatch, now = world.sandbox.client("cloudwatch"), datetime.now(UTC)
    (alarm,) = cloudwatch.describe_alarms(AlarmNamePrefix=f"streamback-sandbox-adopted-{ENTITY}")["MetricAlarms"]
    points = cloudwatch.get_metric_statistics(
        **{name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")},
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    return sum(each["SampleCount"] for each in points), sum(each["Sum"] for each in points)


def test_the_alarms_function_is_silent_before_adopt(deployed):
    made, found = deployed
    assert found == {}
    assert "gateFunction" not in made.sandbox.outputs


@pytest.mark.parametrize("drift", [overwritten, not_permitted, switched_off, variable_gone])
def test_what_another_tool_changes_is_in_the_alarms_metric_until_it_is_adopted_again(adopted, drift):
    assert look(adopted) == {ENTITY: []}
    count, total = measured(adopted)
    change = drift(adopted)
    expected = next(change)
    (found,) = look(adopted).values()
    assert expected in found
    assert measured(adopted) == (count + 1, total + len(found))
    adopted.runbook("adopt", "--execute")
    assert look(adopted) == {ENTITY: []}
    assert measured(adopted) == (count + 2, total + len(found))
    assert not list(change)


def test_while_adopt_is_at_work_the_alarms_function_is_silent(adopted):
    with held(adopted.context.journal, names.ADOPTED_API, "a test", "adopt"):
        assert look(adopted) == {}
    assert look(adopted) == {ENTITY: []}


def test_the_alarms_function_looks_at_the_gate_too(world):
    gate, functions = world.sandbox.outputs["gateFunction"], world.sandbox.client("lambda")
    assert look(world) == {ENTITY: []}
    policy = json.loads(functions.get_policy(FunctionName=gate)["Policy"])
    ours = next(each for each in policy["Statement"] if str(each["Condition"]).endswith("/PUT/*'}}"))
    functions.remove_permission(FunctionName=gate, StatementId=ours["Sid"])
    assert look(world) == {ENTITY: [f"{gate}: not for PUT {api.ORDER}"]}
    source = ours["Condition"]["ArnLike"]["AWS:SourceArn"]
    functions.add_permission(
        FunctionName=gate,
        StatementId=ours["Sid"],
        Action=ours["Action"],
        Principal=ours["Principal"]["Service"],
        SourceArn=source,
    )
    assert look(world) == {ENTITY: []}


def test_every_check_of_the_bridge_and_the_table_holds(world):
    checks = plans.checks(world.context, world.entity, CheckScope.BRIDGE, send_heartbeat=True)
    assert not [f"{each.name}: {each.value}" for each in checks if not each.ok]


def test_routes_that_are_no_entitys_answer_as_before(world):
    assert world.send("GET", "/v2/health").body == {"ok": True}
    assert world.send("GET", "/v2/export").status == 403
    assert world.send("OPTIONS", "/v2/orders").status == 204


def test_the_gate_passes_a_request_and_its_answer_through_untouched(echo):
    context, body = echo.context, order(note="€ 🍕")
    direct = echo.send("POST", "/v2/orders", body, "trace=1")
    context.routing.route(echo.entity, Routes(writes=Side.GATE))
    try:
        through = echo.send("POST", "/v2/orders", body, "trace=1")
    finally:
        context.routing.route(echo.entity, Routes(writes=Side.LEGACY))
    expected = _event(direct)
    assert _event(through) == {**expected, "stageVariables": through.body["stageVariables"]}
    assert expected["queryStringParameters"] == {"trace": "1"}


def test_a_deployment_after_the_checks_is_found_before_a_client_is_held(gated, monkeypatch):
    """Requests would go past the gate, and the shop's writer would meet the fence."""
    run, gateway = SwitchRun(gated.context, gated.entity, None, Choices()), gated.sandbox.client("apigateway")
    place = {"restApiId": gated.shop.api_id}
    (resource,) = [each["id"] for each in gateway.get_resources(**place)["items"] if each["path"] == "/v2/orders"]
    method = {**place, "resourceId": resource, "httpMethod": "POST"}
    variable = gateway.get_integration(**method)["uri"]

    def deploy(uri):
        gateway.update_integration(**method, patchOperations=[{"op": "replace", "path": "/uri", "value": uri}])

    monkeypatch.setattr(run, "put_gate", lambda: None)
    monkeypatch.setattr(run, "_until_left", lambda: None)
    monkeypatch.setattr(run, "_warm", lambda *_: None)
    monkeypatch.setattr(run, "_outlast", lambda _: deploy(variable.replace("${stageVariables.orders_writes}", WRITER)))
    try:
        with pytest.raises(PreconditionError, match="adopted integrations"):
            run.gate_on(past=Side.LEGACY).do()
        deploy(variable)
        monkeypatch.setattr(run, "_outlast", lambda _: None)
        run.gate_on(past=Side.LEGACY).do()
    finally:
        deploy(variable)


def test_foreign_statuses_come_through_the_gate(gated):
    body = order()
    place = f"/v2/orders/{body['data']['order_id']}"
    statuses = [gated.send("POST", "/v2/orders", body).status, gated.send("PUT", place, order(note="x")).status]
    statuses += [gated.send("DELETE", place).status, gated.send("DELETE", place).status]
    assert statuses == [201, 202, 200, 404]


def test_an_error_that_legacy_swallows_comes_through_the_gate(gated):
    body = order()
    assert gated.send("POST", "/v2/orders", body).status == 201
    again = gated.send("POST", "/v2/orders", body)
    assert again.status == 200
    assert "Duplicate entry" in again.body["errorMessage"]


def test_no_request_through_the_gate_meets_the_fence(world):
    """Legacy's writer would swallow the fence's error and answer 200."""
    world.runbook("copy", "start", "--entity", ENTITY)
    long_at_the_gate(world.context, ENTITY)
    world.runbook("copy", "watch", "--entity", ENTITY)
    world.runbook("verify", "--entity", ENTITY)
    over, answers = threading.Event(), []

    def write():
        while not over.wait(0.05):
            answers.append(world.send("POST", "/v2/orders", order(note="held")))

    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in writers:
        each.start()
    try:
        world.runbook(
            "cutover", "writes", "--reads-stay", "--warm", "1", "--settle", "0", "--entity", ENTITY, "--execute"
        )
        refused = world.invoke(WRITER, written_event(order()))
    finally:
        over.set()
        for each in writers:
            each.join()
    assert {each.status for each in answers} == {201}
    assert refused["statusCode"] == 200
    assert "streamback" in refused["body"]
    world.runbook("rollback", *AT_ONCE)
    held = [each.body["data"]["order_id"] for each in answers]
    assert not set(held) - set(ledger.present(world.sandbox))


@pytest.mark.long
def test_adopt_undo_leaves_the_shop_as_it_was(before, world):
    name, shop, picture = before
    world.runbook("copy", "stop", "--remove-triggers", "--entity", ENTITY)
    world.runbook("adopt", "undo", "--settle", "0", "--execute")
    assert look(world) == {}
    bringing_up.deploy(name, bringing_up.BEFORE_ADOPTING, current=False)  # the bridge reads the stream until then
    world.runbook("adopt", "undo", "--settle", "0", "--execute")
    now = snapshot.take(world.account, shop)
    kept = {"table in Aurora", WRITER}  # the bridge's columns stay until `complete`; a test replaced the writer's code
    changed = [name for name in snapshot.different(picture, now) if name not in kept]
    assert not [line for name in changed for line in unified_diff(picture[name].split("\n"), now[name].split("\n"))]
