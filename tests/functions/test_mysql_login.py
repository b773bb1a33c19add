"""How MySQL users sign in without the Data API: the secret's password, also a rotated one, or a token of IAM's."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
import urllib.parse
import uuid
from types import SimpleNamespace

import boto3
import pytest
import trustme
from botocore.config import Config

from functions.aws import environment, mysql_connections
from functions.aws.mysql_client import MySqlClient
from functions.aws.mysql_connections import Connections, connect
from functions.aws.mysql_errors import BlockedError, TransientError
from functions.aws.mysql_login import Login, Logins
from functions.domain import names

HOST, PORT, REGION = "shop.abc.eu-central-1.rds.amazonaws.com", 3307, "eu-central-1"


@pytest.fixture
def user(sandbox, database):
    """A MySQL user and its secret; `give` sets the password of both, or of one."""
    name, secrets = f"u{uuid.uuid4().hex[:12]}", sandbox.client("secretsmanager")
    arn = secrets.create_secret(Name=name, SecretString="{}")["ARN"]

    def give(password: str, *, secret: bool = True, mysql: bool = True) -> None:
        with database.cursor() as cursor:
            if mysql:
                cursor.execute(f"CREATE USER IF NOT EXISTS {name}@'%'")
                cursor.execute(f"ALTER USER {name}@'%%' IDENTIFIED BY %s", (password,))
        if secret:
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"username": name, "password": password}))

    give("first")
    yield SimpleNamespace(name=name, arn=arn, give=give)
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with database.cursor() as cursor:
        cursor.execute(f"DROP USER {name}@'%'")


@pytest.fixture
def own(sandbox, connections):
    port = sandbox.database.port
    made = Connections("127.0.0.1", port, Logins(sandbox.client("secretsmanager"), "", port), 5)
    yield made
    made.forget()


def _who(connections: Connections, arn: str) -> str:
    answer = MySqlClient(connections).execute_statement(secretArn=arn, sql="SELECT CURRENT_USER()")
    return answer["records"][0][0]["stringValue"]


def test_a_rotated_password_is_read_again(own, user):
    assert _who(own, user.arn) == f"{user.name}@%"
    user.give("second")
    own.forget()
    assert _who(own, user.arn) == f"{user.name}@%"


def test_a_password_that_the_secret_does_not_have_blocks(own, user):
    user.give("other", secret=False)
    with pytest.raises(BlockedError) as refused:
        _who(own, user.arn)
    assert refused.value.code == 1045
    user.give("other", mysql=False)
    assert _who(own, user.arn) == f"{user.name}@%"


@pytest.mark.parametrize("text", ["{}", "no JSON", '"text"'])
def test_a_secret_that_is_no_login_is_named(own, user, sandbox, text):
    sandbox.client("secretsmanager").put_secret_value(SecretId=user.arn, SecretString=text)
    with pytest.raises(BlockedError, match=user.arn):
        _who(own, user.arn)


def test_secrets_that_cannot_be_reached_are_transient(own):
    closed = Config(connect_timeout=1, retries={"total_max_attempts": 1})
    client = boto3.client("secretsmanager", endpoint_url="http://127.0.0.1:1", region_name=REGION, config=closed)
    logins = Logins(client, "", 0)
    with pytest.raises(TransientError):
        logins.of("arn")


def test_a_login_shows_no_password():
    assert "geheim" not in repr(Login("user", "geheim"))


@pytest.fixture
def signer():
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name=REGION)
    return session.client("rds")


def test_a_token_is_a_signed_request_to_connect_as_the_bridges_user(signer):
    login = Logins(signer, HOST, PORT, signer, "bridge").of("bridge")
    found = urllib.parse.urlparse(f"https://{login.password}")
    query = {name: values[0] for name, values in urllib.parse.parse_qs(found.query).items()}
    assert login.user == query["DBUser"] == names.BRIDGE_USER
    assert (found.hostname, found.port, query["Action"]) == (HOST, PORT, "connect")
    assert query["X-Amz-Expires"] == "900"
    day = dt.datetime.now(dt.UTC).strftime("%Y%m%d")
    assert query["X-Amz-Credential"].split("/")[0] == "AKIDEXAMPLE"
    assert query["X-Amz-Credential"].split("/")[2:] == [REGION, "rds-db", "aws4_request"]
    assert query["X-Amz-Date"][:2] == day[:2]


class ClearPasswordServer:
    """As much of a MySQL server as asks for a clear password after TLS, as RDS does for a token, and takes it."""

    def __init__(self, folder):
        authority = trustme.CA()
        self.authority = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        # protocol 10, version, thread, salt, flags (with TLS, plugins and secure connection), utf8mb4, autocommit
        flags = (0x00088A00 | 0x200 | 0x8000).to_bytes(4, "little")
        greeting = b"\x0a8.0.36\x00" + (7).to_bytes(4, "little") + b"s" * 8 + b"\x00" + flags[:2]
        greeting += b"\x2d\x02\x00" + flags[2:] + b"\x15" + b"\x00" * 10 + b"t" * 12 + b"\x00mysql_native_password\x00"
        self._send(plain, 0, greeting)
        self._receive(plain)  # the request for TLS
        with self._context.wrap_socket(plain, server_side=True) as secure:
            number, _ = self._receive(secure)
            self._send(secure, number + 1, b"\xfemysql_clear_password\x00")
            number, self.received = self._receive(secure)
            while True:  # an OK for it, and for each command
                self._send(secure, number + 1, b"\x00\x00\x00\x02\x00\x00\x00")
                number, command = self._receive(secure)
                if not command or command[0] == 1:  # the end
                    return

    @staticmethod
    def _send(to, number: int, payload: bytes) -> None:
        to.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    @staticmethod
    def _receive(of) -> tuple[int, bytes]:
        head = of.recv(4)
        length = int.from_bytes(head[:3], "little") if head else 0
        payload = b""
        while len(payload) < length:
            payload += of.recv(length - len(payload))
        return (head[3] if head else 0), payload


def test_a_token_is_sent_in_clear_as_rds_asks_for_it_and_within_tls(tmp_path, signer, monkeypatch):
    server = ClearPasswordServer(tmp_path)
    monkeypatch.setattr(mysql_connections, "AUTHORITIES", server.authority)
    login = Logins(signer, "127.0.0.1", server.port, signer, "bridge").of("bridge")
    connect("127.0.0.1", server.port, login, "", 5).close()
    server.thread.join(5)
    assert server.received == login.password.encode() + b"\x00"


def test_a_function_connects_where_its_environment_says(sandbox, connections, user, monkeypatch):
    monkeypatch.setenv("DATABASE_HOST", "127.0.0.1")
    monkeypatch.setenv("DATABASE_PORT", str(sandbox.database.port))
    monkeypatch.setenv("CLUSTER_ARN", "arn")
    monkeypatch.setenv("SECRET_ARN", user.arn)
    variables = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    for name, output in zip(variables, ("endpointUrl", "accessKeyId", "secretAccessKey", "region"), strict=True):
        monkeypatch.setenv(name, sandbox.outputs[output])
    for kept in (environment.connections, environment._client, environment._sessions):
        kept.cache_clear()
    try:
        assert environment.database().query("SELECT CURRENT_USER()") == [[{"stringValue": f"{user.name}@%"}]]
    finally:
        environment._client(None)._connections.forget()  # pyright: ignore[reportAttributeAccessIssue]
        for kept in (environment.connections, environment._client, environment._sessions):
            kept.cache_clear()
