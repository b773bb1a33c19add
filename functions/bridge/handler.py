"""The bridge: applies batches of the DynamoDB stream to Aurora, as the bridge's MySQL user.

An API event goes to the legacy writer, whose code this is deployed with.

A batch that fails is delivered again, and halved by its mapping until the record at fault is alone. If that one fails
for an unknown reason again and again, it goes to quarantine: it must not hold up the records behind it. One that needs
a row of another table is waited for likewise (`functions.bridge.retries`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics

from functions.aws import environment
from functions.aws.data_api import DataApi
from functions.aws.dynamodb import read_at_one_moment, table_of_stream
from functions.aws.mysql_errors import DataApiError
from functions.aws.quarantine import Quarantine
from functions.bridge import legacy_calls, ownership, stream_guard
from functions.bridge.apply import Applier
from functions.bridge.by_function import FunctionApplier
from functions.bridge.legacy_calls import LegacyCalls
from functions.bridge.permits import Owner
from functions.bridge.retries import FUNCTION_SECONDS, MOST_TRIES, OF_A_ROW, RetryingQuarantine
from functions.domain import changes
from functions.domain.changes import Change
from functions.domain.entities import Entity

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_lambda import LambdaClient


logger = Logger()
metrics = Metrics()
_owner = Owner()  # this process has one invocation at a time


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Raises the error of a stream event, so that the mapping delivers the batch again."""
    if "Records" in event:
        _apply(event, context)
        return None
    from functions.legacy import write  # noqa: PLC0415  # a stream's cold start would take a seventh longer

    return write.handler(event, context)


@metrics.log_metrics
def _apply(event: dict[str, Any], context: LambdaContext) -> None:
    entity = environment.mapping()[environment.variable("ENTITY")]
    stream = event["Records"][0]["eventSourceARN"]
    quarantine = Quarantine(
        environment.dynamodb(), environment.variable("QUARANTINE_TABLE"), context.aws_request_id, stream
    )
    database = environment.database(entity.legacy.database)
    stream_guard.check(database, entity, stream)
    authority = ownership.read(database, entity)  # before the records: what came later is modern's
    replaying = entity.replayed and authority.fenced
    coalesced = changes.each_from_stream if replaying else changes.from_stream
    found = coalesced(entity, event["Records"], authority.copy_idle)
    read = partial(read_at_one_moment, environment.dynamodb(), table_of_stream(stream), entity.modern.key)
    to = (entity, database, RetryingQuarantine(quarantine), stream, read)
    ends = partial(_seconds_left, context)
    applier = FunctionApplier(*to, _legacy_calls(entity), ends, _owner) if replaying else Applier(*to)
    try:
        outcome = applier.apply(found, authority)
    except DataApiError as error:
        if len(found) > 1 or type(error) is not DataApiError or not _is_given_up(entity, database, quarantine, found):
            raise
        reason = f"{MOST_TRIES} tries failed, for an unknown reason: {error}"
        outcome = applier.give_up(found[0], reason, error.code)
    stream_guard.check(database, entity, stream)  # a statement that came after the adoption of another did nothing
    if outcome.disconnected:
        logger.warning("the entity is disconnected: `runbook copy start` or `runbook init` connects it")
    logger.info("applied a batch", extra={"records": len(event["Records"]), **outcome.counts()})
    for name, count in outcome.counts().items():
        metrics.add_metric(name=name, unit="Count", value=count)


def _seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _legacy_calls(entity: Entity) -> LegacyCalls:
    assert entity.contract is not None, "replay has a contract"
    timeout = int(environment.variable("REPLAY_TIMEOUT"))
    return LegacyCalls(_functions(timeout), environment.variable("REPLAY_FUNCTION"), timeout, entity.contract)


@cache
def _functions(timeout: int) -> LambdaClient:
    return boto3.Session().client("lambda", config=legacy_calls.config(timeout))


def _is_given_up(entity: Entity, database: DataApi, quarantine: Quarantine, found: Sequence[Change]) -> bool:
    """Whether a change has failed often enough, while its table can be read."""
    if not found or found[0].kind not in OF_A_ROW:
        return False
    tries = quarantine.tried(entity.name, found[0])
    if tries.count < MOST_TRIES or (entity.replayed and tries.seconds < FUNCTION_SECONDS):
        return False
    database.query(f"SELECT 1 FROM `{entity.legacy.table}` LIMIT 1")  # noqa: S608  # a checked name
    return True
