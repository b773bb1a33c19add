"""The AWS clients that the services take, made from a target.

Its region, and in the sandbox its address and key.
"""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from functions.aws.data_api import CONFIG as DATA_API
from functions.aws.dynamodb import CONFIG as COPY
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
    from mypy_boto3_sts import STSClient

READ_TIMEOUT = 310  # seconds; the install function may run for its full five minutes
SETTINGS = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=5,
    read_timeout=READ_TIMEOUT,
    user_agent_extra="streamback-runbook",
)


def silent(_: str) -> None:
    """Ignore a progress line."""


@dataclass(frozen=True)
class Clients:
    """One client per AWS service, made when first used."""

    target: Target

    @cached_property
    def session(self) -> boto3.Session:
        """The sandbox's operator key, or the credentials boto3 finds (profile, environment, role)."""
        return boto3.Session(
            aws_access_key_id=self.target.access_key_id,
            aws_secret_access_key=self.target.secret_access_key,
            region_name=self.target.region,
        )

    def _client(self, service: str, config: Config | None = None) -> Any:
        session = cast("Any", self.session)  # its stubs know only the services that are installed
        return session.client(service, endpoint_url=self.target.endpoint_url, config=config or SETTINGS)

    @cached_property
    def apigateway(self) -> APIGatewayClient:
        """The REST API's stage and its variables."""
        return self._client("apigateway")

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """The stream mapping's iterator age."""
        return self._client("cloudwatch")

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """The journal, the quarantine and the modern tables."""
        return self._client("dynamodb")

    @cached_property
    def streams(self) -> DynamoDBStreamsClient:
        return self._client("dynamodbstreams")

    @cached_property
    def dynamodb_once(self) -> DynamoDBClient:
        """DynamoDB without the SDK's repetitions, as copy's workers need it."""
        return self._client("dynamodb", COPY)

    @cached_property
    def functions(self) -> LambdaClient:
        """The init and install functions and the stream mappings."""
        return self._client("lambda")

    @cached_property
    def rds(self) -> RDSClient:
        """The cluster's settings."""
        return self._client("rds")

    @cached_property
    def rds_data(self) -> RDSDataServiceClient:
        """Aurora through the Data API."""
        return self._client("rds-data", DATA_API)

    @cached_property
    def s3(self) -> S3Client:
        """The bridge's on-failure bucket."""
        return self._client("s3")

    @cached_property
    def sts(self) -> STSClient:
        return self._client("sts")

    @cached_property
    def operator(self) -> str:
        """Who acts, for the audit trail: the AWS principal, and the user and host it was used from."""
        principal = self.sts.get_caller_identity()["Arn"]
        return f"{principal} ({getpass.getuser()}@{socket.gethostname()})"
