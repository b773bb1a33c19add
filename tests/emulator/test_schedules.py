"""Schedules in the sandbox: they call their function, as their role, and only if that may."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from emulator_parts import EVERYTHING, until

from functions.domain import names
from runbook.aws import schedules

CODE = """
import boto3, json, os
def handler(event, context):
    boto3.client("dynamodb").put_item(TableName=os.environ["SEEN"], Item={"k": {"S": json.dumps(event)}})
"""
SCHEDULER = "scheduler.amazonaws.com"
LAMBDA = "lambda.amazonaws.com"


class OwnSchedules:
    """A function that notes its events, and schedules of it."""

    def __init__(self, parts, sandbox):
        self.parts, self.client, self.dynamodb = parts, sandbox.client("scheduler"), parts.clients["dynamodb"]
        self.table = parts.table()["TableName"]
        self.function = parts.function(CODE, SEEN=self.table)
        self.made = []

    def role(self, service=SCHEDULER, policy=EVERYTHING):
        name = self.parts.unique()
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        iam = self.parts.clients["iam"]
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return role

    def now(self, role, given=None, **more):
        """A schedule for this moment."""
        name = self.parts.unique()
        self.made.append(name)
        moment = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        target = {"Arn": self.function, "RoleArn": role, **({"Input": json.dumps(given)} if given else {})}
        self.client.create_schedule(
            Name=name, ScheduleExpression=f"at({moment})", FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **more
        )
        return name

    def seen(self):
        items = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return [json.loads(item["k"]["S"]) for item in items]


@pytest.fixture
def own(parts, sandbox):
    made = OwnSchedules(parts, sandbox)
    yield made
    for name in made.made:
        made.client.delete_schedule(Name=name)


def invoking(function):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}],
    }


def test_a_schedule_calls_its_function_with_its_input_as_a_role_that_may_do_just_that(own):
    own.now(own.role(policy=invoking(own.function)), {"entity": "chefs", "lane": 3})
    assert until(own.seen) == [{"entity": "chefs", "lane": 3}]


def test_a_schedule_without_input_says_where_it_comes_from(own):
    name = own.now(own.role())
    (event,) = until(own.seen)
    assert (event["source"], event["detail-type"]) == ("aws.scheduler", "Scheduled Event")
    assert event["resources"][0].endswith(f"schedule/default/{name}")


def test_a_schedule_whose_role_may_not_call_the_function_or_is_anothers_calls_nothing(own):
    elsewhere = invoking(f"{own.function}-other")
    own.now(own.role(policy=elsewhere), {"role": "without the right"})
    own.now(own.role(LAMBDA), {"role": "that trusts Lambda"})
    own.now(own.role(), {"schedule": "that is off"}, State="DISABLED")
    own.now(own.role(), {"role": "right"})  # the sweep takes them in this order
    assert until(own.seen) == [{"role": "right"}]


def test_a_call_by_a_schedule_counts_as_one_of_the_functions(own, parts):
    own.now(own.role(), {"counted": True})
    place = {"FunctionName": own.function.rpartition(":")[2]}
    assert until(lambda: parts.total("AWS/Lambda", "Invocations", **place)) == 1


@pytest.fixture
def copies(prepared, sandbox):
    """The schedules of copy's lanes, oldest first, while no copy runs; all are disabled again at the end."""
    client = sandbox.client("scheduler")
    named = [name for entity in sandbox.outputs["entities"].values() for name in entity["copySchedules"]]
    yield sorted((client.get_schedule(Name=name) for name in named), key=lambda each: each["CreationDate"])
    for entity in prepared.target.entities.values():
        prepared.switch_schedules(entity, enabled=False, check=lambda: None)


def test_every_entity_has_its_schedule(copies, sandbox):
    assert all(each["Target"]["Arn"].endswith(sandbox.outputs["copyFunction"]) for each in copies)
    called = [json.loads(each["Target"]["Input"]) for each in copies]
    assert sorted(called, key=str) == [{"entity": name, "lane": 0} for name in sorted(sandbox.outputs["entities"])]
    assert {(each["State"], each["ScheduleExpression"]) for each in copies} == {("DISABLED", "rate(1 minute)")}


@pytest.mark.long
def test_a_schedule_calls_each_lane_of_its_entity_and_none_of_an_idle_one(copies, parts, prepared, sandbox):
    """The youngest schedule is enabled: once it has called its lanes, the others would have called theirs."""
    place = {"FunctionName": sandbox.outputs["copyFunction"]}

    def calls():
        return parts.total("AWS/Lambda", "Invocations", **place) or 0

    before, youngest = calls(), copies[-1]["Name"]
    schedules.switch(prepared.clients.scheduler, [youngest], enabled=True, check=lambda: None)
    assert until(lambda: calls() - before, seconds=90)
    assert until(lambda: calls() - before == 1 + names.LANES, seconds=30)
    schedules.switch(prepared.clients.scheduler, [youngest], enabled=False, check=lambda: None)
    assert [found["State"] for each in copies if (found := _present(sandbox, each))] == ["DISABLED"] * len(copies)


def test_switching_a_schedule_changes_nothing_else_of_it(copies, prepared, sandbox):
    first = copies[0]
    for enabled in (True, False):
        schedules.switch(prepared.clients.scheduler, [first["Name"]], enabled=enabled, check=lambda: None)
        state = {"State": schedules.ENABLED if enabled else schedules.DISABLED}
        assert _settings(_present(sandbox, first)) == _settings(first) | state


def _present(sandbox, schedule):
    return sandbox.client("scheduler").get_schedule(Name=schedule["Name"])


def _settings(schedule):
    return {name: value for name, value in schedule.items() if name not in ("LastModificationDate", "ResponseMetadata")}
