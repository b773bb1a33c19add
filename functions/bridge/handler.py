"""The bridge: applies batches of the DynamoDB stream to Aurora, as the bridge's MySQL user.

An API event goes to the legacy writer, whose code this is deployed with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from functions.aws import environment
from functions.aws.quarantine import Quarantine
from functions.bridge import stream_guard
from functions.bridge.apply import Applier
from functions.domain import changes
from functions.legacy import write

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Raises the error of a stream event, so that the mapping delivers the batch again."""
    return _apply(event, context) if "Records" in event else write.handler(event, context)


@metrics.log_metrics
def _apply(event: dict[str, Any], context: LambdaContext) -> None:
    entity = environment.mapping()[environment.variable("ENTITY")]
    stream = event["Records"][0]["eventSourceARN"]
    quarantine = Quarantine(
        environment.dynamodb(), environment.variable("QUARANTINE_TABLE"), context.aws_request_id, stream
    )
    database = environment.database(entity.legacy.database)
    stream_guard.check(database, entity, stream)
    outcome = Applier(entity, database, quarantine).apply(changes.from_stream(entity, event["Records"]))
    logger.info("applied a batch", extra={"records": len(event["Records"]), **outcome.counts()})
    for name, count in outcome.counts().items():
        metrics.add_metric(name=name, unit="Count", value=count)
