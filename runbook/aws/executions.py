"""Executions of the state machine that copies by ranges, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

RUNNING, MISSING = "RUNNING", "MISSING"
ABSENT = "ExecutionDoesNotExist"


class ExecutionsClient(Protocol):
    """What is called of boto3's `stepfunctions`."""

    def start_execution(self, **_: str) -> Mapping[str, Any]: ...

    def stop_execution(self, **_: str) -> Mapping[str, Any]: ...

    def describe_execution(self, **_: str) -> Mapping[str, Any]: ...


def start(client: ExecutionsClient, machine: str, name: str, document: str) -> None:
    """Start an execution. One that runs already under this name and input is left alone."""
    client.start_execution(stateMachineArn=machine, name=name, input=document)


def stop(client: ExecutionsClient, machine: str, name: str, cause: str) -> None:
    """Stop an execution that runs; its function calls under way go on. One that ends by itself meanwhile has ended."""
    if state(client, machine, name)[0] != RUNNING:
        return
    try:
        client.stop_execution(executionArn=_arn(machine, name), cause=cause)
    except ClientError:
        if state(client, machine, name)[0] == RUNNING:
            raise


def state(client: ExecutionsClient, machine: str, name: str) -> tuple[str, str]:
    """The execution's status, MISSING when there is none, and why it failed."""
    try:
        found = client.describe_execution(executionArn=_arn(machine, name))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != ABSENT:
            raise
        return MISSING, ""
    return found["status"], str(found.get("cause", ""))


def _arn(machine: str, name: str) -> str:
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
