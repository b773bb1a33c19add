"""The legacy writer: the API's writes, with the legacy system's own MySQL user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api.http_api import WARM, Contract, resolve, warm
from functions.legacy.read import store_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
app = Contract(store_of).writes()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return warm(store_of, event) if WARM in event else resolve(app, event, context)
