"""The legacy writer: the API's writes, and the bridge's, which are stream events to the same code.

Deployed twice: behind the API with the legacy system's own user, and behind the stream with the bridge's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from functions.api.http_api import WARM, Contract, resolve, warm
from functions.aws import environment
from functions.aws.quarantine import Quarantine
from functions.bridge import stream_guard
from functions.bridge.apply import Applier
from functions.domain import changes
from functions.legacy.read import store_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
app = Contract(store_of).writes()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Takes an API event or a stream event; an error of a stream event is raised, so that it is delivered again."""
    if "Records" in event:
        return _from_stream(event, context)
    return warm(store_of, event) if WARM in event else resolve(app, event, context)


@metrics.log_metrics
def _from_stream(event: dict[str, Any], context: LambdaContext) -> None:
    entity = environment.mapping()[environment.variable("ENTITY")]
    stream = event["Records"][0]["eventSourceARN"]
    quarantine = Quarantine(
        environment.dynamodb(), environment.variable("QUARANTINE_TABLE"), context.aws_request_id, stream
    )
    database = environment.database(entity.legacy.database)
    stream_guard.check(database, entity, stream)
    applier = Applier(entity, database, quarantine)
    outcome = applier.apply(changes.from_stream(entity, event["Records"]))
    logger.info("applied a batch", extra={"records": len(event["Records"]), **outcome.counts()})
    for name, count in outcome.counts().items():
        metrics.add_metric(name=name, unit="Count", value=count)
