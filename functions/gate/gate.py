"""Sends each public write to the source of truth, and holds it for a moment while that changes.

In phase `legacy` the fence decides: what it refuses was not written, so the gate waits and sends the request again. In
phase `modern` the write that checks the phase also counts the request in. So once the phase has left `modern` and the
count is back at zero, no request is inside. In every other phase the gate waits. Past the limit: 503, nothing written.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from functions.api.http_api import FENCED_HEADER
from functions.api.store import UnavailableError
from functions.domain.phase import Phase

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
from typing import TYPE_CHECKING

from functions.aws.retry import BUSY_CODES, TRANSIENT_CODES
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REFUSED = "ConditionalCheckFailedException"
LEAVE_ATTEMPTS = 50
LEAVE_WAIT_SECONDS = 0.05  # seconds at most between two of them


class GateRecord:
    """One entity's gate record in the journal: `phase`, and `inflight`, the requests inside modern's writer.

    Args:
        client: boto3's `dynamodb`, which must not repeat a count by itself: one too many only delays the way back,
            one too few would open it too early.
    """

    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._place: dict[str, Any] = {
            "TableName": table,
            "Key": {"entity": {"S": entity}, "record": {"S": names.GATE_RECORD}},
        }

    def now(self) -> Phase:
        """The phase as the last completed write left it."""
        try:
            found = self._client.get_item(**self._place, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            if not _passes(error):
                raise
            return Phase.SWITCHING  # requests are held while the journal does not answer
        return Phase(cast("dict[str, Any]", found.get("Item", {})).get("phase", {}).get("S", Phase.LEGACY))

    def enter(self, phase: Phase) -> bool:
        """Count a request in, if it is that phase still: check and count are one write."""
        try:
            self._count(1, ConditionExpression="#phase = :phase", phase=phase)
        except (ClientError, BotoCoreError) as error:
            if not _passes(error) and _name(error) != REFUSED:
                raise
            return False
        return True

    def leave(self) -> None:
        """Count a request out, again and again while the record is busy: then it surely was not counted.

        Any other failure may have counted. Should it fail for good, the way back waits for as long as a writer may run.
        """
        for _ in range(LEAVE_ATTEMPTS):
            try:
                return self._count(-1)
            except ClientError as error:
                if _name(error) not in BUSY_CODES:
                    raise
            time.sleep(random.uniform(LEAVE_WAIT_SECONDS / 2, LEAVE_WAIT_SECONDS))  # noqa: S311  # jitter
        return self._count(-1)

    def _count(self, step: int, phase: str = "", **condition: str) -> None:
        values: dict[str, Any] = {":step": {"N": str(step)}}
        named = {"#inflight": "inflight"}
        if phase:
            values[":phase"] = {"S": phase}
            named["#phase"] = "phase"
        self._client.update_item(
            **self._place,
            **cast("Any", condition),
            UpdateExpression="ADD #inflight :step",
            ExpressionAttributeNames=named,
            ExpressionAttributeValues=values,
        )


def _passes(error: ClientError | BotoCoreError) -> bool:
    return not isinstance(error, ClientError) or _name(error) in TRANSIENT_CODES


def _name(error: ClientError | BotoCoreError) -> str:
    return str(cast("Any", error).response["Error"]["Code"]) if isinstance(error, ClientError) else ""


Event = dict[str, Any]
Answer = dict[str, Any]
# The writer was not started.
NOT_STARTED = frozenset({"TooManyRequestsException", "EC2ThrottledException"})

logger = Logger(child=True)


class PhaseSource(Protocol):
    def now(self) -> Phase: ...

    def enter(self, phase: Phase) -> bool:
        """Count a request in, if it is that phase still."""
        ...

    def leave(self) -> None: ...


class NotStartedError(Exception):
    """The writer took no request now."""


@dataclass(frozen=True)
class WriterFunction:
    """A writer function.

    Args:
        client: boto3's `lambda`, which must not repeat calls by itself.
    """

    client: LambdaClient
    function: str

    def get_ready(self) -> None:
        """Make the first call to Lambda, which takes longest, without starting the function."""
        with contextlib.suppress(ClientError, BotoCoreError):
            self.client.invoke(FunctionName=self.function, InvocationType="DryRun")

    def __call__(self, event: Event) -> Answer:
        """Its answer to an API event.

        Raises:
            NotStartedError: nothing was written.
            UnavailableError: it did not end well, and may have written.
        """
        try:
            reply = self.client.invoke(FunctionName=self.function, Payload=json.dumps(event).encode())
        except ClientError as error:
            name = str(cast("Any", error).response["Error"]["Code"])
            if name in NOT_STARTED:
                raise NotStartedError(name) from error
            raise UnavailableError(maybe_written=True) from error
        except BotoCoreError as error:
            raise UnavailableError(maybe_written=True) from error
        if reply.get("FunctionError"):
            logger.error("a writer failed", extra={"function": self.function})
            raise UnavailableError(maybe_written=True)
        return json.loads(reply["Payload"].read())


@dataclass(kw_only=True)
class WriteGate:
    """The gate of one entity.

    In phase `modern` it looks no more: counting in checks the phase.

    Attributes:
        legacy: the legacy writer.
        modern: the modern writer.
        limit: seconds that a request is held at most.
        poll: seconds before the second look at a request that is held: no switch is shorter, and a hundred requests
            that look all the time would slow down what they wait for.
        again: seconds before each look after that one.
    """

    phases: PhaseSource
    legacy: Callable[[Event], Answer]
    modern: Callable[[Event], Answer]
    limit: float
    poll: float = 0.3
    again: float = 0.2
    _counts: Phase | None = field(default=None, init=False)  # the phase in which the last request was counted in

    def __call__(self, event: Event) -> Answer:
        """The answer of whichever system is the source of truth.

        Raises:
            UnavailableError: it was held for too long and nothing was written, or a writer did not end well.
        """
        deadline, wait = time.monotonic() + self.limit, self.poll
        while True:
            answer = self._attempt(event)
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                raise UnavailableError
            time.sleep(wait * random.uniform(0.75, 1.25))  # noqa: S311  # jitter
            wait = self.again

    def _attempt(self, event: Event) -> Answer | None:
        answer = self._ask(self._counts, event) if self._counts else None
        if answer is None:
            phase = self.phases.now()
            answer = self._ask(phase, event)
            self._counts = phase if answer is not None and phase != Phase.LEGACY else None
        return answer

    def _ask(self, phase: Phase, event: Event) -> Answer | None:
        try:
            if phase == Phase.LEGACY:
                answer = self.legacy(event)
                return None if _fenced(answer) else answer
            if phase in (Phase.MODERN, Phase.COMPLETE) and self.phases.enter(phase):
                return self._counted(event)
        except NotStartedError:
            logger.warning("a writer takes no request now")
        return None

    def _counted(self, event: Event) -> Answer:
        try:
            return self.modern(event)
        finally:
            try:
                self.phases.leave()
            except (ClientError, BotoCoreError):
                logger.exception("a request could not be counted out")


def _fenced(answer: Answer) -> bool:
    """Whether the fence refused it. The header's name is looked for in any spelling."""
    headers = cast("dict[str, Any]", answer.get("headers") or answer.get("multiValueHeaders") or {})
    return any(name.lower() == FENCED_HEADER.lower() for name in headers)
