"""The AWS clients that the services take, made from a target. Its region, and in the sandbox its address and key."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from functions.aws import plain_json
from functions.aws.data_api import CONFIG as DATA_API
from functions.aws.dynamodb import CONFIG as COPY
from functions.aws.session_function import CONFIG as SESSIONS
from functions.aws.statement_function import CONFIG as STATEMENTS
from runbook.aws.executions import ExecutionsClient
from runbook.aws.outputs import Target

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

READ_TIMEOUT = 30  # seconds; no request may hang for ever, because its command holds a lock
FUNCTION_TIMEOUT = 310  # seconds; the install function may run for its full five minutes
SETTINGS = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=5,
    read_timeout=READ_TIMEOUT,
    user_agent_extra="streamback-runbook",
)
FUNCTIONS = SETTINGS.merge(Config(read_timeout=FUNCTION_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 3}))


def silent(_: str) -> None:
    """Ignore a progress line."""


def _lazily(service: str, config: Config = SETTINGS) -> Any:
    """A client that is made when it is first used."""

    def make(clients: Clients) -> Any:
        made = plain_json.client(clients.session, service, config, endpoint_url=clients.target.endpoint_url)
        made.meta.events.register("after-call.*.*", clients.answered)
        return made

    return cached_property(make)


class Clients:
    """One client per AWS service."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._waiting: list[Callable[[], None]] = []

    def answered(self, **_: Any) -> None:
        """Report that a request was answered."""
        for report in list(self._waiting):
            report()

    @contextmanager
    def reporting(self, report: Callable[[], None]) -> Generator[None]:
        """Call `report` after each answer to a request, for the block."""
        self._waiting.append(report)
        try:
            yield
        finally:
            self._waiting.remove(report)

    apigateway: APIGatewayClient = _lazily("apigateway")
    cloudwatch: CloudWatchClient = _lazily("cloudwatch")
    dynamodb: DynamoDBClient = _lazily("dynamodb")
    dynamodb_once: DynamoDBClient = _lazily("dynamodb", COPY)  # without the SDK's retries, as copy's workers need it
    executions: ExecutionsClient = _lazily("stepfunctions")
    functions: LambdaClient = _lazily("lambda", FUNCTIONS)
    functions_once: LambdaClient = _lazily("lambda", SESSIONS)  # without the SDK's retries
    functions_inside: LambdaClient = _lazily("lambda", STATEMENTS)  # likewise
    rds: RDSClient = _lazily("rds")
    rds_data: RDSDataServiceClient = _lazily("rds-data", DATA_API)
    s3: S3Client = _lazily("s3")
    scheduler: EventBridgeSchedulerClient = _lazily("scheduler")
    secrets: SecretsManagerClient = _lazily("secretsmanager")
    streams: DynamoDBStreamsClient = _lazily("dynamodbstreams")
    sts: STSClient = _lazily("sts")

    @cached_property
    def session(self) -> boto3.Session:
        """The sandbox's operator key, or the credentials boto3 finds (profile, environment, role)."""
        return boto3.Session(
            aws_access_key_id=self.target.access_key_id,
            aws_secret_access_key=self.target.secret_access_key,
            region_name=self.target.region,
        )

    @cached_property
    def operator(self) -> str:
        """Who acts, for the audit trail: the AWS principal, and the user and host it was used from."""
        principal = self.sts.get_caller_identity()["Arn"]
        return f"{principal} ({getpass.getuser()}@{socket.gethostname()})"
