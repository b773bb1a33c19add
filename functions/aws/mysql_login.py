"""How MySQL users sign in where there is no Data API: by the password in a secret, or by a token of IAM's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.mysql_errors import BlockedError, TransientError, classify
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True)
class Login:
    """A MySQL user, and what proves that it is that user: its password or a token."""

    user: str
    password: str = field(repr=False)


class Logins:
    """The logins of a function's MySQL users, each by the ARN of its secret.

    A password is read once and kept until `forget`. A token is made for each connection: that takes no request, and
    15 minutes later no new connection can be made with it.

    Args:
        secrets: boto3's `secretsmanager`.
        host, port: where the tokens are valid.
        signer: boto3's `rds`, which makes the tokens; None if no user signs in by one.
        by_token: the secret in whose place the bridge's user signs in with a token; empty for none.
    """

    def __init__(
        self, secrets: SecretsManagerClient, host: str, port: int, signer: RDSClient | None = None, by_token: str = ""
    ) -> None:
        self._secrets = secrets
        self._place = (host, port)
        self._signer = signer
        self._by_token = by_token
        self._read: dict[str, Login] = {}

    def of(self, secret_arn: str) -> Login:
        """The login of a secret's user.

        Raises:
            DataApiError: Secrets Manager does not answer (a TransientError), refuses, or the secret is no login.
        """
        if self._signer and secret_arn == self._by_token:
            return self._token(self._signer)
        if secret_arn not in self._read:
            self._read[secret_arn] = self._secret(secret_arn)
        return self._read[secret_arn]

    def forget(self, secret_arn: str) -> bool:
        """Read the secret again next time, because its password was refused; whether that may help."""
        return self._read.pop(secret_arn, None) is not None

    def _token(self, signer: RDSClient) -> Login:
        (host, port), user = self._place, names.BRIDGE_USER
        token = signer.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
        return Login(user, token)

    def _secret(self, secret_arn: str) -> Login:
        try:
            text = self._secrets.get_secret_value(SecretId=secret_arn)["SecretString"]
        except BotoCoreError as error:
            text = f"Secrets Manager cannot be reached, which needs a VPC endpoint or NAT: {error}"
            raise TransientError(text, maybe_written=False) from error
        except ClientError as error:
            raise classify(error) from error
        try:
            found: dict[str, str] = json.loads(text)
            return Login(found["username"], found["password"])
        except (ValueError, KeyError, TypeError) as error:
            raise BlockedError(f"the secret {secret_arn} has no username and password as JSON") from error
