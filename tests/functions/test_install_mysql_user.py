"""The bridge's user has the password of its secret, even if another run installs at the same time."""

from __future__ import annotations

import json
import threading
from uuid import uuid4

from functions.domain import names
from functions.install import mysql_user


class Server:
    """Remembers the user's password, and lets another installation act at a chosen moment."""

    def __init__(self):
        self.password = ""
        self.before_altering = []

    def execute(self, sql):
        if sql.startswith("ALTER USER"):
            if self.before_altering:
                self.before_altering.pop()()
            self.password = sql.split("'")[-2]


def stored(client, arn):
    return json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["password"]


def secret(sandbox):
    client = sandbox.client("secretsmanager")
    return client, client.create_secret(Name=f"account-{uuid4()}")["ARN"]


def test_of_two_installations_that_both_drew_a_password_the_stored_one_stays(sandbox):
    client, arn = secret(sandbox)
    server = Server()

    def other():
        content = json.dumps({"username": names.BRIDGE_USER, "password": "b" * 32})
        client.put_secret_value(SecretId=arn, SecretString=content)

    server.before_altering.append(other)
    mysql_user.ensure(server, mysql_user.Secret(client, arn), [])
    assert server.password == stored(client, arn) == "b" * 32


def test_installations_at_the_same_time_agree_on_the_password(sandbox):
    client, arn = secret(sandbox)
    server = Server()
    threads = [
        threading.Thread(target=mysql_user.ensure, args=(server, mysql_user.Secret(client, arn), [])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.password == stored(client, arn)
