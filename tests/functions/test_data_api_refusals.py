"""What the functions do with a Data API that refuses texts, or does not answer which key a row got."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.aws import mysql_connections
from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import (
    DataApiError,
    FencedError,
    PermanentError,
    TransientError,
    classify,
    is_refusal,
    of_mysql,
)
from functions.aws.session_function import SessionFunction
from functions.install import session

STATEMENT = "CREATE PROCEDURE p() BEGIN END"
LOCKED = "Lock wait timeout exceeded; Error code: 1205; SQLState: HY000"


def _error(name: str, text: str) -> ClientError:
    return ClientError({"Error": {"Code": name, "Message": text}}, "ExecuteStatement")


REFUSED = _error("ValidationException", "Multistatements aren't supported.")


class Client:
    """A Data API by script: per call the answer, or the error to raise; it keeps what was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []

    def _next(self, what: str) -> Any:
        self.sent.append(what)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def execute_statement(self, sql: str, transactionId: str = "", **_: Any) -> Any:  # noqa: N803  # boto3's
        return self._next(f"{transactionId}{sql}")

    def begin_transaction(self, **_: Any) -> Any:
        return self._next("begin")

    def commit_transaction(self, **_: Any) -> Any:
        return self._next("commit")

    def rollback_transaction(self, **_: Any) -> Any:
        return self._next("rollback")


class Sessions:
    """Keeps the statements that it is to run."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.ran: list[list[str]] = []

    def run(self, statements: list[str]) -> None:
        self.ran.append(list(statements))


def _api(client: Client, sessions: Sessions | None = None) -> DataApi:
    return DataApi(client, "cluster", "secret", "db", sessions=sessions)  # pyright: ignore[reportArgumentType]


BEGUN, DONE, INSERTED = {"transactionId": "in "}, {}, {"numberOfRecordsUpdated": 1}
COUNTED, ASKED = {**INSERTED, "generatedFields": [{"longValue": 7}]}, {"records": [[{"longValue": 7}]]}
ASK = "in SELECT LAST_INSERT_ID()"


@pytest.mark.parametrize(
    ("name", "text", "refused"),
    [
        ("ValidationException", "Multistatements aren't supported.", True),
        ("BadRequestException", "Data definition statements aren't supported in a transaction.", True),
        ("DatabaseErrorException", "You have an error; Error code: 1064; SQLState: 42000", True),
        ("BadRequestException", "Table 'x' doesn't exist; Error code: 1146; SQLState: 42S02", False),
        ("BadRequestException", LOCKED, False),
        ("BadRequestException", "streamback: writes to chefs are fenced; Error code: 1644; SQLState: 45000", False),
        ("AccessDeniedException", "not authorized to perform: rds-data:ExecuteStatement", False),
        ("DatabaseUnavailableException", "The database is not available", False),
    ],
)
def test_only_what_names_no_error_of_the_databases_may_be_a_refusal(name, text, refused):
    assert is_refusal(classify(_error(name, text))) is refused


def test_what_is_refused_goes_to_a_session_at_once_the_next_time():
    client, sessions = Client(REFUSED), Sessions()
    api = _api(client, sessions)
    api.define(STATEMENT)
    api.define(STATEMENT)
    assert client.sent == [STATEMENT]
    assert sessions.ran == [[STATEMENT]] * 2


def test_what_is_taken_goes_to_no_session():
    client, sessions = Client(INSERTED, INSERTED), Sessions()
    for _ in range(2):
        _api(client, sessions).define(STATEMENT)
    assert (len(client.sent), sessions.ran) == (2, [])


def test_a_refused_change_of_triggers_is_run_whole_on_one_session_with_its_variables():
    client, sessions = Client(BEGUN, DONE, DONE, REFUSED, DONE, DONE, DONE), Sessions()
    _api(client, sessions).together(["CALL hold()", "DROP TRIGGER t"], {"lock_wait_timeout": 3}, ["DO free()"])
    assert sessions.ran == [["SET SESSION lock_wait_timeout = 3", "CALL hold()", "DROP TRIGGER t"]]
    assert client.sent[-3:] == ["in DO free()", "in SET SESSION lock_wait_timeout = DEFAULT", "rollback"]


@pytest.mark.parametrize("error", [REFUSED, _error("BadRequestException", LOCKED)])
def test_without_a_session_function_or_a_refusal_the_error_is_raised(error):
    sessions = None if error is REFUSED else Sessions()
    with pytest.raises(DataApiError):
        _api(Client(*[error] * 4), sessions).define(STATEMENT)
    assert sessions is None or not sessions.ran


def test_the_first_insert_is_a_transaction_and_later_ones_are_not_where_the_answer_has_the_key():
    client = Client(BEGUN, COUNTED, DONE, COUNTED)
    assert [_api(client).insert("INSERT", {}) for _ in range(2)] == [7, 7]
    assert client.sent == ["begin", "in INSERT", "commit", "INSERT"]


def test_where_no_answer_has_the_key_the_transaction_asks_for_it():
    client = Client(*[BEGUN, INSERTED, ASKED, DONE] * 2)
    assert [_api(client).insert("INSERT", {}) for _ in range(2)] == [7, 7]
    assert client.sent == ["begin", "in INSERT", ASK, "commit"] * 2


def test_an_insert_that_lost_a_lock_is_run_again_in_a_new_transaction():
    client = Client(BEGUN, _error("BadRequestException", LOCKED), DONE, BEGUN, INSERTED, ASKED, DONE)
    assert _api(client).insert("INSERT", {}) == 7
    assert client.sent == ["begin", "in INSERT", "rollback", "begin", "in INSERT", ASK, "commit"]


@pytest.mark.parametrize(
    ("answers", "maybe"),
    [
        ([BEGUN, "lost", DONE], False),
        ([BEGUN, INSERTED, "lost", DONE], False),
        ([BEGUN, INSERTED, ASKED, "lost"], True),
    ],
)
def test_an_insert_may_have_been_done_only_once_its_commit_was_sent(answers, maybe):
    lost = ReadTimeoutError(endpoint_url="x")
    client = Client(*[lost if answer == "lost" else answer for answer in answers])
    with pytest.raises(TransientError) as raised:
        _api(client).insert("INSERT", {})
    assert raised.value.maybe_written is maybe


def test_an_answer_that_lacks_the_key_though_earlier_ones_had_it_leaves_the_outcome_unknown():
    client = Client(BEGUN, COUNTED, DONE, INSERTED, BEGUN, INSERTED, ASKED, DONE)
    api = _api(client)
    assert api.insert("INSERT", {}) == 7
    with pytest.raises(TransientError) as raised:
        api.insert("INSERT", {})
    assert raised.value.maybe_written
    assert api.insert("INSERT", {}) == 7


@pytest.fixture
def connected(sandbox, monkeypatch):
    """The session function's code in this process, on the sandbox's database; runs statements as its master user."""
    database, secrets = sandbox.database, sandbox.client("secretsmanager")
    login = json.loads(secrets.get_secret_value(SecretId=sandbox.outputs["masterSecretArn"])["SecretString"])
    sandbox.client("rds-data").execute_statement(  # which makes that user
        resourceArn=sandbox.outputs["clusterArn"], secretArn=sandbox.outputs["masterSecretArn"], sql="SELECT 1"
    )
    monkeypatch.setenv("DATABASE_HOST", "127.0.0.1")
    monkeypatch.setenv("DATABASE_PORT", str(database.port))
    monkeypatch.setattr(mysql_connections, "AUTHORITIES", database.authority)

    def run(*statements: str) -> dict[str, Any]:
        event = {"user": login["username"], "password": login["password"], "statements": statements}
        return session.handler.__wrapped__(event, None)  # pyright: ignore[reportFunctionMemberAccess]

    return run


def test_a_session_keeps_its_variables_and_stops_at_the_first_error(connected, sandbox):
    signal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'streamback: writes to chefs are fenced'"
    answer = connected("CREATE DATABASE of_session", "SET @x = 5", "DO 1 / @x", signal, "DROP DATABASE of_session")
    try:
        assert answer["error"]["code"] == 1644
        error = of_mysql(answer["error"]["code"], answer["error"]["state"], answer["error"]["text"])
        assert isinstance(error, FencedError)
    finally:
        assert connected("DROP DATABASE of_session") == {}


def test_a_sessions_errors_mean_what_they_mean_in_the_data_api():
    assert isinstance(of_mysql(1062, "23000", "Duplicate entry"), PermanentError)
    assert isinstance(of_mysql(2013, "HY000", "Lost connection"), TransientError)
    assert isinstance(of_mysql(2003, "HY000", "Can't connect (timed out)"), TransientError)
    assert not is_refusal(of_mysql(1064, "42000", "You have an error in your SQL syntax"))


def test_a_session_is_encrypted(connected, sandbox):
    check = "CREATE TABLE of_session.tls SELECT variable_value v FROM information_schema.session_status"
    if sandbox.database.title == "MySQL":
        pytest.skip("MySQL has no such table; its server takes no other connection either")
    where = "WHERE variable_name = 'Ssl_version' AND variable_value LIKE 'TLS%'"
    assert connected("CREATE DATABASE of_session", f"{check} {where}") == {}
    with sandbox.database.connect(database="of_session") as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT v FROM tls") == 1
        cursor.execute("DROP DATABASE of_session")


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_server_that_does_not_prove_its_name_is_refused(connected, monkeypatch, wrong):
    if wrong == "authority":
        monkeypatch.setattr(mysql_connections, "AUTHORITIES", Path(session.__file__).with_name("rds-ca.pem"))
    else:
        monkeypatch.setenv("DATABASE_HOST", "localhost")  # the certificate names the address
    error = connected("DO 1")["error"]
    assert error["code"] == 2003
    assert "CERTIFICATE_VERIFY_FAILED" in error["text"]


def test_the_deployed_function_answers_an_error_as_its_meaning(sandbox, data_api):
    data_api().query("SELECT 1")
    sessions = SessionFunction(
        sandbox.client("lambda"),
        sandbox.outputs["sessionFunction"],
        sandbox.client("secretsmanager"),
        sandbox.outputs["masterSecretArn"],
    )
    sessions.run(["SET @x = 1", "DO @x"])
    with pytest.raises(FencedError):
        sessions.run(["SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'streamback: writes to chefs are fenced'"])


def test_a_session_function_that_fails_is_named(sandbox):
    secrets, arn = sandbox.client("secretsmanager"), sandbox.outputs["masterSecretArn"]
    with pytest.raises(DataApiError, match="absent-function"):
        SessionFunction(sandbox.client("lambda"), "absent-function", secrets, arn).run(["DO 1"])
