"""Copy's calls to DynamoDB: short, never repeated by the SDK, with errors that say whether to try again."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer = TypeVar("Answer")
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
LONGEST = 8.0  # seconds after which a request has surely ended: both timeouts, and one more
INVALID, REFUSED = "ValidationException", "ConditionalCheckFailedException"
PASSING = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
    }
)


class PassingError(Exception):
    """It may work when tried again."""


class InDoubtError(PassingError):
    """No answer came: what was asked may still be done, for a moment. Wait `LONGEST` before doing anything else."""


class RefusedError(Exception):
    """The condition of a write does not hold; nothing was written."""


class InvalidError(Exception):
    """DynamoDB takes no such request; repeating it helps nothing."""


@cache
def dynamodb() -> DynamoDBClient:
    """DynamoDB as copy calls it."""
    return boto3.Session().client("dynamodb", config=CONFIG)


def called(call: Callable[[], Answer]) -> Answer:
    """What a call to DynamoDB answers.

    Raises:
        PassingError: or one of this file's others; an error that nobody foresaw is boto3's own.
    """
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        raise _meaning(error) from error


def _meaning(error: ClientError | BotoCoreError) -> Exception:
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return PassingError(f"DynamoDB could not be reached: {error}")
    if not isinstance(error, ClientError):
        return InDoubtError(f"DynamoDB did not answer: {error}")
    details = cast("dict[str, str]", error.response.get("Error", {}))
    name, text = details.get("Code", ""), details.get("Message", "")
    if name in PASSING:
        return PassingError(f"{name}: {text}")
    if name == REFUSED:
        return RefusedError(text)
    return InvalidError(text) if name == INVALID else error


def backoff(attempt: int, first: float = 0.05, most: float = 5.0) -> float:
    """Seconds to wait before try `attempt` + 1, with full jitter above the first step."""
    return first + random.uniform(0, min(most, first * 2**attempt))  # noqa: S311  # jitter
