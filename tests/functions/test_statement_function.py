"""The runbook's statements by a function in the database's network, and transactions that it runs again to commit."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.aws import statement_function as of_the_function
from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import BlockedError, DataApiError, FencedError, PermanentError, TransientError
from functions.aws.statement_function import StatementFunction
from functions.install import requests


@pytest.fixture(scope="module")
def place(sandbox, statement_function):
    outputs, name = sandbox.outputs, f"test_{uuid.uuid4().hex[:12]}"
    found = (outputs["clusterArn"], outputs["masterSecretArn"])
    DataApi(statement_function, *found).execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    created = DataApi(statement_function, *found, name)
    created.execute("CREATE TABLE k (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9), b BLOB)")
    return (*found, name)


@pytest.fixture
def database(statement_function, place):
    """The table `k`, which is empty."""
    made = DataApi(statement_function, *place, sessions=statement_function.sessions(place[1]))
    made.execute("DELETE FROM k")
    return made


def _rows(database: DataApi) -> list[tuple[Any, ...]]:
    return [
        tuple(next(iter(cell.values())) for cell in row) for row in database.query("SELECT id, v FROM k ORDER BY id")
    ]


def test_values_and_answers_pass_through_the_function_as_they_are(database):
    values = {"v": {"stringValue": "🍕 \\ '"}, "b": {"blobValue": bytes(range(256))}, "n": {"isNull": True}}
    database.execute("INSERT INTO k VALUES (1, :v, :b), (2, :n, :n)", values)
    assert database.query("SELECT v, b FROM k ORDER BY id") == [
        [{"stringValue": "🍕 \\ '"}, {"blobValue": bytes(range(256))}],
        [{"isNull": True}, {"isNull": True}],
    ]


def test_an_insert_answers_the_key_without_a_transaction(database, monkeypatch):
    monkeypatch.delattr(StatementFunction, "begin_transaction")
    key = database.insert("INSERT INTO k (v) VALUES (:v)", {"v": {"stringValue": "a"}})
    assert _rows(database) == [(key, "a")]


@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("INSERT INTO k (id) VALUES (1), (1)", PermanentError, 1062),
        ("SELECT * FROM absent", BlockedError, 1146),
        ("SELEC", DataApiError, 1064),
        ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'streamback: writes to x are fenced'", FencedError, 1644),
        ("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213", TransientError, 1213),
    ],
)
def test_an_error_keeps_its_class(database, sql, kind, code):
    with pytest.raises(DataApiError) as raised:
        database.once(sql)
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert getattr(raised.value, "maybe_written", False) is False


def test_a_transaction_is_written_when_it_ends(database):
    with database.transaction() as inside:
        assert inside.execute("INSERT INTO k (id, v) VALUES (1, 'a')") == 1
        assert inside.execute("UPDATE k SET v = 'b' WHERE id = 1") == 1
        assert inside.query("SELECT v FROM k") == [[{"stringValue": "b"}]]
        assert _rows(database) == []
    assert _rows(database) == [(1, "b")]


def test_a_transaction_that_fails_writes_nothing(database):
    with pytest.raises(PermanentError), database.transaction() as inside:  # noqa: PT012  # which shall end with it
        inside.execute("INSERT INTO k (id) VALUES (1)")
        inside.execute("INSERT INTO k (id) VALUES (1)")
    assert _rows(database) == []


def test_a_statement_that_failed_and_was_left_is_not_run_again(database):
    with database.transaction() as inside:
        inside.execute("INSERT INTO k (id, v) VALUES (1, 'a')")
        with pytest.raises(PermanentError):
            inside.execute("INSERT INTO k (id) VALUES (1)")
        inside.execute("INSERT INTO k (id, v) VALUES (2, 'b')")
    assert _rows(database) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("when", ["before the next statement", "before the commit"])
def test_rows_that_change_meanwhile_end_the_transaction_without_a_trace(database, when):
    database.execute("INSERT INTO k (id, v) VALUES (1, 'a')")
    with pytest.raises(TransientError, match="changed") as changed, database.transaction() as inside:  # noqa: PT012
        read = inside.query("SELECT v FROM k WHERE id = 1 FOR UPDATE")[0][0]["stringValue"]
        if when == "before the commit":
            inside.execute("INSERT INTO k (id, v) VALUES (2, :v)", {"v": {"stringValue": read}})
        database.execute("UPDATE k SET v = 'x'")
        if when == "before the next statement":
            inside.execute("INSERT INTO k (id, v) VALUES (2, :v)", {"v": {"stringValue": read}})
    assert not changed.value.maybe_written
    assert _rows(database) == [(1, "x")]


def test_a_row_that_is_inserted_keeps_the_key_that_the_transaction_has_seen(database):
    with database.transaction() as inside:
        inside.execute("INSERT INTO k (v) SELECT 'a'")
        key = inside.query("SELECT id FROM k WHERE v = 'a'")[0][0]["longValue"]
        between = database.insert("INSERT INTO k (v) VALUES ('x')", {})
        inside.execute("UPDATE k SET v = 'b' WHERE id = :id", {"id": {"longValue": key}})
        later = inside.insert("INSERT INTO k (v) VALUES ('c')", {})
    assert key < between < later
    assert _rows(database) == [(key, "b"), (between, "x"), (later, "c")]


def test_keeping_a_key_needs_no_right_but_that_to_insert(database, place, sandbox):
    made = f"u{uuid.uuid4().hex[:12]}"
    with sandbox.database.connect() as root, root.cursor() as cursor:
        cursor.execute(f"CREATE USER {made}@'%' IDENTIFIED BY 'Secret-1'")
        cursor.execute(f"GRANT SELECT, INSERT ON {place[2]}.* TO {made}@'%'")
    with sandbox.database.connect(made, "Secret-1", place[2]) as own, own.cursor() as cursor:
        cursor.execute("SET INSERT_ID = 7000")
        cursor.execute("INSERT INTO k (v) VALUES ('a')")
        cursor.execute("INSERT INTO k (v) VALUES ('b')")
    assert _rows(database) == [(7000, "a"), (7001, "b")]
    with sandbox.database.connect() as root, root.cursor() as cursor:
        cursor.execute(f"DROP USER {made}@'%'")


def test_rows_that_a_transaction_did_not_look_at_may_change(database):
    database.execute("INSERT INTO k (id, v) VALUES (1, 'a'), (5, 'e')")
    with database.transaction() as inside:
        inside.query("SELECT v FROM k WHERE id = 1")
        inside.execute("UPDATE k SET v = 'b' WHERE id = 1")
        database.execute("UPDATE k SET v = 'f' WHERE id = 5")
    assert _rows(database) == [(1, "b"), (5, "f")]


@pytest.mark.parametrize("sql", ["CREATE TABLE x (i INT)", " set @x = 1", "CALL p()", "TRUNCATE k"])
def test_what_cannot_be_run_again_is_refused_in_a_transaction(database, sql):
    with pytest.raises(DataApiError, match="runs it again"), database.transaction() as inside:
        inside.execute(sql)


def test_statements_that_need_a_session_have_one_which_then_ends(database, place):
    database.together([f"CREATE TABLE {place[2]}.made (v INT) SELECT @@lock_wait_timeout v"], {"lock_wait_timeout": 7})
    assert database.query("SELECT v FROM made") == [[{"longValue": 7}]]
    database.define(f"CREATE PROCEDURE {place[2]}.two() BEGIN SELECT 1; SELECT 2; END")
    assert database.query("CALL two()") == [[{"longValue": 1}]]
    with pytest.raises(BlockedError):
        database.together([f"DROP TABLE {place[2]}.made", f"SELECT * FROM {place[2]}.absent"], {})
    with pytest.raises(BlockedError):
        database.query("SELECT * FROM made")


def test_a_request_or_an_answer_larger_than_lambda_takes_is_refused(database, monkeypatch):
    monkeypatch.setattr(requests, "LARGEST", 3000)
    database.query("SELECT REPEAT('a', 2000)")
    with pytest.raises(DataApiError, match="Lambda answers 6 MB"):
        database.query("SELECT REPEAT('ü', 2000)")
    monkeypatch.setattr(of_the_function, "LARGEST", 3000)
    with pytest.raises(DataApiError, match="requests of 6 MB"):
        database.query("SELECT :v", {"v": {"stringValue": "a" * 3000}})


class Failing:
    """Lambda's client, whose answer or error is given."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def invoke(self, **_: Any) -> Any:
        if isinstance(self._given, Exception):
            raise self._given
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(self._given).encode())}


def _refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said"}}, "Invoke")


@pytest.mark.parametrize(
    ("given", "kind", "maybe"),
    [
        (ReadTimeoutError(endpoint_url="x"), TransientError, True),
        (_refused("ServiceException"), TransientError, True),
        (_refused("TooManyRequestsException"), TransientError, False),
        (_refused("ResourceNotReadyException"), TransientError, False),
        (_refused("ResourceNotFoundException"), DataApiError, None),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 9.00 seconds"}, TransientError, True),
        ({"errorType": "Runtime.ImportModuleError", "errorMessage": "no pymysql"}, DataApiError, None),
    ],
)
def test_a_call_that_fails_is_unsure_only_where_the_function_may_have_run(given, kind, maybe):
    with pytest.raises(DataApiError) as raised:
        DataApi(StatementFunction(Failing(given), "inside"), "c", "s").execute("INSERT")  # pyright: ignore[reportArgumentType]
    assert type(raised.value) is kind
    assert getattr(raised.value, "maybe_written", None) is maybe
