"""Calls of legacy's own write function, as API Gateway would make them, by the templates of entities.toml.

No call is repeated here whose answer was lost: the function may have run. One that Lambda has refused has not run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.retry import back_off
from functions.domain.contract import ApiContract

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MOST_CALLS = 10  # at once in one invocation, so that ten bridges take a tenth of an account's 1,000 executions
ATTEMPTS = 4  # at a call that Lambda refuses, since too many functions run
SHOWN = 300  # characters of an answer in a reason
TRANSIENT_STATUSES = frozenset({408, 425, 429})
REFUSED = range(400, 500)
BUSY = frozenset({"TooManyRequestsException", "EC2ThrottledException", "ResourceConflictException"})
MISSING = frozenset({"AccessDeniedException", "ResourceNotFoundException", "KMSAccessDeniedException"})
SLACK_SECONDS = 5  # that an answer may take beside the function itself


class Ending(Enum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused"  # by the function's own rules: the same call would be refused again
    FAILED = "failed"  # for a reason that may pass
    LOST = "lost"  # without an answer: the function may run still
    BUSY = "busy"  # Lambda did not run it
    BLOCKED = "blocked"  # an operator must act


@dataclass(frozen=True)
class Reply:
    """How a call ended, and what was wrong; empty for a success."""

    ending: Ending
    problem: str = ""


def config(timeout: int) -> Config:
    """How boto3 is to call a function with this timeout: once."""
    return Config(
        retries={"total_max_attempts": 1},
        connect_timeout=3,
        read_timeout=timeout + SLACK_SECONDS,
        max_pool_connections=MOST_CALLS,
    )


@dataclass(frozen=True)
class LegacyCalls:
    """The write function of one entity.

    Attributes:
        functions: boto3's `lambda`, made with `config`.
        function: its name, with the alias that the team's callers use.
        timeout: seconds that it may run.
    """

    functions: LambdaClient
    function: str
    timeout: int
    contract: ApiContract

    def send(self, name: str, values: Mapping[str, Any]) -> Reply:
        """Make one of the contract's calls.

        Args:
            values: the record's fields as JSON has them, and its key under `id`.
        """
        call = self.contract.calls[name]
        payload = json.dumps(call.event(values), ensure_ascii=False).encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self.functions.invoke(FunctionName=self.function, Payload=payload)
                text = answer["Payload"].read().decode() or "null"
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in BUSY and attempt < ATTEMPTS:
                    time.sleep(back_off(attempt))
                    continue
                return Reply(_ending(code), f"{self.function} could not be called: {error}")
            except BotoCoreError as error:
                return Reply(Ending.LOST, f"{self.function} did not answer {call.operation}: {error}")
            if answer.get("FunctionError"):
                return Reply(Ending.FAILED, f"{self.function} failed at {call.operation}: {text[:SHOWN]}")
            return self._judged(name, text)
        raise AssertionError  # the last attempt returns

    def _judged(self, name: str, text: str) -> Reply:
        call = self.contract.calls[name]
        found: Any = json.loads(text)
        if not isinstance(found, Mapping):
            answered = f"{self.function} answered {call.operation} with {text[:SHOWN]}, which is no answer to an API"
            return Reply(Ending.FAILED, answered)
        answer = cast("Mapping[str, Any]", found)
        problem = call.success.problem(answer)
        if not problem:
            return Reply(Ending.DONE)
        status, body = int(answer.get("statusCode") or 0), str(answer.get("body") or "")
        says = f"{problem[:SHOWN]}" if body in problem else f"{problem}: {body[:SHOWN]}"
        refused = status in REFUSED and status not in TRANSIENT_STATUSES
        ending = Ending.REFUSED if refused else Ending.FAILED
        return Reply(ending, f"{self.function} answered {call.operation} with {says}")


def _ending(code: str) -> Ending:
    """How a call ended that Lambda itself answered with an error."""
    if code in BUSY:
        return Ending.BUSY
    return Ending.BLOCKED if code in MISSING else Ending.LOST
