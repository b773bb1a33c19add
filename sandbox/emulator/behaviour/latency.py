"""Calls that take as long as on AWS, for the bench: on a loopback nothing shows what batching saves.

Off by default. `sandbox up --latency aws` and `STREAMBACK_LATENCY=aws` add to each call, as its median or its range:

| call | added | source |
|---|---|---|
| DynamoDB | 3 ms | GetItem and PutItem take single-digit milliseconds on average: |
| | | https://repost.aws/knowledge-center/dynamodb-high-latency |
| Lambda | 10 to 20 ms | from a message in SQS to its handler: 13.7 ms at P10, 16.2 ms at P50: |
| | | https://bitesizedserverless.com/bite/serverless-messaging-latency-compared/ |
| Data API | 5 ms | a low estimate, since AWS publishes none. A Java function with one statement by the Data API takes |
| | | 105 ms at P50: https://dev.to/aws-builders/data-api-for-amazon-aurora-serverless-v2-with-aws-sdk-for-java-part-5-basic-cold-and-warm-starts-measurements-4gi9 |

A low estimate shows less than what batching saves. A call's own time in the sandbox comes on top. DynamoDB and the Data
API have a jitter by which one call in a hundred takes more than twice the median. This is no gap of MiniStack but a
tool, and stays.
"""  # noqa: E501  # an address
# pyright: basic

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from sandbox.emulator.behaviour.throttling import SCOPE
from sandbox.emulator.patching import check_version, wrap
from sandbox.state import of_environment

VARIABLE = "STREAMBACK_LATENCY"  # names the latency of a new sandbox
MEDIAN_SECONDS = {b"rds-data": 0.005, b"dynamodb": 0.003}  # by the service in a request's signature
INVOKE_SECONDS = (0.010, 0.020)  # the range, by all callers: Lambda's own API, API Gateway and stream mappings
JITTER = 0.35  # sigma of the logarithm

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Latency(StrEnum):
    """How long calls take."""

    NONE = "none"  # as long as the sandbox itself
    AWS = "aws"


def default() -> Latency:
    """The latency of a sandbox for which none is chosen.

    Raises:
        SandboxError: the environment names another.
    """
    return of_environment(VARIABLE, Latency.NONE)


def install(latency: Latency) -> None:
    """Have each invocation of a function begin later."""
    from ministack.services import lambda_svc as functions  # noqa: PLC0415  # it reads the environment when imported

    check_version("behaviour/latency")
    if latency == Latency.AWS:
        wrap(functions, "_execute_function_warm", _late)


def wrapped(application: Application, latency: Latency) -> Application:
    """The ASGI application, which takes requests to some services later."""
    if latency == Latency.NONE:
        return application

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(delay(_service(scope)))
        await application(scope, receive, send)

    return serve


def delay(service: bytes) -> float:
    """Seconds by which a request to a service is late; drawn anew for each."""
    return MEDIAN_SECONDS.get(service, 0.0) * random.lognormvariate(0, JITTER)


def _service(scope: dict[str, Any]) -> bytes:
    signed = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    found = SCOPE.search(signed)
    return found[1] if found else b""


def _late(stock: Any) -> Any:
    def execute(*arguments: Any) -> Any:
        time.sleep(random.uniform(*INVOKE_SECONDS))  # noqa: S311  # jitter
        return stock(*arguments)

    return execute
