"""Schedules that call a function as their role, and in time.

On AWS a schedule takes on its role, which must trust EventBridge Scheduler, and calls its function by Lambda's own API,
asynchronously, within its minute. MiniStack fires schedules, but looks every ten seconds, asks no role for anything and
goes around Lambda's API, so that the call is neither tried again nor counted. This file can go when it asks the role.
"""
# pyright: basic

import json
import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import eventbridge, iam, scheduler

from sandbox.emulator.patching import check_version, wrap
from sandbox.errors import SandboxError

SERVICE = "scheduler.amazonaws.com"
SOURCE = "aws.scheduler"  # of an event that a schedule makes
SWEEP = 1  # seconds between two looks at what is due


def install() -> None:
    check_version("behaviour/schedules")
    scheduler._SCHEDULE_TICK_INTERVAL = SWEEP
    wrap(eventbridge, "_invoke_target", _as_role)


def _as_role(stock: Any) -> Any:
    def invoke(target: dict[str, Any], event: dict[str, Any], *more: Any, **named: Any) -> None:
        if event.get("Source") == SOURCE and ":lambda:" in target["Arn"]:
            _call(target, event)  # MiniStack writes what this raises into the server's log
        else:
            stock(target, event, *more, **named)

    return invoke


def _call(target: dict[str, Any], event: dict[str, Any]) -> None:
    """Call the target's function with what the schedule gives it, else with AWS's own event."""
    if not _trusts(target["RoleArn"]):
        raise SandboxError(f"{target['RoleArn']} does not trust {SERVICE}")
    payload = target.get("Input") or json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
    who = lambda_runtime.execution_credentials({"Role": target["RoleArn"], "FunctionArn": target["Arn"]})
    client = _client(who["AWS_ACCESS_KEY_ID"], who["AWS_SECRET_ACCESS_KEY"], who["AWS_SESSION_TOKEN"])
    client.invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload.encode())


def _trusts(role: str) -> bool:
    found = iam._roles.get(role.rpartition("/")[2]) or {}
    document = found.get("AssumeRolePolicyDocument") or "{}"
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    return any(
        each.get("Effect") == "Allow" and iam_evaluator._service_principal_matches(each.get("Principal"), SERVICE)
        for each in statements
    )


@cache
def _client(key: str, secret: str, token: str) -> Any:
    return boto3.Session().client(
        "lambda",
        region_name=scheduler.REGION,
        endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )
