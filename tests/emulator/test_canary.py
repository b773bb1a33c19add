"""A stage's canary in the sandbox: its settings and its share of requests as on AWS."""

from __future__ import annotations

from collections import Counter

import pytest
from botocore.exceptions import ClientError
from test_rest_apis import Rest

PERCENT, OVERRIDES = "/canarySettings/percentTraffic", "/canarySettings/stageVariableOverrides"


@pytest.fixture
def rest(parts):
    found = Rest(parts)
    found.method("x")
    found.stage(who=found.function("stage"), other="o")
    yield found
    found.client.delete_rest_api(restApiId=found.id)


def _settings(rest):
    return rest.client.get_stage(restApiId=rest.id, stageName="prod").get("canarySettings")


def _patch(rest, *operations):
    changes = [dict(zip(("op", "path", "value"), each, strict=False)) for each in operations]
    rest.client.update_stage(restApiId=rest.id, stageName="prod", patchOperations=changes)


def test_the_first_replace_makes_a_canary_of_the_stages_own_deployment(rest):
    _patch(rest, ("replace", f"{OVERRIDES}/who", "x"))
    stage = rest.client.get_stage(restApiId=rest.id, stageName="prod")
    assert stage["canarySettings"] == {
        "deploymentId": stage["deploymentId"],
        "percentTraffic": 0.0,
        "useStageCache": False,
        "stageVariableOverrides": {"who": "x"},
    }


def test_the_canary_gets_about_its_percentage_at_random(rest):
    _patch(rest, ("replace", PERCENT, "30.0"), ("replace", f"{OVERRIDES}/who", rest.function("canary")))
    answers = [rest.get("/x")[1] for _ in range(200)]
    counts = Counter(answers)
    # Outside of these bounds once in some ten million runs.
    assert 26 <= counts["canary"] <= 95
    assert counts["stage"] == 200 - counts["canary"]
    assert "canary" in answers[:60]
    assert "stage" in answers[:60]


def test_a_single_override_is_removed_and_the_others_stay(rest):
    _patch(rest, ("replace", f"{OVERRIDES}/who", "x"), ("replace", f"{OVERRIDES}/other", "y"))
    _patch(rest, ("remove", f"{OVERRIDES}/who"))
    assert _settings(rest)["stageVariableOverrides"] == {"other": "y"}


def test_the_canary_is_removed_whole(rest):
    _patch(rest, ("replace", PERCENT, "100"), ("replace", f"{OVERRIDES}/who", rest.function("canary")))
    assert rest.get("/x") == (200, "canary")
    _patch(rest, ("remove", "/canarySettings"))
    assert _settings(rest) is None
    assert rest.get("/x") == (200, "stage")


@pytest.mark.parametrize(
    "wrong",
    [
        ("add", PERCENT, "5"),
        ("replace", PERCENT, "101"),
        ("replace", "/canarySettings/deploymentId", "nowhere"),
        ("replace", "/canarySettings/other", "x"),
        ("remove", OVERRIDES),
    ],
)
def test_one_wrong_operation_refuses_all_of_them(rest, wrong):
    with pytest.raises(ClientError, match="BadRequestException"):
        _patch(rest, ("replace", "/variables/other", "changed"), ("replace", PERCENT, "5"), wrong)
    stage = rest.client.get_stage(restApiId=rest.id, stageName="prod")
    assert (stage["variables"]["other"], stage.get("canarySettings")) == ("o", None)


def test_the_canary_keeps_its_deployment_when_the_stage_gets_another(rest):
    _patch(rest, ("replace", PERCENT, "100"), ("replace", f"{OVERRIDES}/who", rest.function("canary")))
    rest.method("y")
    _patch(rest, ("replace", "/deploymentId", rest.deploy()))
    assert rest.get("/y")[0] in (403, 404)
    stage = rest.client.get_stage(restApiId=rest.id, stageName="prod")
    _patch(rest, ("replace", "/canarySettings/deploymentId", stage["deploymentId"]))
    assert rest.get("/y") == (200, "canary")


def test_lambda_counts_the_calls_of_api_gateway(rest, parts):
    name = rest.function("raise")
    _patch(rest, ("replace", "/variables/who", name))
    for _ in range(2):
        rest.get("/x")
    assert parts.total("AWS/Lambda", "Invocations", FunctionName=name) == 2
    assert parts.total("AWS/Lambda", "Errors", FunctionName=name) == 2
    assert parts.total("AWS/Lambda", "Duration", FunctionName=name) > 0
