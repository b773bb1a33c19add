"""Sends each public write to the source of truth, and holds it for a moment while that changes.

In each phase that lets a request through (`legacy`, `modern`, `complete`) the write that checks the phase also counts
the request in, by its own id. So once all gate records have another phase and hold no id, no request is inside a
writer. In every other phase the gate waits. Past the limit: 503, nothing written.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from functions.api.http_api import FENCED_HEADER
from functions.api.store import UnavailableError
from functions.aws.dynamodb import ServerClock
from functions.aws.retry import TRANSIENT_CODES
from functions.domain import names
from functions.domain.phase import Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient

REFUSED = "ConditionalCheckFailedException"
LEAVE_ATTEMPTS = 50
LEAVE_WAIT_SECONDS = 0.05  # seconds at most between two of them
MARGIN_SECONDS = 6.0  # that an answer may take whose time is compared, and one that it is rounded by
PHASE_HOLDS = "#phase = :phase"
NO_PHASE = "attribute_not_exists(#phase)"  # before the entity's first switch


class GateRecords:
    """An entity's gate records in the journal: each has the phase, and the requests inside a writer that it counts.

    A request belongs to one record, which its id chooses. An id counts until it is taken out or its time has passed:
    then its writer surely has ended, although the gate did not live to say so.
    """

    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._table = table
        self._entity = entity
        self._time = ServerClock()

    def now(self, request: str) -> Phase:
        """The phase that a request has to obey, as the last completed write left it."""
        before = {"entity": {"S": self._entity}, "record": {"S": names.GATE_RECORD}}
        try:
            found = self._phase(names.gate_key_of(self._entity, request)) or self._phase(before)
        except (ClientError, BotoCoreError) as error:
            if not _passes(error):
                raise
            return Phase.SWITCHING  # requests are held while the journal does not answer
        return Phase(found or Phase.LEGACY)

    def enter(self, request: str, phase: Phase, seconds: float, *, read: bool) -> bool:
        """Count a request in, if it is that phase still: check and count are one write, which may be repeated.

        Args:
            request: its id.
            phase: the one to obey.
            seconds: after which the request surely has ended.
            read: whether `now` has just answered that phase. If not, the record must be there.
        """
        until = {"N": str(round(self._time.now() + seconds))}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=names.gate_key_of(self._entity, request),
                UpdateExpression="SET #phase = :phase, #request = :until",
                ConditionExpression=f"{PHASE_HOLDS} OR {NO_PHASE}" if read else PHASE_HOLDS,
                ExpressionAttributeNames={"#phase": "phase", "#request": _attribute(request)},
                ExpressionAttributeValues={":phase": {"S": phase}, ":until": until},
            )
        except (ClientError, BotoCoreError) as error:
            if not _passes(error) and _name(error) != REFUSED:
                raise
            return False
        return True

    def leave(self, request: str) -> None:
        """Count a request out, again and again while DynamoDB is busy. What is not there any more stays so."""
        for _ in range(LEAVE_ATTEMPTS):
            try:
                return self._forget(request)
            except (ClientError, BotoCoreError) as error:
                if not _passes(error):
                    raise
            time.sleep(random.uniform(LEAVE_WAIT_SECONDS / 2, LEAVE_WAIT_SECONDS))  # noqa: S311  # jitter
        return self._forget(request)

    def _forget(self, request: str) -> None:
        """Take a request out of its record, and with it those whose time has passed: their gate has died."""
        left = self._remove(request, [_attribute(request)])
        now = self._time.now()
        ended = [name for name, until in left.items() if name.startswith(names.REQUEST_PREFIX) and _past(until, now)]
        if ended:
            self._remove(request, ended)

    def _remove(self, request: str, attributes: list[str]) -> Mapping[str, Any]:
        answer = self._time.read(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=names.gate_key_of(self._entity, request),
                UpdateExpression="REMOVE " + ", ".join(f"#a{number}" for number in range(len(attributes))),
                ExpressionAttributeNames={f"#a{number}": name for number, name in enumerate(attributes)},
                ReturnValues="ALL_NEW",
            )
        )
        return answer.get("Attributes", {})

    def _phase(self, key: Any) -> str:
        answer = self._time.read(lambda: self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True))
        found: Any = answer.get("Item", {})
        return str(found.get("phase", {}).get("S", ""))


def _attribute(request: str) -> str:
    return names.REQUEST_PREFIX + request


def _past(until: Mapping[str, Any], now: float) -> bool:
    return float(until.get("N", 0)) < now


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
    def now(self, request: str) -> Phase: ...

    def enter(self, request: str, phase: Phase, seconds: float, *, read: bool) -> bool:
        """Count a request in, if it is that phase still."""
        ...

    def leave(self, request: str) -> None: ...


class NotStartedError(Exception):
    """The writer took no request now."""


class StillRunningError(UnavailableError):
    """No answer came, and the writer may still run: the request stays counted until its time has passed."""

    def __init__(self) -> None:
        super().__init__(maybe_written=True)


@dataclass(frozen=True)
class WriterFunction:
    """A writer function.

    Args:
        client: boto3's `lambda`, which must not repeat calls by itself.
        marks: whether the event says that the request is counted in; a foreign function gets the event as it came.
    """

    client: LambdaClient
    function: str
    marks: bool = False

    def get_ready(self) -> None:
        """Make the first call to Lambda, which takes longest, without starting the function."""
        with contextlib.suppress(ClientError, BotoCoreError):
            self.client.invoke(FunctionName=self.function, InvocationType="DryRun")

    def __call__(self, event: Event) -> Answer:
        """Its answer to an API event.

        Raises:
            NotStartedError: nothing was written.
            StillRunningError: no answer came.
            UnavailableError: it ended, not well, and may have written.
        """
        sent = {**event, names.GATE_MARK: True} if self.marks else event
        try:
            reply = self.client.invoke(FunctionName=self.function, Payload=json.dumps(sent).encode())
        except ClientError as error:
            name = str(cast("Any", error).response["Error"]["Code"])
            if name in NOT_STARTED:
                raise NotStartedError(name) from error
            raise StillRunningError from error
        except BotoCoreError as error:
            raise StillRunningError from error
        answer = None if reply.get("FunctionError") else json.loads(reply["Payload"].read())
        if not isinstance(answer, dict):  # a foreign function may answer `null`, after it has written
            logger.error("a writer failed", extra={"function": self.function})
            raise UnavailableError(maybe_written=True)
        return cast("Answer", answer)


@dataclass(frozen=True, kw_only=True)
class Stays:
    """Seconds after which a request that was let in surely has ended, however it ended.

    Attributes:
        legacy: until its writer, if adopted, cannot write any more. Streamback's own may meet the fence, so it counts
            until no client can receive its answer.
        modern: until its writer cannot write any more.
    """

    legacy: float
    modern: float

    @classmethod
    def of(cls, own: float, modern: float = 0.0, legacy: float = 0.0) -> Stays:
        """Of the timeouts in seconds of the gate's own function and of the writers; 0 for one that does not count."""
        return cls(legacy=own + legacy + MARGIN_SECONDS, modern=own + modern + MARGIN_SECONDS)


@dataclass(kw_only=True)
class WriteGate:
    """The gate of one entity.

    After its first request it reads the phase only when counting in is refused: counting in checks the phase.

    Attributes:
        legacy: the legacy writer.
        modern: the modern writer.
        stays: how long a request is inside at most.
        limit: seconds that a request is held at most.
        poll: seconds before the second look at a request that is held: no switch is shorter, and a hundred requests
            that look all the time would slow down what they wait for.
        again: seconds before each look after that one.
    """

    phases: PhaseSource
    legacy: Callable[[Event], Answer]
    modern: Callable[[Event], Answer]
    stays: Stays
    limit: float
    poll: float = 0.3
    again: float = 0.2
    phase: Phase | None = field(default=None, init=False)  # in which the last request was counted in

    def __call__(self, event: Event) -> Answer:
        """The answer of whichever system is the source of truth.

        Raises:
            UnavailableError: it was held for too long and nothing was written, or a writer did not end well.
        """
        request = new_request()
        deadline, wait = time.monotonic() + self.limit, self.poll
        while True:
            answer = self._attempt(request, event)
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                raise UnavailableError
            time.sleep(wait * random.uniform(0.75, 1.25))  # noqa: S311  # jitter
            wait = self.again

    def _attempt(self, request: str, event: Event) -> Answer | None:
        answer = self._ask(request, self.phase, event, read=False) if self.phase else None
        if answer is None:
            phase = self.phases.now(request)
            answer = self._ask(request, phase, event, read=True)
            self.phase = phase if answer is not None else None
        return answer

    def _ask(self, request: str, phase: Phase, event: Event, *, read: bool) -> Answer | None:
        """The writer's answer; None when the request has to wait."""
        if phase in {Phase.SWITCHING, Phase.RETURNING}:
            return None
        seconds = self.stays.legacy if phase == Phase.LEGACY else self.stays.modern
        return self._counted(request, phase, event) if self.phases.enter(request, phase, seconds, read=read) else None

    def _counted(self, request: str, phase: Phase, event: Event) -> Answer | None:
        ended = True
        try:
            answer = (self.legacy if phase == Phase.LEGACY else self.modern)(event)
        except NotStartedError:
            logger.warning("a writer takes no request now")
            return None
        except StillRunningError:
            ended = False
            raise
        finally:
            if ended:
                self._leave(request)
        return None if phase == Phase.LEGACY and _fenced(answer) else answer

    def _leave(self, request: str) -> None:
        try:
            self.phases.leave(request)
        except (ClientError, BotoCoreError):
            logger.exception("a request could not be counted out")


def new_request() -> str:
    """The id of a request: a UUID in 22 characters, since DynamoDB counts the bytes of an attribute's name."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _fenced(answer: Answer) -> bool:
    """Whether the fence refused it. The header's name is looked for in any spelling."""
    headers = cast("dict[str, Any]", answer.get("headers") or answer.get("multiValueHeaders") or {})
    return any(name.lower() == FENCED_HEADER.lower() for name in headers)
