"""Schedules in the sandbox: they call their function, as their role, and only if that may."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from emulator_parts import EVERYTHING, until

CODE = """
import boto3, json, os
def handler(event, context):
    boto3.client("dynamodb").put_item(TableName=os.environ["SEEN"], Item={"k": {"S": json.dumps(event)}})
"""
SCHEDULER = "scheduler.amazonaws.com"
LAMBDA = "lambda.amazonaws.com"


class Schedules:
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
def schedules(parts, sandbox):
    made = Schedules(parts, sandbox)
    yield made
    for name in made.made:
        made.client.delete_schedule(Name=name)


def invoking(function):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}],
    }


def test_a_schedule_calls_its_function_with_its_input_as_a_role_that_may_do_just_that(schedules):
    schedules.now(schedules.role(policy=invoking(schedules.function)), {"entity": "chefs", "lane": 3})
    assert until(schedules.seen) == [{"entity": "chefs", "lane": 3}]


def test_a_schedule_without_input_says_where_it_comes_from(schedules):
    name = schedules.now(schedules.role())
    (event,) = until(schedules.seen)
    assert (event["source"], event["detail-type"]) == ("aws.scheduler", "Scheduled Event")
    assert event["resources"][0].endswith(f"schedule/default/{name}")


def test_a_schedule_whose_role_may_not_call_the_function_or_is_anothers_calls_nothing(schedules):
    elsewhere = invoking(f"{schedules.function}-other")
    schedules.now(schedules.role(policy=elsewhere), {"role": "without the right"})
    schedules.now(schedules.role(LAMBDA), {"role": "that trusts Lambda"})
    schedules.now(schedules.role(), {"schedule": "that is off"}, State="DISABLED")
    schedules.now(schedules.role(), {"role": "right"})  # the sweep takes them in this order
    assert until(schedules.seen) == [{"role": "right"}]


def test_a_call_by_a_schedule_counts_as_one_of_the_functions(schedules, parts):
    schedules.now(schedules.role(), {"counted": True})
    place = {"FunctionName": schedules.function.rpartition(":")[2]}
    assert until(lambda: parts.total("AWS/Lambda", "Invocations", **place)) == 1


def test_every_lane_of_every_entity_has_its_schedule_and_they_run(sandbox):
    client = sandbox.client("scheduler")
    found = [client.get_schedule(Name=each["Name"]) for each in client.list_schedules()["Schedules"]]
    copies = [each for each in found if each["Target"]["Arn"].endswith(sandbox.outputs["copyFunction"])]
    lanes = {(event["entity"], event["lane"]) for each in copies if (event := json.loads(each["Target"]["Input"]))}
    assert len(copies) == len(lanes) == 8
    assert {(each["State"], each["ScheduleExpression"]) for each in copies} == {("ENABLED", "rate(1 minute)")}
