"""Statements to Aurora on a connection of their own, for what the Data API refuses: by a function inside its network.

The function is functions/install/session.py. It may call no AWS service, since its network leads to none. So its caller
reads the secret and sends the login along.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.mysql_errors import DataApiError, classify, of_mysql

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

TIMEOUT = 60  # seconds that the function may run
# boto3 must not repeat the call by itself: statements whose answer was lost would be run twice.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=TIMEOUT + 10)


class SessionFunction:
    """Runs statements on one connection, as the user of a secret.

    Attributes:
        wanted: the kinds of statements that the Data API has refused; they come here at once.

    Args:
        functions: boto3's `lambda`, made with `CONFIG`.
        name: the function's.
        secrets: boto3's `secretsmanager`.
        secret_arn: the secret that holds the user's name and password.
    """

    def __init__(self, functions: LambdaClient, name: str, secrets: SecretsManagerClient, secret_arn: str) -> None:
        self._functions = functions
        self._name = name
        self._secrets = secrets
        self._secret_arn = secret_arn
        self.wanted: set[str] = set()

    def run(self, statements: Sequence[str]) -> None:
        """Run the statements, each in a transaction of its own, until one fails.

        Raises:
            DataApiError: or the subclass that says what the failure means.
        """
        try:
            login = json.loads(self._secrets.get_secret_value(SecretId=self._secret_arn)["SecretString"])
            event = {"user": login["username"], "password": login["password"], "statements": list(statements)}
            answer = self._functions.invoke(FunctionName=self._name, Payload=json.dumps(event))
            document: dict[str, Any] = json.loads(answer["Payload"].read())
        except (ClientError, BotoCoreError) as raised:
            raise classify(raised) from raised
        if "FunctionError" in answer:
            raise DataApiError(f"{self._name}: {document.get('errorType')}: {document.get('errorMessage')}")
        if error := document.get("error"):
            raise of_mysql(error["code"], error["state"], error["text"])
