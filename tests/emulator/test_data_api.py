"""The Data API in the sandbox: a real database with AWS's limits and errors."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError
from emulator_parts import until

from sandbox.emulator import patching
from sandbox.emulator.behaviour.connections import MOST_RESTING
from sandbox.errors import SandboxError


@pytest.fixture(scope="module")
def call(sandbox):
    client = sandbox.client("rds-data")
    target = {"resourceArn": sandbox.outputs["clusterArn"], "secretArn": sandbox.outputs["masterSecretArn"]}

    def run(operation, **more):
        return getattr(client, operation)(**target, **more)

    run("execute_statement", sql="CREATE DATABASE IF NOT EXISTS emulator_test")
    run(
        "execute_statement",
        sql="CREATE TABLE emulator_test.t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT, UNIQUE (id))",
    )
    yield run
    run("execute_statement", sql="DROP DATABASE emulator_test")


def message(raised):
    return raised.value.response["Error"]["Message"]


def test_a_row_over_64_kb_and_an_answer_over_1_mib_are_refused(call):
    with pytest.raises(ClientError) as raised:
        call("execute_statement", sql="SELECT REPEAT('x', 70000)")
    assert "64 KB" in message(raised)
    many = "SELECT REPEAT('x', 60000) FROM information_schema.columns LIMIT 20"
    with pytest.raises(ClientError) as raised:
        call("execute_statement", sql=many)
    assert "size limit" in message(raised)


def test_more_than_a_thousand_parameter_sets_are_refused(call):
    sets = [[{"name": "v", "value": {"stringValue": "x"}}]] * 1001
    with pytest.raises(ClientError):
        call("batch_execute_statement", sql="INSERT INTO emulator_test.t (v) VALUES (:v)", parameterSets=sets)


def test_a_batch_that_fails_leaves_nothing_behind(call):
    sets = [[{"name": "id", "value": {"longValue": number}}] for number in (901, 902, 901)]
    with pytest.raises(ClientError) as raised:
        call("batch_execute_statement", sql="INSERT INTO emulator_test.t (id) VALUES (:id)", parameterSets=sets)
    assert "Error code: 1062" in message(raised)
    found = call("execute_statement", sql="SELECT COUNT(*) FROM emulator_test.t WHERE id > 900")
    assert found["records"] == [[{"longValue": 0}]]


def test_a_transaction_is_seen_by_others_when_it_is_committed(call):
    number = call("begin_transaction", database="emulator_test")["transactionId"]
    call("execute_statement", sql="INSERT INTO emulator_test.t (v) VALUES ('in')", transactionId=number)
    count = "SELECT COUNT(*) FROM emulator_test.t WHERE v = 'in'"
    assert call("execute_statement", sql=count)["records"] == [[{"longValue": 0}]]
    call("commit_transaction", transactionId=number)
    assert call("execute_statement", sql=count)["records"] == [[{"longValue": 1}]]


def test_a_colon_or_percent_in_quoted_text_is_no_parameter(call):
    found = call(
        "execute_statement",
        sql="SELECT ':name 100% \\' :x', :v",
        parameters=[{"name": "v", "value": {"stringValue": "%s"}}],
    )
    assert found["records"] == [[{"stringValue": ":name 100% ' :x"}, {"stringValue": "%s"}]]


def test_a_lock_wait_freezes_no_other_client(call, sandbox):
    call("execute_statement", sql="INSERT INTO emulator_test.t (id, v) VALUES (500, 'locked')")
    number = call("begin_transaction", database="emulator_test")["transactionId"]
    call("execute_statement", sql="UPDATE emulator_test.t SET v = 'x' WHERE id = 500", transactionId=number)
    answered = []
    delete = "DELETE FROM emulator_test.t WHERE id = 500"
    waiter = threading.Thread(target=lambda: answered.append(call("execute_statement", sql=delete)))
    waiter.start()
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        waiting = f"SELECT 1 FROM information_schema.processlist WHERE info = '{delete}'"
        until(lambda: cursor.execute(waiting))
    assert call("execute_statement", sql="SELECT 1")["records"] == [[{"longValue": 1}]]
    assert not answered
    call("rollback_transaction", transactionId=number)
    waiter.join()
    assert answered[0]["numberOfRecordsUpdated"] == 1


def test_connections_to_many_databases_do_not_stay_open(call, sandbox):
    names = [f"emulator_test_{number}" for number in range(MOST_RESTING + 5)]
    for name in names:
        call("execute_statement", sql=f"CREATE DATABASE {name}")
        assert call("execute_statement", sql="SELECT DATABASE()", database=name)["records"] == [[{"stringValue": name}]]
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db LIKE 'emulator\\_test\\_%'")
        assert 0 < cursor.fetchone()[0] <= MOST_RESTING
    for name in names:
        call("execute_statement", sql=f"DROP DATABASE {name}")


def test_another_ministack_than_the_pinned_one_is_refused(monkeypatch):
    monkeypatch.setattr(patching, "PINNED", "0.0.1")
    with pytest.raises(SandboxError, match=r"data_api\.py fills a gap of ministack 0\.0\.1"):
        patching.check_version("data_api")


def test_an_enum_in_an_expression_is_text(call):
    call("execute_statement", sql="CREATE TABLE emulator_test.sizes (size ENUM('small', 'ß') CHARACTER SET utf8mb4)")
    call("execute_statement", sql="INSERT INTO emulator_test.sizes VALUES ('ß')")
    for _ in range(2):  # on one connection
        found = call("execute_statement", sql="SELECT IF(LENGTH(size) > 9, NULL, size) FROM emulator_test.sizes")
        assert found["records"] == [[{"stringValue": "ß"}]]
