"""The alarm on other tools' deployments, as the program describes it: who looks, how often, with which rights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_policy_rules import resources

from components import quotas
from components.access_policies import of
from components.adoption import AdoptedApi, AdoptedEntity, AdoptedSystem
from components.rights import StackNames
from components.settings import parse
from functions.adopted import handler
from policy.rules import violations

NAME = "streamback-dev-adopted"
PLACE = "us-east-1:111122223333"
STAGE = f"arn:aws:execute-api:{PLACE}:a1b2c3d4e5/live"
TOPIC = "arn:aws:sns:us-east-1:111122223333:ops"
MAPPING = """
[chefs]
legacy = { database = "chefdb", table = "cheftable", key = "id", key_type = "string" }
modern = { table = "chef", key = "ChefId" }
[chefs.fields]
firstName = { column = "cheffirst", type = "string", max_length = 255 }
[chefs.api]
writes = ["POST /chefs", "PUT /chefs/{id}"]
"""
CLUSTER = {
    "arn": f"arn:aws:rds:{PLACE}:cluster:kitchen",
    "secretArn": f"arn:aws:secretsmanager:{PLACE}:secret:kitchen-AbCdEf",
    "subnetIds": ["subnet-0a1b", "subnet-0c2d"],
    "securityGroupId": "sg-0a1b",
}
FUNCTIONS = {
    "legacyReads": "old-10",
    "legacyWrites": "old-write-10:live",
    "modernReads": "new-10",
    "modernWrites": "new-10",
}
TABLE = '{"entities": {"chefs": {"table": "chefs-v2"}}}'


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    """The settings of a stack that adopts an API, its functions and a table."""
    place = tmp_path_factory.mktemp("kitchen") / "entities.toml"
    place.write_text(MAPPING)
    entities = {"chefs": {**FUNCTIONS, "table": "chefs-v2"}}
    adopt = {"cluster": CLUSTER, "api": {"id": "a1b2c3d4e5", "stage": "live"}, "entities": entities}
    return {"entitiesFile": str(place), "adopt": json.dumps(adopt)}


def ours(stack):
    return [each for each in stack.resources if each["name"].startswith(NAME)]


def rights(stack):
    """{action: resources} of the function that looks."""
    document = json.loads(stack.one("rolePolicy:RolePolicy", "adopted-check-rights")["inputs"]["policy"])
    return {action: each["Resource"] for each in document["Statement"] for action in each["Action"]}


def test_a_stack_that_adopts_nothing_has_nothing_of_it(stack):
    assert ours(stack) == []


@pytest.mark.parametrize("more", [{"adoptedCheckMinutes": "0"}, {"parts": '["legacy"]'}])
def test_it_can_be_left_out_and_needs_what_adopt_needs(describe, kitchen, more):
    assert ours(describe(**{**kitchen, **more})) == []


def test_the_schedule_gives_the_function_what_is_adopted(describe, kitchen):
    stack = describe(**kitchen)
    schedule = stack.one("schedule:Schedule", NAME)["inputs"]
    assert schedule["scheduleExpression"] == "rate(15 minutes)"
    gate = stack.outputs["gateFunction"]
    entity = {"reads": ["old-10", "new-10"], "writes": ["old-write-10:live", "new-10", gate], "table": "chefs-v2"}
    assert json.loads(schedule["target"]["input"]) == {"stage": STAGE, "entities": {"chefs": entity}}
    assert schedule["target"]["arn"] == f"arn:of:{NAME}-check"
    often = describe(**kitchen, adoptedCheckMinutes="1").one("schedule:Schedule", NAME)["inputs"]
    assert often["scheduleExpression"] == "rate(1 minute)"


def test_the_first_look_comes_after_the_right_to_call_the_gate(describe, kitchen):
    stack = describe(**kitchen)
    permissions = {each["urn"] for each in stack.of("permission:Permission") if "gate-permissions" in each["urn"]}
    assert permissions
    assert permissions <= set(stack.one("schedule:Schedule", NAME)["depends"])


def test_the_function_may_read_exactly_what_it_compares(describe, kitchen):
    stack, place = describe(**kitchen), "arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5/stages/live"
    found = rights(stack)
    named = ("old-10", "old-write-10:live", "old-write-10", "new-10")
    callers = [f"arn:aws:lambda:{PLACE}:function:{name}" for name in named]
    callers.append(f"arn:of:{stack.outputs['gateFunction']}")
    assert {action: each for action, each in found.items() if not action.startswith("logs:")} == {
        "apigateway:GET": [place, f"{place}/exports/oas30"],
        "dynamodb:DescribeTable": ["arn:of:chefs-v2"],
        "dynamodb:GetItem": ["arn:of:streamback-dev-journal-table"],
        "lambda:GetAlias": callers,
        "lambda:GetPolicy": callers,
    }


def test_a_boundary_leaves_the_function_its_rights(describe, kitchen):
    named = StackNames(stack="dev", account="1", region="us-east-1", tables=["chefs-v2"], functions=["old-10"])
    left = {
        action
        for document in of("boundary", named, adopts=True)
        for each in document["Statement"]
        for action in each["Action"]
    }
    assert rights(describe(**kitchen)).keys() <= left


def test_a_table_alone_needs_no_right_on_an_api(describe):
    stack = describe(adopt=TABLE)
    assert not {"apigateway:GET", "lambda:GetPolicy"} & rights(stack).keys()
    event = json.loads(stack.one("schedule:Schedule", NAME)["inputs"]["target"]["input"])
    assert (event["stage"], event["entities"]["chefs"]["table"]) == ("", "chefs-v2")


def test_an_alarm_of_each_entity_stands_from_one_look_to_the_next_and_says_what_to_run(describe, kitchen):
    stack = describe(**kitchen, alarmTopicArn=TOPIC)
    alarm = stack.one("metricAlarm:MetricAlarm", "adopted-chefs-changed")["inputs"]
    assert (alarm["namespace"], alarm["metricName"]) == ("streamback", handler.METRIC)
    assert alarm["dimensions"] == {"service": f"{NAME}-check", "entity": "chefs"}
    assert (alarm["period"], alarm["evaluationPeriods"], alarm["threshold"]) == (900, 1, 0)
    assert alarm["treatMissingData"] == "notBreaching"
    assert alarm["alarmActions"] == alarm["okActions"] == [TOPIC]
    assert "`runbook adopt --entity chefs --execute`" in alarm["alarmDescription"]


def test_a_function_that_cannot_look_has_an_alarm_too(describe, kitchen):
    failing = describe(**kitchen).one("metricAlarm:MetricAlarm", "adopted-failing")["inputs"]
    assert (failing["metricName"], failing["dimensions"]) == ("Errors", {"FunctionName": f"{NAME}-check"})
    assert (failing["period"], failing["evaluationPeriods"]) == (900, 2)


def test_it_keeps_every_rule_of_the_policy_pack(describe, kitchen):
    assert violations(resources(describe(**kitchen)), production=False) == []


def test_more_functions_than_a_roles_policies_can_name_are_refused():
    def settings(count, **changes):
        keys = ("legacy_reads", "legacy_writes", "modern_reads", "modern_writes")
        entities = {
            f"e{number}": AdoptedEntity(**{key: f"{key}-of-the-entity-{number}:live" for key in keys})
            for number in range(count)
        }
        api = AdoptedApi(id="a1b2c3d4e5", stage="live")
        made = parse({}, Path(__file__).parents[2])
        return replace(made, adopt=AdoptedSystem(api=api, entities=entities), **changes)

    assert quotas.problems(settings(5), "dev") == []
    (problem,) = quotas.problems(settings(30), "dev")
    assert "at most 10,240 characters in the policies" in problem
    assert "streamback:adoptedCheckMinutes 0" in problem
    assert quotas.problems(settings(30, adopted_check_minutes=0), "dev") == []
