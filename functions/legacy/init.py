"""GET /aurora: makes the legacy databases and tables of entities.toml where they are missing. Safe to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api import http_api
from functions.aws import environment
from functions.legacy import schema

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers 200 with the entities that are ready, as API Gateway's proxy integration wants it."""
    return http_api.guarded(_initialise)


def _initialise() -> dict[str, Any]:
    entities = environment.mapping()
    for entity in entities.values():
        for statement in schema.statements(entity):
            environment.database().execute(statement)
    return {"initialised": list(entities)}
