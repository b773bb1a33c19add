"""The legacy API's reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api.http_api import Contract, resolve
from functions.api.store import Store
from functions.aws import environment
from functions.domain.entities import Entity
from functions.legacy.table import LegacyStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


def store_of(name: str) -> tuple[Entity, Store]:
    entity = environment.mapping()[name]
    return entity, LegacyStore(entity, environment.database(entity.legacy.database))


app = Contract(store_of).reads()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers GET of a collection or a record."""
    return resolve(app, event, context)
