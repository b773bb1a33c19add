"""Stopping an execution that may end by itself at that moment."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from runbook.aws import executions

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:ranges"


def described(status):
    times = {"executionArn": MACHINE, "stateMachineArn": MACHINE, "startDate": 0}
    return {**times, "status": status}


@pytest.fixture
def machine():
    client = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def refused(stub, then):
    stub.add_response("describe_execution", described("RUNNING"))
    stub.add_client_error("stop_execution", "ValidationException", "Execution is not running")
    stub.add_response("describe_execution", described(then))


def test_an_execution_that_ends_before_the_call_to_stop_it_has_ended(machine):
    client, stub = machine
    refused(stub, "SUCCEEDED")
    executions.stop(client, MACHINE, "chefs-1", "copy start")


def test_an_execution_that_cannot_be_stopped_and_still_runs_is_an_error(machine):
    client, stub = machine
    refused(stub, "RUNNING")
    with pytest.raises(ClientError, match="not running"):
        executions.stop(client, MACHINE, "chefs-1", "copy start")
