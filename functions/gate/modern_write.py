"""Modern's writer: behind its public route it is a gate of its own, which writes in the same process.

Between `copy start` and `complete` the public route names the gate, unless the operator has asked for the direct one.
Whatever a stage variable says, for however long: a request that comes here past the gate is counted and held as there,
and in phase `legacy` it goes to legacy. What the gate has counted, and what takes the private route, is written.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.api import http_api
from functions.api.http_api import WARM, warm
from functions.aws import environment
from functions.domain import names
from functions.domain.phase import Phase
from functions.gate.gate import GateRecords, Stays, WriteGate, WriterFunction
from functions.gate.handler import HOLD_LIMIT, dynamodb, functions
from functions.modern.read import store_of
from functions.modern.write import app

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

PRIVATE = "dynamo"  # the first part of the private route's path

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers POST, PUT and DELETE."""
    if WARM in event:
        return warm(store_of, event)
    if names.GATE_MARK in event or event["path"].strip("/").partition("/")[0] == PRIVATE:
        return http_api.resolve(app, event, context)
    return _public(event, context)


def _public(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    gate = _gate()
    gate.modern = lambda given: http_api.resolve(app, given, context)
    if gate.phase == Phase.COMPLETE:  # no phase follows, so there is nothing to check or to count any more
        return gate.modern(event)
    try:
        return gate(event)
    except Exception as error:  # noqa: BLE001  # the contract has an answer to each
        return http_api.failed(error)


@cache
def _gate() -> WriteGate:
    return WriteGate(
        phases=GateRecords(dynamodb(), environment.variable("JOURNAL_TABLE"), environment.variable("ENTITY")),
        legacy=WriterFunction(functions(), environment.variable("LEGACY_WRITE_FUNCTION")),
        modern=lambda _: {},  # set for each request: it needs that request's context
        stays=Stays.of(float(environment.variable("OWN_TIMEOUT"))),
        limit=HOLD_LIMIT,
    )
