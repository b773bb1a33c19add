"""The modern API's reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api.http_api import Contract, resolve
from functions.api.store import Store
from functions.aws import dynamodb, environment
from functions.domain.entities import Entity
from functions.modern.table import ModernStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


def store_of(name: str) -> tuple[Entity, Store]:
    """The one entity this function was deployed for, and its items."""
    if name != environment.variable("ENTITY"):
        raise KeyError(name)
    entity = environment.mapping()[name]
    return entity, ModernStore(entity, dynamodb.dynamodb(), environment.variable("TABLE_NAME"))


app = Contract(store_of).reads()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers GET of a collection or a record."""
    return resolve(app, event, context)
