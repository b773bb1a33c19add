"""The emulated account: its region, its number and its clients."""

import json
import threading
from typing import Any

import boto3
from botocore.config import Config

USER = "operator"
# The user who deploys a stack administers its account. What must be narrow is what the functions may do.
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


REGION = "us-east-1"
ACCOUNT = "000000000000"
PARTITION = "aws"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
# MiniStack's root key. Only the engine holds it; the sandbox's operator is a principal of its own.
ROOT_KEY, ROOT_SECRET = "test", "test"  # the emulator's fixed root credentials

SETTINGS = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    s3={"addressing_style": "path"},
    parameter_validation=True,
)


class Aws:
    """Clients of one emulator, made once each and shared between threads.

    Args:
        endpoint: the emulator's URL; empty in a preview, which must call nothing.
        access_key_id: whose key to use; the root's by default.
        secret_access_key: its secret.
    """

    def __init__(self, endpoint: str, access_key_id: str = ROOT_KEY, secret_access_key: str = ROOT_SECRET) -> None:
        self.endpoint = endpoint
        self.region = REGION
        self.account = ACCOUNT
        self._session = boto3.Session(
            aws_access_key_id=access_key_id, aws_secret_access_key=secret_access_key, region_name=REGION
        )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """The boto3 client of `service` (its name in boto3, such as "rds-data")."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(  # pyright: ignore[reportCallIssue, reportUnknownMemberType]
                    service,  # pyright: ignore[reportArgumentType]  # any of boto3's several hundred
                    endpoint_url=self.endpoint,
                    config=SETTINGS,
                )
            return self._clients[service]

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{PARTITION}:{service}:{self.region}:{self.account}:{resource}"


def create_operator(aws: Aws) -> tuple[str, str]:
    """Make the operator; its access key id and secret access key."""
    iam = aws.client("iam")
    iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="administrator", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]
