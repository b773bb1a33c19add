"""State machines that work as their role, keep to AWS's rules for names, and stop when they are stopped.

On AWS an execution takes on its machine's role, which must trust Step Functions and be allowed what its tasks call; a
Map in distributed mode starts its children as executions, which takes `states:StartExecution` on the machine itself.
MaxConcurrencyPath limits the children. A request to start an execution that runs already, with the same name and input,
gives that execution. After StopExecution no task begins, and the execution stays ABORTED. MiniStack does none of these.
https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
This file can go when it does.
"""
# pyright: basic

import json
import os
from functools import cache
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.responses import json_response
from ministack.services import iam
from ministack.services import stepfunctions as states

from sandbox.emulator.patching import check_version, wrap

SERVICE = "states.amazonaws.com"
LONGEST_TASK_SECONDS = 900  # Lambda's longest call
RUNNING, ABORTED = "RUNNING", "ABORTED"


def install() -> None:
    check_version("behaviour/state_machines")
    wrap(states, "_start_execution", _idempotent)
    wrap(states, "_run_distributed_map", _distributed)
    wrap(states, "_execute_task", _task)
    wrap(states, "_invoke_resource", _invoke)
    wrap(states, "_fail_execution", _not_when_stopped)


def _idempotent(stock: Any) -> Any:
    def start(data: dict[str, Any]) -> Any:
        arn = data.get("stateMachineArn", "").replace(":stateMachine:", ":execution:")
        present = states._executions.get(f"{arn}:{data.get('name')}")
        if present and present["status"] == RUNNING and present["input"] == data.get("input", "{}"):
            return json_response({"executionArn": present["executionArn"], "startDate": present["startDate"]})
        return stock(data)

    return start


def _distributed(stock: Any) -> Any:
    def run(state: dict[str, Any], raw: Any, effective: Any, *more: Any) -> Any:
        ctx = more[-1]
        machine = ctx["StateMachine"]["Id"]
        if not _may_start_itself(states._state_machines[machine]["roleArn"], machine):
            problem = f"{machine} is not authorized to perform: states:StartExecution on resource: {machine}"
            raise states._ExecutionError("States.Runtime", problem)
        if "MaxConcurrencyPath" in state:
            limit = states._resolve_path_or_ctx(state["MaxConcurrencyPath"], effective, ctx)
            state = {**state, "MaxConcurrency": limit}
        return stock(state, raw, effective, *more)

    return run


def _task(stock: Any) -> Any:
    """Call a function by Lambda's own API, as the machine's role; nothing once the execution is stopped."""

    def execute(state: dict[str, Any], raw: Any, execution: Any, ctx: Any) -> Any:
        if states._executions[ctx["Execution"]["Id"]]["status"] != RUNNING:
            raise states._ExecutionError("States.Runtime", "the execution was stopped")
        return stock({**state, "Resource": _Function(state["Resource"], ctx)}, raw, execution, ctx)

    return execute


class _Function(str):
    """A task's resource that knows whose it is: MiniStack passes the resource alone to what calls the function."""

    __slots__ = ("role",)

    def __new__(cls, resource: str, ctx: Any) -> Self:
        made = super().__new__(cls, resource)
        made.role = states._state_machines[ctx["StateMachine"]["Id"]]["roleArn"]
        return made


def _invoke(stock: Any) -> Any:
    def invoke(resource: str, payload: Any) -> Any:
        if not isinstance(resource, _Function) or ":function:" not in resource:
            return stock(resource, payload)
        return _called(str(resource), resource.role, payload)

    return invoke


def _called(function: str, role: str, payload: Any) -> Any:
    if not _trusts(role):
        raise states._ExecutionError("States.Runtime", f"{role} does not trust {SERVICE}")
    who = lambda_runtime.execution_credentials({"Role": role, "FunctionArn": function})
    client = _client(who["AWS_ACCESS_KEY_ID"], who["AWS_SECRET_ACCESS_KEY"], who["AWS_SESSION_TOKEN"])
    try:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    except ClientError as error:
        raise states._ExecutionError(f"Lambda.{error.response.get('Error', {}).get('Code')}", str(error)) from error
    body = answer["Payload"].read()
    if "FunctionError" in answer:
        raise states._ExecutionError(json.loads(body).get("errorType", "Lambda.Unknown"), body.decode())
    return json.loads(body)


def _not_when_stopped(stock: Any) -> Any:
    def fail(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] != ABORTED:
            stock(execution, error, cause)

    return fail


def _trusts(role: str) -> bool:
    document = (iam._roles.get(role.rpartition("/")[2]) or {}).get("AssumeRolePolicyDocument") or "{}"
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    return any(
        each.get("Effect") == "Allow" and iam_evaluator._service_principal_matches(each.get("Principal"), SERVICE)
        for each in statements
    )


def _may_start_itself(role: str, machine: str) -> bool:
    """Whether one of the role's own policies allows it; its boundary counts for what its functions do."""
    account = role.split(":")[4]
    policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], account)
    return any(
        statement.effect == "Allow"
        and iam_evaluator._action_matches("states:StartExecution", statement.actions, statement.not_actions)
        and iam_evaluator._resource_matches(machine, statement.resources, statement.not_resources)
        for policy in policies
        for statement in policy
    )


@cache
def _client(key: str, secret: str, token: str) -> Any:
    return boto3.Session().client(
        "lambda",
        region_name=states.REGION,
        endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=LONGEST_TASK_SECONDS, max_pool_connections=256),
    )
