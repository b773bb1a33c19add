"""Metrics that AWS records by itself.

API Gateway's, those of a function that API Gateway calls, a stream mapping's iterator age, and those in the log (EMF).
MiniStack records none of the four (of functions only those called by Invoke); alarms, `runbook status` and the watch of
`runbook cutover reads` look at them. This file can go when it does.
"""
# pyright: basic

import json
import time
from typing import Any

from ministack.services import apigateway_v1 as api
from ministack.services import cloudwatch
from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap

CLIENT_ERROR, SERVER_ERROR = 400, 500


def install() -> None:
    check_version("behaviour/metrics")
    wrap(api, "_handle_execute_in_scope", _measuring_requests)
    wrap(functions, "_execute_function", _measuring_calls)
    wrap(api, "_call_lambda_raw", _measuring_functions)


def _measuring_requests(stock: Any) -> Any:
    async def handle(api_id: str, stage: str, *more: Any, **named: Any) -> Any:
        begun = time.monotonic()
        answer = await stock(api_id, stage, *more, **named)
        name = (api._rest_apis.get(api_id) or {}).get("name")
        if name:
            _record_request(name, stage, answer[0], (time.monotonic() - begun) * 1000)
        return answer

    return handle


def _record_request(name: str, stage: str, status: int, milliseconds: float) -> None:
    place = {"ApiName": name, "Stage": stage}
    values = (
        ("Count", 1, "Count"),
        ("4XXError", int(CLIENT_ERROR <= status < SERVER_ERROR), "Count"),
        ("5XXError", int(status >= SERVER_ERROR), "Count"),
        ("Latency", milliseconds, "Milliseconds"),
    )
    for metric, value, unit in values:
        cloudwatch.record_metric("AWS/ApiGateway", metric, value, unit, place)


def _measuring_functions(stock: Any) -> Any:
    async def call(reference: str, event: Any, **scope: Any) -> Any:
        begun = time.monotonic()
        result, missing = await stock(reference, event, **scope)
        if result is not None and not result.get("throttle"):  # a throttled one is recorded where it is refused
            name = functions._get_func_record_for_ref_in_scope(reference, **scope)[2]
            took = (time.monotonic() - begun) * 1000
            functions._emit_lambda_metrics(name, took, error=bool(result.get("error")), throttle=False)
        return result, missing

    return call


def _measuring_calls(stock: Any) -> Any:
    def execute(function: dict[str, Any], event: Any, *more: Any, **named: Any) -> Any:
        name = str((function.get("config") or function).get("FunctionName"))
        records = event.get("Records") if isinstance(event, dict) else None
        if records and records[0].get("eventSource") == "aws:dynamodb":
            _record_age(name, records)
        answer = stock(function, event, *more, **named)
        for line in (answer.get("log") or "").split("\n"):
            if '"_aws"' in line:
                _record_embedded(line)
        return answer

    return execute


def _record_age(function: str, records: list[dict[str, Any]]) -> None:
    age = (time.time() - float(records[-1]["dynamodb"]["ApproximateCreationDateTime"])) * 1000
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", max(0, age), "Milliseconds", {"FunctionName": function})


def _record_embedded(line: str) -> None:
    try:
        document = json.loads(line)
    except ValueError:
        return
    for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
        for dimensions in directive.get("Dimensions") or [[]]:
            place = {name: str(document.get(name)) for name in dimensions}
            for metric in directive.get("Metrics", []):
                found = document.get(metric["Name"])
                for value in found if isinstance(found, list) else [found]:
                    if value is not None:
                        unit = metric.get("Unit", "None")
                        cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, place)
