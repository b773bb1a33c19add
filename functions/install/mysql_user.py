"""The bridge's own MySQL user; its password is drawn here and stands in its secret only."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from functions.aws.data_api import DataApi
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PASSWORD_LENGTH = 32
PASSWORD = re.compile(r"[A-Za-z0-9_.+-]{16,64}")  # it stands in a statement that takes no parameters
UNSAFE = "".join(sign for sign in string.punctuation if sign not in "_.+-")  # likewise


class Secret:
    """The secret that holds the user's name and password.

    Args:
        arn: the secret's.
    """

    def __init__(self, client: SecretsManagerClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def password(self) -> str:
        """The stored password, or a new one that is stored first; with a sign in it, as validate_password wants."""
        found = self.stored()
        if found and PASSWORD.fullmatch(found):
            return found
        made = self._client.get_random_password(
            PasswordLength=PASSWORD_LENGTH, ExcludeCharacters=UNSAFE, RequireEachIncludedType=True
        )["RandomPassword"]
        content = json.dumps({"username": names.BRIDGE_USER, "password": made})
        self._client.put_secret_value(SecretId=self._arn, SecretString=content)
        return made

    def stored(self) -> str:
        """The stored password; empty when there is none."""
        try:
            text = self._client.get_secret_value(SecretId=self._arn)["SecretString"]
        except (self._client.exceptions.ResourceNotFoundException, KeyError):
            return ""  # a new secret has no value yet
        return str(json.loads(text).get("password", ""))


USER = f"'{names.BRIDGE_USER}'@'%'"
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
PLUGIN = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"


def by_token(grants: Sequence[str]) -> list[str]:
    """The statements that make the user with these rights, or bring it to them, so that it signs in with a token."""
    made = [f"CREATE USER IF NOT EXISTS {USER} {PLUGIN}", f"ALTER USER {USER} {PLUGIN} REQUIRE SSL"]
    return [*made, *(f"GRANT {grant} TO {USER}" for grant in grants)]


def ensure(server: DataApi, secret: Secret, grants: Sequence[str]) -> None:
    """Make the user with the secret's password and these rights, or bring it to them."""
    user, password = USER, ""
    while not password or password != secret.stored():  # another installation drew one at the same time
        password = secret.password()
        server.execute(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}'")
        server.execute(f"ALTER USER {user} IDENTIFIED BY '{password}'")
    for grant in grants:
        server.execute(f"GRANT {grant} TO {user}")
