"""Reads a function's environment variables and the mapping in its archive, and makes its clients."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from functions.aws import data_api, plain_json, session_function
from functions.aws.data_api import DataApi
from functions.aws.session_function import SessionFunction
from functions.domain import entities

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_rds_data import RDSDataServiceClient

    from functions.aws.mysql_connections import Connections

ENTITIES_FILE = Path(__file__).parents[2] / "entities.toml"
SECRETS = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=5)
DYNAMODB = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=5)


@cache
def mapping() -> entities.Entities:
    """The entities of the archive this function was deployed with."""
    return entities.load(ENTITIES_FILE)


def variable(name: str) -> str:
    """An environment variable that the program must have set.

    Raises:
        RuntimeError: naming it when it is missing.
    """
    value = os.environ.get(name, "")
    if not value:
        raise RuntimeError(f"the function's environment has no {name}; deploy it with this version of the program")
    return value


def database(name: str = "", *, seconds: int | None = None) -> DataApi:
    """A legacy database as this function's own MySQL user sees it; without a name, the server.

    Args:
        seconds: that a statement is waited for; by default a little longer than the server lets it run.
    """
    return DataApi(_client(seconds), variable("CLUSTER_ARN"), variable("SECRET_ARN"), name, sessions=_sessions())


def database_as_bridge(name: str) -> DataApi:
    """A legacy database as the bridge's MySQL user sees it, for a function that is not the bridge."""
    return DataApi(_client(None), variable("CLUSTER_ARN"), variable("BRIDGE_SECRET_ARN"), name)


def signs_in_by_token() -> bool:
    """Whether the bridge's user signs in with a token of IAM's."""
    return bool(os.environ.get("TOKEN_SECRET_ARN"))


@cache
def connections(seconds: int | None = None) -> Connections:
    """This instance's connections to the database that the program names.

    Args:
        seconds: that a statement is waited for; as long as it may take by default.
    """
    from functions.aws.mysql_connections import STATEMENT_SECONDS, Connections  # noqa: PLC0415  # few archives have it
    from functions.aws.mysql_login import Logins  # noqa: PLC0415  # likewise

    host, port, session = variable("DATABASE_HOST"), int(variable("DATABASE_PORT")), boto3.Session()
    by_token = os.environ.get("TOKEN_SECRET_ARN", "")  # the secret in whose place the bridge's user has a token
    signer = session.client("rds") if by_token else None  # why not always: it takes a tenth of a second
    logins = Logins(session.client("secretsmanager", config=SECRETS), host, port, signer, by_token)
    return Connections(host, port, logins, seconds or STATEMENT_SECONDS)


@cache
def _client(seconds: int | None) -> RDSDataServiceClient:
    """The way to the database: a function that is in its network connects to it, others use the Data API."""
    if os.environ.get("DATABASE_HOST"):
        from functions.aws.mysql_client import MySqlClient  # noqa: PLC0415  # few archives have PyMySQL

        return cast("Any", MySqlClient(connections(seconds)))
    config = data_api.CONFIG.merge(Config(read_timeout=seconds)) if seconds else data_api.CONFIG
    return plain_json.client(boto3.Session(), "rds-data", config)


@cache
def _sessions() -> SessionFunction | None:
    """Of the function that needs them; None in all others."""
    name, session = os.environ.get("SESSION_FUNCTION"), boto3.Session()
    if not name:
        return None
    functions = session.client("lambda", config=session_function.CONFIG)
    return SessionFunction(functions, name, session.client("secretsmanager"), variable("SECRET_ARN"))


@cache
def dynamodb() -> DynamoDBClient:
    """DynamoDB, with the SDK's own retries for throttling."""
    return plain_json.client(boto3.Session(), "dynamodb", DYNAMODB)
