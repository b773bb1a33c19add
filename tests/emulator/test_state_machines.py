"""State machines in the sandbox: they call functions as their role, map in parallel, and stop."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from emulator_parts import EVERYTHING, until

CODE = """
import boto3, json, os, time
def handler(event, context):
    table = boto3.client("dynamodb")
    key = {"k": {"S": str(event["item"])}}
    table.put_item(TableName=os.environ["SEEN"], Item=key)
    time.sleep(event.get("seconds", 0))
    return {"more": False}
"""
STATES = "states.amazonaws.com"
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
CALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}]}


class OwnMachines:
    """A function that notes its items, and machines that map it over some."""

    def __init__(self, parts, sandbox):
        self.parts, self.client, self.dynamodb = parts, sandbox.client("stepfunctions"), parts.clients["dynamodb"]
        self.table = parts.table()["TableName"]
        self.function = parts.function(CODE, SEEN=self.table)
        self.made = []

    def machine(self, policy=EVERYTHING, service=STATES):
        name, iam = self.parts.unique(), self.parts.clients["iam"]
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        made = self.client.create_state_machine(name=name, definition=json.dumps(self._definition()), roleArn=role)
        self.made.append(made["stateMachineArn"])
        return made["stateMachineArn"]

    def _definition(self):
        call = {
            "Type": "Task",
            "Resource": self.function,
            "Parameters": {"item.$": "$.item", "seconds.$": "$.seconds"},
            "End": True,
        }
        children = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
        mapped = {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"item.$": "$$.Map.Item.Value", "seconds.$": "$.seconds"},
            "MaxConcurrencyPath": "$.workers",
            "ItemProcessor": {**children, "StartAt": "Call", "States": {"Call": call}},
            "End": True,
        }
        return {"StartAt": "Each", "States": {"Each": mapped}}

    def start(self, machine, items, *, workers=2, seconds=0, name="one"):
        given = json.dumps({"items": items, "workers": workers, "seconds": seconds})
        return self.client.start_execution(stateMachineArn=machine, name=name, input=given)["executionArn"]

    def status(self, execution):
        return self.client.describe_execution(executionArn=execution)["status"]

    def ended(self, execution):
        until(lambda: self.status(execution) != "RUNNING")
        return self.client.describe_execution(executionArn=execution)

    def seen(self):
        return {item["k"]["S"] for item in self.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]}


@pytest.fixture
def machines(parts, sandbox):
    made = OwnMachines(parts, sandbox)
    yield made
    for arn in made.made:
        made.client.delete_state_machine(stateMachineArn=arn)


def test_a_distributed_map_calls_the_function_for_each_item(machines):
    execution = machines.start(machines.machine(), [1, 2, 3])
    assert machines.ended(execution)["status"] == "SUCCEEDED"
    assert machines.seen() == {"1", "2", "3"}


def test_no_more_items_run_at_once_than_the_path_says(machines):
    execution = machines.start(machines.machine(), [1, 2, 3], workers=1, seconds=1)
    until(machines.seen)
    assert len(machines.seen()) == 1
    assert machines.ended(execution)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("policy", "service"), [(NOTHING, STATES), (CALL, STATES), (EVERYTHING, "lambda.amazonaws.com")]
)
def test_a_role_that_may_not_call_or_start_children_or_is_another_services_calls_nothing(machines, policy, service):
    execution = machines.start(machines.machine(policy, service), [1])
    assert machines.ended(execution)["status"] == "FAILED"
    assert machines.seen() == set()


def test_an_execution_that_is_stopped_calls_nothing_more_and_stays_aborted(machines):
    execution = machines.start(machines.machine(), [1, 2, 3, 4], workers=1, seconds=1)
    until(machines.seen)
    machines.client.stop_execution(executionArn=execution)
    seen = machines.seen()
    until(lambda: _all_over(machines, execution))
    assert machines.seen() == seen
    assert machines.status(execution) == "ABORTED"


def _all_over(machines, execution):
    (run,) = machines.client.list_map_runs(executionArn=execution)["mapRuns"]
    counts = machines.client.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    return not counts["pending"] and not counts["running"]


def test_a_second_start_of_a_running_execution_with_its_name_and_input_is_that_execution(machines):
    machine = machines.machine()
    execution = machines.start(machine, [1], seconds=2)
    assert machines.start(machine, [1], seconds=2) == execution
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        machines.start(machine, [2], seconds=2)
    machines.ended(execution)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        machines.start(machine, [1], seconds=2)
