"""The gate's function: one for all entities; the path names the entity."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from functions.api import http_api
from functions.api.store import NotFoundError
from functions.aws import environment, plain_json
from functions.gate.gate import GateRecords, Stays, WriteGate, WriterFunction, new_request

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient

HOLD_LIMIT = 18.0  # seconds; API Gateway waits for 29, and the writer needs its share
WRITER_LIMIT = 27  # seconds that a writer's answer is waited for; the rest of its 29 the gate needs to count out

TIMEOUTS = ("OWN", "MODERN_WRITE", "LEGACY_WRITE")

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers a public write as API Gateway's proxy integration wants it."""
    if http_api.WARM in event:
        return _warmed(event)
    try:
        return _gate(_entity(event))(event)
    except Exception as error:  # noqa: BLE001  # the contract has an answer to each
        return http_api.failed(error)


def _warmed(event: dict[str, Any]) -> dict[str, Any]:
    """Do once what the first request of an instance would wait for."""
    entity = str(event[http_api.WARM])
    _gate(entity).phases.now(new_request())
    WriterFunction(functions(), _legacy(entity)).get_ready()
    return http_api.occupied(event)


def _entity(event: dict[str, Any]) -> str:
    """The entity that the request writes: by the operations of a contract, else by the first part of the path."""
    method, resource = str(event.get("httpMethod")), str(event.get("resource"))
    for name, entity in environment.mapping().items():
        if entity.contract and entity.contract.writes_by(method, resource):
            return name
    return event["path"].strip("/").partition("/")[0]


def _legacy(entity: str) -> str:
    """The legacy writer: one of the entity's own where the stack has adopted it, else the one of all entities."""
    own = json.loads(os.environ.get("LEGACY_WRITE_FUNCTIONS", "{}"))
    return str(own.get(entity) or environment.variable("LEGACY_WRITE_FUNCTION"))


@cache
def _gate(entity: str) -> WriteGate:
    if entity not in environment.mapping():
        raise NotFoundError(entity)
    modern = json.loads(environment.variable("MODERN_WRITE_FUNCTIONS"))
    adopted = environment.mapping()[entity].contract is not None
    own, later, before = (float(environment.variable(f"{name}_TIMEOUT")) for name in TIMEOUTS)
    return WriteGate(
        phases=GateRecords(dynamodb(), environment.variable("JOURNAL_TABLE"), entity),
        legacy=WriterFunction(functions(), _legacy(entity)),
        modern=WriterFunction(functions(), modern[entity], marks=not adopted),
        stays=Stays.of(own, later, before if adopted else 0.0),
        limit=HOLD_LIMIT,
    )


@cache
def functions() -> LambdaClient:
    """Lambda, as a gate calls writers."""
    return boto3.Session().client("lambda", config=_once(WRITER_LIMIT))


@cache
def dynamodb() -> DynamoDBClient:
    """DynamoDB, as a gate counts."""
    return plain_json.client(boto3.Session(), "dynamodb", _once(5))


def _once(read_timeout: int) -> Config:
    """No repeats by the SDK: a write whose answer was lost must not be done again, and a count must not take long."""
    return Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=read_timeout)
