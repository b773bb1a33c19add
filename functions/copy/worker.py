"""Copy's function: works on one lane of one entity until shortly before its time is up, then calls its successor.

As the schedule calls it, it only calls a worker for each lane.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws import dynamodb, environment
from functions.aws.dynamodb import TransientDynamoError
from functions.aws.mysql_errors import TransientError
from functions.aws.quarantine import Quarantine
from functions.aws.retry import back_off
from functions.copy import range_worker
from functions.copy.lane import CopyLane, LaneTargets, Round
from functions.copy.lease import LeaseLostError
from functions.domain import names
from functions.domain.entities import Entity

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_lambda import LambdaClient

STOP_BEFORE_SECONDS = 15.0  # seconds before the function's timeout at which it begins no further round
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.1, 0.5  # seconds between two looks at an empty queue, at first and at last
URGENT_LOOK_SECONDS = 0.15  # while clients wait or are about to; with a hundred looks a second they would wait longer
FEW_ROWS = 20  # rows of a round after which more are waited for, since a round costs ten requests
GATHER_SECONDS = 0.3  # of that wait; no client waits for this lag, and none is added while clients wait
START_ATTEMPTS = 8  # tries to read the journal and take the lease
READ_TIMEOUT = 15  # seconds for a statement: copy's are short, and Aurora may be failing over
STOPPED, HELD, LOST, OVER = "stopped", "held", "lost", "over"

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes {"entity", "lane"}; answers how it ended: `stopped`, `held` by another worker, `lost` to one, or `over`.

    An event of the first lane that is not for that lane `alone` calls a worker for each; it answers `called`. An event
    with a `step` is one of a backfill by ranges.

    After a transient error it waits; any other is raised once the lane is released.
    """
    if event.get("lane") == 0 and not event.get("alone"):  # why so: the event of a schedule from before ADR 0029
        return _call_workers(event["entity"], context)
    entity = environment.mapping()[event["entity"]]
    remaining = lambda: context.get_remaining_time_in_millis() / 1000  # noqa: E731  # both kinds of work ask it
    if "step" in event:
        return range_worker.step(
            event, entity, _targets(entity, context), remaining, partial(_call_workers, entity.name, context)
        )
    lane = int(event["lane"])
    work = LaneWork(_lane(entity, lane, context), remaining)
    ended = work.run()
    logger.info("copy ended", extra={"entity": entity.name, "lane": lane, "ended": ended, "rows": work.rows})
    if ended == OVER:
        _call_successor(entity.name, lane, context)
    return {ended: True, "rows": work.rows}


@dataclass
class LaneWork:
    """A worker on its lane, until its time is up.

    Args:
        remaining: seconds that it may still run.
        sleep: waits for some seconds.
    """

    lane: CopyLane
    remaining: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    rows: int = field(default=0, init=False)
    _idle: float = field(default=FIRST_LOOK_SECONDS, init=False)
    _failures: int = field(default=0, init=False)

    def run(self) -> str:
        """Rounds until copy stops, the lane is another's, or the time is up; returns which."""
        if not self._retried(self.lane.records.read).runs:
            return STOPPED
        if not self._take():
            return HELD
        try:
            return self._rounds()
        except LeaseLostError:
            return LOST
        finally:
            self._release()

    def _take(self) -> bool:
        """Take the lane; that of a dead worker as soon as its lease ends."""
        lease = self.lane.lease
        if self._retried(lease.take):
            return True
        wait = self._retried(lease.vacancy)
        self.sleep(wait)
        return bool(wait) and self._retried(lease.take)

    def _rounds(self) -> str:
        while self.remaining() > STOP_BEFORE_SECONDS:
            try:
                done = self.lane.round()
            except (TransientError, TransientDynamoError) as error:
                self._recover(error)
                continue
            self._failures = 0
            if not done.running:
                return STOPPED
            self.rows += done.rows
            self._rest(done)
        return OVER

    def _recover(self, error: Exception) -> None:
        self._failures += 1
        wait = back_off(self._failures)
        logger.warning("copy waits", extra={"reason": str(error), "seconds": round(wait, 2)})
        self.sleep(wait)

    def _rest(self, done: Round) -> None:
        if done.rows or done.enqueued:
            self._idle = FIRST_LOOK_SECONDS
            if done.rows < FEW_ROWS and not done.enqueued and not done.hurries:
                self.sleep(FIRST_LOOK_SECONDS if done.attends else GATHER_SECONDS)
        elif done.wait:
            self.sleep(min(done.wait, 1.0))  # why a bound: limits change while it runs
        elif done.attends:
            self.sleep(URGENT_LOOK_SECONDS)
        else:
            self.sleep(self._idle)
            self._idle = min(LAST_LOOK_SECONDS, self._idle * 1.5)

    def _retried(self, call: Callable[[], Any]) -> Any:
        for attempt in range(START_ATTEMPTS):
            try:
                return call()
            except TransientDynamoError:
                if attempt == START_ATTEMPTS - 1:
                    raise
            self.sleep(back_off(attempt))
        return None

    def _release(self) -> None:
        try:
            self._retried(self.lane.report)
            self._retried(self.lane.lease.release)
        except TransientDynamoError:
            logger.warning("the lane was not released; its lease ends by itself")


def _lane(entity: Entity, lane: int, context: LambdaContext) -> CopyLane:
    # why not the request's id alone: a retry of an invocation has the same one
    owner = f"{context.aws_request_id}/{uuid.uuid4().hex[:8]}"
    return CopyLane(entity, lane, _targets(entity, context), owner=owner)


def _targets(entity: Entity, context: LambdaContext) -> LaneTargets:
    quarantine = Quarantine(
        environment.dynamodb(), environment.variable("QUARANTINE_TABLE"), context.aws_request_id, stream=""
    )
    return LaneTargets(
        database=environment.database(entity.legacy.database, seconds=READ_TIMEOUT),
        dynamodb=dynamodb.dynamodb(),
        table=json.loads(environment.variable("TABLES"))[entity.name],
        journal=environment.variable("JOURNAL_TABLE"),
        quarantine=partial(quarantine.put_copied, entity.name),
    )


def _call_workers(entity: str, context: LambdaContext) -> dict[str, Any]:
    """Call a worker for each lane, also after one call that failed, which is raised when all were tried."""
    failed: list[Exception] = []
    for lane in range(names.LANES):
        try:
            _call(entity, lane, context)
        except (ClientError, BotoCoreError) as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return {"called": names.LANES}


def _call(entity: str, lane: int, context: LambdaContext) -> None:
    event = json.dumps({"entity": entity, "lane": lane, "alone": True}).encode()
    _functions().invoke(FunctionName=context.function_name, InvocationType="Event", Payload=event)


def _call_successor(entity: str, lane: int, context: LambdaContext) -> None:
    """Start the next worker; if that fails, the schedule starts one within a minute."""
    try:
        _call(entity, lane, context)
    except (ClientError, BotoCoreError):
        logger.exception("the successor could not be called")


@cache
def _functions() -> LambdaClient:
    return boto3.Session().client("lambda", config=Config(connect_timeout=2, read_timeout=5))
