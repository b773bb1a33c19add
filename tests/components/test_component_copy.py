"""Copy as the program describes it: one worker for all entities, kept alive by schedules, that may do its work only."""

from __future__ import annotations

import json
from pathlib import Path

NAME = "streamback-dev-copy"
SPECIMENS = str(Path(__file__).parents[1] / "entities.toml")


def schedules(stack):
    return [each["inputs"] for each in stack.of("schedule:Schedule")]


def _named(stack, entity):
    return stack.outputs["entities"][entity]["copySchedules"]


def rights(stack, policy):
    """{action: resources} of one policy."""
    document = json.loads(stack.one("rolePolicy:RolePolicy", policy)["inputs"]["policy"])
    return {action: each["Resource"] for each in document["Statement"] for action in each["Action"]}


def test_every_entity_has_a_schedule_that_names_it(describe):
    inputs = [json.loads(each["target"]["input"]) for each in schedules(describe(entitiesFile=SPECIMENS))]
    assert sorted(inputs, key=str) == [{"entity": entity, "lane": 0} for entity in ("chefs", "specimens")]


def test_a_schedule_calls_the_worker_each_minute_and_leaves_a_failed_call_to_the_next(stack):
    for each in schedules(stack):
        assert (each["scheduleExpression"], each["flexibleTimeWindow"]) == ("rate(1 minute)", {"mode": "OFF"})
        assert each["target"]["arn"] == f"arn:of:{stack.outputs['copyFunction']}"
        assert each["target"]["roleArn"] == f"arn:of:{NAME}-scheduler"
        assert each["target"]["retryPolicy"]["maximumRetryAttempts"] == 0


def test_a_schedule_is_made_disabled_and_belongs_to_the_runbook_from_then_on(describe):
    stack = describe(entitiesFile=SPECIMENS)
    made = stack.of("schedule:Schedule")
    assert {(each["inputs"]["state"], *each["ignored"]) for each in made} == {("DISABLED", "state")}
    for entity in ("chefs", "specimens"):
        named = {
            name: json.loads(stack.one("schedule:Schedule", name)["inputs"]["target"]["input"])
            for name in _named(stack, entity)
        }
        assert [each["entity"] for each in named.values()] == [entity]


def test_the_schedules_role_may_call_the_worker_and_nothing_else(stack):
    assert rights(stack, "scheduler-rights") == {"lambda:InvokeFunction": [f"arn:of:{stack.outputs['copyFunction']}"]}


def test_the_worker_has_five_minutes_and_may_call_its_successor_for_ever(stack):
    worker = stack.one("function:Function", "copy-worker")
    assert worker["inputs"]["timeout"] == 300
    assert rights(stack, "hand-over") == {"lambda:InvokeFunction": [f"arn:of:{worker['name']}"]}
    recursion = stack.one("functionRecursionConfig:FunctionRecursionConfig")["inputs"]
    assert recursion == {"functionName": stack.outputs["copyFunction"], "recursiveLoop": "Allow"}


def test_the_worker_works_as_the_bridges_user_and_never_sees_the_master_secret(stack):
    found = rights(stack, "copy-worker-rights")
    assert found["secretsmanager:GetSecretValue"] == [stack.outputs["bridgeSecretArn"]]
    cluster = [stack.outputs["clusterArn"]]
    assert found["rds-data:ExecuteStatement"] == cluster


def test_the_worker_writes_items_keeps_its_records_and_quarantines_what_no_item_can_hold(stack):
    document = json.loads(stack.one("rolePolicy:RolePolicy", "copy-worker-rights")["inputs"]["policy"])
    items = {
        resource: {action.partition(":")[2] for action in each["Action"]}
        for each in document["Statement"]
        for resource in each["Resource"]
        if each["Action"][0].startswith("dynamodb:")
    }
    single = {"GetItem", "PutItem", "UpdateItem", "DeleteItem"}
    assert items == {
        "arn:of:streamback-dev-modern-chefs-table": single | {"BatchGetItem", "Scan"},
        "arn:of:streamback-dev-journal-table": single - {"DeleteItem"} | {"BatchGetItem", "ConditionCheckItem"},
        "arn:of:streamback-dev-bridge-quarantine": {"PutItem"},
    }


def test_an_alarm_reports_to_the_topic_that_copy_keeps_failing(describe):
    topic = "arn:aws:sns:us-east-1:111122223333:ops"
    stack = describe(alarmTopicArn=topic)
    failing = stack.one("metricAlarm:MetricAlarm", "copy-failing")["inputs"]
    assert (failing["metricName"], failing["statistic"], failing["threshold"]) == ("Errors", "Sum", 0)
    assert failing["dimensions"] == {"FunctionName": stack.outputs["copyFunction"]}
    assert failing["evaluationPeriods"] * failing["period"] == 300
    assert failing["alarmActions"] == failing["okActions"] == [topic]
