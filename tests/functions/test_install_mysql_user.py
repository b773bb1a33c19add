"""The bridge's user has the password of its secret, even if another run installs at the same time."""

from __future__ import annotations

import json
import threading
from uuid import uuid4

import pymysql
import pytest

from functions.domain import names
from functions.install import handler, mysql_user

NO_PLUGIN, NO_USER = 1524, 1396  # which of them is noticed first differs; a statement that is no SQL is 1064


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


@pytest.mark.parametrize("statement", mysql_user.by_token([])[:2])
def test_a_user_that_signs_in_with_a_token_needs_awss_plugin_and_nothing_else(database, statement):
    of_no_other_test = statement.replace(names.BRIDGE_USER, "streamback_by_token")
    with database.cursor() as cursor, pytest.raises(pymysql.MySQLError) as refused:
        cursor.execute(of_no_other_test)
    assert refused.value.args[0] in {NO_PLUGIN, NO_USER}


def test_a_user_that_signs_in_with_a_token_has_the_same_rights_and_only_comes_by_tls():
    *_, altered, grant = mysql_user.by_token(["SELECT ON `db`.`t`"])
    assert altered.endswith("IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL")
    assert grant == "GRANT SELECT ON `db`.`t` TO 'streamback_bridge'@'%'"


class Executed:
    """A server that keeps what is sent to it."""

    def __init__(self):
        self.statements = []

    def execute(self, sql):
        self.statements.append(sql)


@pytest.mark.parametrize(
    ("host", "by_token"), [("shop.abc.rds.amazonaws.com", True), ("pool.proxy-abc.us-east-1.rds.amazonaws.com", False)]
)
def test_behind_a_proxy_the_user_has_a_password_though_it_signs_in_with_a_token(sandbox, monkeypatch, host, by_token):
    server, outputs = Executed(), sandbox.outputs
    monkeypatch.setenv("DATABASE_HOST", host)
    monkeypatch.setenv("TOKEN_SECRET_ARN", outputs["bridgeSecretArn"])
    monkeypatch.setenv("BRIDGE_SECRET_ARN", outputs["bridgeSecretArn"])
    variables = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    for name, output in zip(variables, ("endpointUrl", "accessKeyId", "secretAccessKey", "region"), strict=True):
        monkeypatch.setenv(name, outputs[output])
    handler._make_user(server, [])
    assert ("IDENTIFIED WITH AWSAuthenticationPlugin" in server.statements[0]) is by_token
    assert ("IDENTIFIED BY '" in server.statements[0]) is not by_token
