"""Statements by a connection over TLS: they mean what they mean by the Data API, whatever becomes of the connection."""

from __future__ import annotations

import json
import re
import uuid
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import strings

from functions.aws import data_api as by_data_api
from functions.aws import mysql_connections, plain_json
from functions.aws.data_api import DataApi
from functions.aws.mysql_client import MySqlClient, placed
from functions.aws.mysql_connections import STATEMENT_SECONDS, Connections
from functions.aws.mysql_errors import (
    BlockedError,
    DataApiError,
    FencedError,
    PermanentError,
    TransientError,
    UnwritableKeyError,
)
from functions.aws.mysql_login import Logins

COLUMNS = (
    "i BIGINT, u BIGINT UNSIGNED, t TINYINT(1), n DECIMAL(30,10), d DOUBLE, f FLOAT, s LONGTEXT, b LONGBLOB, "
    "bi BIT(1), bs BIT(20), da DATE, dt DATETIME(6), ti TIME(3), ts TIMESTAMP NULL, y YEAR, "
    "e ENUM('a', 'ß'), j JSON"
)
NAMES = ("i", "u", "t", "n", "d", "f", "s", "b", "bi", "bs", "da", "dt", "ti", "ts", "y", "e", "j")
SCIENTIFIC = re.compile(r"-?\d(\.\d+)?E-\d+")
NUMBERS = st.integers(-(2**63), 2**63 - 1)
DATES = st.dates().map(str)


@pytest.fixture(scope="module")
def place(sandbox, connections):
    """A database with a table of many types, and how a request names it."""
    outputs, name = sandbox.outputs, f"test_{uuid.uuid4().hex[:12]}"
    found = {"resourceArn": outputs["clusterArn"], "secretArn": outputs["masterSecretArn"]}
    client = MySqlClient(connections)
    client.execute_statement(**found, sql=f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    found["database"] = name
    client.execute_statement(**found, sql=f"CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, {COLUMNS})")
    client.execute_statement(**found, sql="CREATE TABLE k (id INT PRIMARY KEY, v VARCHAR(3) CHARACTER SET latin1)")
    return found


@pytest.fixture
def client(connections):
    return MySqlClient(connections)


@pytest.fixture
def database(client, place):
    return DataApi(client, place["resourceArn"], place["secretArn"], place["database"])


@pytest.fixture(scope="module")
def rds_data(sandbox):
    """The Data API as the functions call it."""
    own = sandbox.client("rds-data")
    keys = own._request_signer._credentials
    session = boto3.Session(keys.access_key, keys.secret_key, region_name=own.meta.region_name)
    return plain_json.client(session, "rds-data", Config(), endpoint_url=own.meta.endpoint_url)


def _parameters(**values: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _comparable(answer: Any) -> Any:
    """An answer without its keys, and in one form: the emulator has booleans for TINYINT(1), and 1E-10."""

    def cell(found: dict[str, Any]) -> tuple[str, Any]:
        name, value = next(iter(found.items()))
        if name == "booleanValue":
            return "longValue", int(value)
        if name == "stringValue" and SCIENTIFIC.fullmatch(value):
            return name, f"{Decimal(value):f}"
        return name, value

    rows = [[cell(each) for each in row] for row in answer["records"]]
    return rows, answer["numberOfRecordsUpdated"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_values_come_back_as_by_the_data_api(client, rds_data, place, data):
    def drawn(strategy: st.SearchStrategy[Any], name: str) -> dict[str, Any]:
        value = data.draw(st.none() | strategy)
        return {"isNull": True} if value is None else {name: value}

    values = _parameters(
        i=drawn(NUMBERS, "longValue"),
        u=drawn(st.integers(0, 2**64 - 1).map(str), "stringValue"),
        t=drawn(st.booleans(), "booleanValue"),
        n=drawn(st.decimals(-(10**19), 10**19, allow_nan=False, places=10).map(str), "stringValue"),
        d=drawn(st.floats(-1e300, 1e300, allow_subnormal=False), "doubleValue"),
        f=drawn(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), "doubleValue"),
        s=drawn(strings, "stringValue"),
        b=drawn(st.binary(max_size=100), "blobValue"),
        bi=drawn(st.integers(0, 1), "longValue"),
        bs=drawn(st.integers(0, 2**20 - 1), "longValue"),
        da=drawn(DATES, "stringValue"),
        dt=drawn(st.datetimes().map(str), "stringValue"),
        ti=drawn(st.sampled_from(["-838:59:59.000", "838:59:59", "00:00:00.5", "12:30"]), "stringValue"),
        ts=drawn(st.sampled_from(["1970-01-01 00:00:01", "2038-01-19 03:14:07"]), "stringValue"),
        y=drawn(st.integers(1901, 2155), "longValue"),
        e=drawn(st.sampled_from(["a", "ß"]), "stringValue"),
        j=drawn(st.lists(NUMBERS | strings, max_size=3).map(json.dumps), "stringValue"),
    )
    assert tuple(each["name"] for each in values) == NAMES
    insert = f"INSERT INTO t ({', '.join(NAMES)}) VALUES (:{', :'.join(NAMES)})"
    for way in (client, rds_data):
        assert way.execute_statement(**place, sql=insert, parameters=values)["numberOfRecordsUpdated"] == 1
    last = f"SELECT {', '.join(NAMES)} FROM t ORDER BY id DESC LIMIT 2"
    direct, by_http = (_comparable(way.execute_statement(**place, sql=last)) for way in (client, rds_data))
    assert direct == by_http
    assert direct[0][0] == direct[0][1]  # what either way has written


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ':no', \":no\", 'it''s :no', '\\':no', `id` `:no` FROM t WHERE id = 0 -- :no\n",
        "SELECT 1 /* :no % */ + 1 # :no",
        "SELECT @x := 5, 7 % 4, '100 %', '%s %(a)s'",
        "SELECT :a, ':a', :a, :b LIKE '%%', JSON_EXTRACT('{\"k\":1}', '$.k')",
        "SELECT 5--1, 1 -- % :no",
        "UPDATE t SET i = i WHERE id < 0",
        "UPDATE t SET i = :b WHERE i < 2",
        "DELETE FROM t WHERE s = :a",
        "SELECT IF(:b, e, 'none'), 1.50, NULL, 18446744073709551615, X'00FF', TRUE FROM t LIMIT 1",
        "SHOW GRANTS",
        "CALL two_results(:b)",
    ],
)
def test_a_statement_is_answered_as_by_the_data_api(client, rds_data, place, sql):
    client.execute_statement(**place, sql="DROP PROCEDURE IF EXISTS two_results")
    body = "BEGIN SELECT x, 'ß'; SELECT 2; END"
    client.execute_statement(**place, sql=f"CREATE PROCEDURE two_results(x INT) {body}")
    values = _parameters(a={"stringValue": "it's %s :b \\ ß"}, b={"longValue": 1})
    answers = []
    for way in (client, rds_data):
        number = way.begin_transaction(**place)["transactionId"]
        inside = {**place, "transactionId": number, "parameters": values}
        way.execute_statement(**inside, sql="INSERT INTO t (i, s, e) VALUES (1, 'x', 'a'), (0, :a, 'ß')")
        answers.append(_comparable(way.execute_statement(**inside, sql=sql)))
        way.rollback_transaction(**{name: inside[name] for name in ("resourceArn", "secretArn", "transactionId")})
    assert answers[0] == answers[1]


def test_a_name_is_a_parameter_only_outside_of_quotes_and_comments():
    sql = "SELECT :a, a:b, @v := 1, ':c', \":d\", `:e`, /* :f */ x::g, 50 % 2 -- :h"
    text, names = placed(sql)
    assert names == {"a"}
    assert text == sql.replace(":a", "%(a)s", 1).replace(" % ", " %% ")


def test_a_parameter_without_a_value_is_an_error_that_names_it(database):
    with pytest.raises(DataApiError, match="parameters b, c"):
        database.query("SELECT :a, :b, :c", {"a": {"longValue": 1}})


def test_an_insert_answers_the_key_without_a_transaction(database, client, monkeypatch):
    monkeypatch.delattr(MySqlClient, "begin_transaction")
    first = database.insert("INSERT INTO t (i) VALUES (:i)", {"i": {"longValue": 1}})
    assert database.insert("INSERT INTO t (i) VALUES (:i)", {"i": {"longValue": 1}}) == first + 1


@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("INSERT INTO k (id) VALUES (1), (1)", PermanentError, 1062),
        ("INSERT INTO k VALUES (1, 'long')", PermanentError, 1406),
        ("SELECT * FROM absent", BlockedError, 1146),
        ("SELECT absent FROM k", BlockedError, 1054),
        ("SELEC", DataApiError, 1064),
        ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'streamback: writes to x are fenced'", FencedError, 1644),
        ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'", PermanentError, 1644),
        ("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213", TransientError, 1213),
    ],
)
def test_an_error_means_what_it_means_by_the_data_api(database, sql, kind, code):
    with pytest.raises(DataApiError) as raised:
        database.once(sql)
    assert type(raised.value) is kind
    assert raised.value.code == code


def test_a_key_that_the_column_cannot_write_is_known(database):
    with pytest.raises(UnwritableKeyError):
        database.query("SELECT 1 FROM k WHERE v = :v", {"v": {"stringValue": "🍕"}})


def test_a_transaction_ends_with_its_block(database):
    count = "SELECT COUNT(*) FROM k"
    with database.transaction() as inside:
        inside.execute("INSERT INTO k (id) VALUES (10)")
        assert database.query(count) == [[{"longValue": 0}]]
    assert database.query(count) == [[{"longValue": 1}]]
    with pytest.raises(PermanentError), database.transaction() as inside:  # noqa: PT012  # which shall end with it
        inside.execute("DELETE FROM k")
        inside.execute("INSERT INTO k (id) VALUES (11), (11)")
    assert database.query(count) == [[{"longValue": 1}]]
    database.execute("DELETE FROM k")


def test_a_transaction_that_has_ended_takes_no_statement(client, place):
    number = client.begin_transaction(**place)["transactionId"]
    client.rollback_transaction(transactionId=number)
    with pytest.raises(TransientError, match=number):
        client.execute_statement(**place, transactionId=number, sql="SELECT 1")


def test_session_variables_have_their_defaults_when_statements_have_run_together(database):
    database.together(
        ["CREATE TABLE IF NOT EXISTS made (id INT)"], {"lock_wait_timeout": 7}, ["DO RELEASE_ALL_LOCKS()"]
    )
    (found,) = database.query("SELECT @@SESSION.lock_wait_timeout = @@GLOBAL.lock_wait_timeout, CONNECTION_ID()")
    assert found[0] == {"longValue": 1}


def test_a_procedure_that_leaves_a_transaction_open_keeps_no_rows(database):
    for body in (
        "START TRANSACTION; INSERT INTO k (id) VALUES (20);",
        "START TRANSACTION; INSERT INTO k (id) VALUES (20), (20);",
    ):
        database.execute("DROP PROCEDURE IF EXISTS left_open")
        database.define(f"CREATE PROCEDURE left_open() BEGIN {body} END")
        try:
            database.once("CALL left_open()")
        except PermanentError as error:
            assert error.code == 1062  # noqa: PT017  # of the second body
        assert database.query("SELECT COUNT(*) FROM k") == [[{"longValue": 0}]]


@pytest.fixture
def own(sandbox, connections, place):
    """Connections of its own, which wait a second for a statement."""
    logins = Logins(sandbox.client("secretsmanager"), "127.0.0.1", sandbox.database.port)
    made = Connections("127.0.0.1", sandbox.database.port, logins, 1)
    yield made
    made.forget()


def _database(connections: Connections, place: dict[str, str]) -> DataApi:
    return DataApi(MySqlClient(connections), place["resourceArn"], place["secretArn"], place["database"])


def _connection_id(database: DataApi) -> int:
    return database.query("SELECT CONNECTION_ID()")[0][0]["longValue"]


def test_a_connection_is_used_again_for_the_same_user_and_database_only(own, place):
    here, there = _database(own, place), _database(own, {**place, "database": "information_schema"})
    first = _connection_id(here)
    assert _connection_id(there) != first
    assert _connection_id(here) == first
    with here.transaction() as inside:
        assert _connection_id(inside) == first
        assert _connection_id(here) != first


def test_a_connection_that_was_lost_at_rest_is_replaced(own, place, database, monkeypatch):
    monkeypatch.setattr(mysql_connections, "RESTING_SECONDS", 0)
    here = _database(own, place)
    first = _connection_id(here)
    database.once(f"KILL {first}")
    assert _connection_id(here) != first


def test_a_connection_that_is_lost_while_it_is_used_leaves_the_outcome_unknown(own, place, database):
    here = _database(own, place)
    database.once(f"KILL {_connection_id(here)}")
    with pytest.raises(TransientError) as lost:
        here.execute("INSERT INTO k (id) VALUES (30)")
    assert lost.value.maybe_written
    assert here.query("SELECT 1 FROM k") == []


def test_a_transaction_whose_connection_is_lost_is_rolled_back(own, place, database):
    with pytest.raises(TransientError) as lost, _database(own, place).transaction() as inside:  # noqa: PT012  # likewise
        inside.execute("INSERT INTO k (id) VALUES (31)")
        database.once(f"KILL {_connection_id(inside)}")
    assert lost.value.maybe_written  # the commit was sent
    assert database.query("SELECT 1 FROM k") == []


def test_a_statement_that_takes_too_long_may_still_be_written(own, place):
    with pytest.raises(TransientError) as late:
        _database(own, place).execute("DO SLEEP(3)")
    assert late.value.maybe_written


def test_an_instance_that_has_become_a_reader_is_left(own, place):
    here = _database(own, place)
    first = _connection_id(here)
    with pytest.raises(TransientError) as refused:
        here.once("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'read only'")
    assert not refused.value.maybe_written
    assert _connection_id(here) != first


@pytest.mark.parametrize("wrong", ["port", "authority", "name"])
def test_a_server_that_is_not_reached_or_not_trusted_has_written_nothing(own, place, monkeypatch, wrong):
    if wrong == "port":
        monkeypatch.setattr(own, "_port", 1)
    elif wrong == "authority":
        bundle = mysql_connections.Path(by_data_api.__file__).parents[1] / "install" / "rds-ca.pem"
        monkeypatch.setattr(mysql_connections, "AUTHORITIES", bundle)
    else:
        monkeypatch.setattr(own, "_host", "localhost")  # the certificate names the address
    with pytest.raises(TransientError) as refused:
        _database(own, place).execute("INSERT INTO k (id) VALUES (40)")
    assert refused.value.code == 2003
    assert not refused.value.maybe_written


def test_only_so_many_connections_rest(own, place, database):
    kept = [_database(own, {**place, "database": name}) for name in ("", "mysql", "information_schema")]
    kept += [_database(own, place)]
    first = [_connection_id(each) for each in kept]
    _connection_id(_database(own, {**place, "database": "performance_schema"}))
    again = [_connection_id(each) for each in reversed(kept)]
    assert again[:3] == first[:0:-1]
    assert again[3] != first[0]
    assert STATEMENT_SECONDS > 50  # InnoDB's wait for a lock
