"""Errors that the database really raises for statements like ours, each with the kind that it must be taken for."""

from __future__ import annotations

import uuid

import pytest

from functions.aws.mysql_errors import (
    BLOCKED_CODES,
    FINAL_CODES,
    UNWRITABLE_CODES,
    BlockedError,
    PermanentError,
    UnwritableKeyError,
)
from functions.aws.retry import TRANSIENT_NUMBERS

TABLE = """
CREATE TABLE t (
    id BIGINT PRIMARY KEY, name VARCHAR(5), needed VARCHAR(5) NOT NULL DEFAULT '', small TINYINT UNSIGNED, day DATE,
    moment DATETIME, amount DECIMAL(4,2), kind ENUM('a', 'b'), narrow VARCHAR(20) CHARACTER SET latin1, parent BIGINT,
    document JSON, stars INT CHECK (stars >= 0), doubled INT AS (stars * 2), UNIQUE (name),
    FOREIGN KEY (parent) REFERENCES p (id)
)
"""
SCHEMA = (
    "CREATE TABLE p (id BIGINT PRIMARY KEY)",
    "INSERT INTO p VALUES (1)",
    TABLE,
    "INSERT INTO t (id, name, parent) VALUES (1, 'one', 1)",
    (
        "CREATE TRIGGER rule BEFORE INSERT ON t FOR EACH ROW BEGIN IF NEW.id = 77 THEN SIGNAL SQLSTATE '45000' "
        "SET MESSAGE_TEXT = 'unlucky'; ELSEIF NEW.id = 78 THEN SIGNAL SQLSTATE '45000' "
        "SET MESSAGE_TEXT = 'worse', MYSQL_ERRNO = 30001; END IF; END"
    ),
)
OF_A_RECORD = {
    "null": "INSERT INTO t (id, needed) VALUES (2, NULL)",
    "duplicate key": "INSERT INTO t (id) VALUES (1)",
    "duplicate value": "INSERT INTO t (id, name) VALUES (2, 'one')",
    "too long": "INSERT INTO t (id, name) VALUES (2, 'too long')",
    "out of range": "INSERT INTO t (id, small) VALUES (2, 256)",
    "negative unsigned": "INSERT INTO t (id, small) VALUES (2, -1)",
    "decimal out of range": "INSERT INTO t (id, amount) VALUES (2, 100)",
    "no number": "INSERT INTO t (id, small) VALUES (2, 'x')",
    "no date": "INSERT INTO t (id, day) VALUES (2, '2026-02-31')",
    "no moment": "INSERT INTO t (id, moment) VALUES (2, 'soon')",
    "no member": "INSERT INTO t (id, kind) VALUES (2, 'c')",
    "no character of the column's": "INSERT INTO t (id, narrow) VALUES (2, '🍕')",
    "no parent": "INSERT INTO t (id, parent) VALUES (2, 9)",
    "children": "DELETE FROM p WHERE id = 1",
    "no json": "INSERT INTO t (id, document) VALUES (2, '{')",
    "check": "INSERT INTO t (id, stars) VALUES (2, -1)",
    "generated": "INSERT INTO t (id, doubled) VALUES (2, 1)",
    "a rule of the owner's": "INSERT INTO t (id) VALUES (77)",
    "a rule with a number of its own": "INSERT INTO t (id) VALUES (78)",
}
OF_THE_SCHEMA = {
    "no table": "SELECT 1 FROM nothing",
    "no index": "SELECT 1 FROM t FORCE INDEX (nothing)",
    "no column": "SELECT nothing FROM t",
    "no procedure": "CALL nothing()",
    "no database": "SELECT 1 FROM nothing_at_all.t",
}


@pytest.fixture(scope="module")
def database(data_api, sandbox):
    """A database whose table has something of everything."""
    name = f"errors_{uuid.uuid4().hex[:8]}"
    data_api().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    found = data_api(name)
    with sandbox.database.connect(database=name) as connection, connection.cursor() as cursor:
        for statement in SCHEMA:
            cursor.execute(statement)
    yield found
    data_api().execute(f"DROP DATABASE {name}")


@pytest.mark.parametrize("name", OF_A_RECORD)
def test_what_one_record_is_to_blame_for_is_permanent(database, name):
    with pytest.raises(PermanentError):
        database.execute(OF_A_RECORD[name])


@pytest.mark.parametrize("name", OF_THE_SCHEMA)
def test_what_an_operator_must_cure_blocks_and_blames_no_record(database, name):
    with pytest.raises(BlockedError):
        database.execute(OF_THE_SCHEMA[name])


def test_text_that_a_column_cannot_write_has_a_kind_of_its_own(database):
    with pytest.raises(UnwritableKeyError):
        database.query("SELECT 1 FROM t WHERE narrow = :text", {"text": {"stringValue": "🍕"}})


def test_no_number_has_two_meanings():
    kinds = [FINAL_CODES, UNWRITABLE_CODES, BLOCKED_CODES, TRANSIENT_NUMBERS]
    numbers = [number for kind in kinds for number in kind]
    assert len(numbers) == len(set(numbers))
