"""The deployed bridge, with its own rights, and changes that MySQL refuses only because of their order."""

from __future__ import annotations

import contextlib

import pytest
from afresh import until

from functions.aws.mysql_errors import FOREIGN_KEY_CODES, TransientError
from functions.aws.quarantine import Quarantine, QuarantineTable
from functions.bridge import retries
from functions.bridge.retries import MOST_TRIES, RetryingQuarantine
from functions.domain import names
from functions.domain.changes import Change, ChangeKind

CODE = min(FOREIGN_KEY_CODES)


@pytest.fixture(scope="module")
def live(prepared, sandbox):
    """The shared sandbox, whose table has a unique column, and another that refers to a table without a bridge."""
    with contextlib.closing(sandbox.database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE chefdb.schools (name VARCHAR(255) PRIMARY KEY) CHARACTER SET utf8mb4")
        cursor.execute("ALTER TABLE chefdb.cheftable ADD UNIQUE own_unique (cheffirst)")
        yield prepared
        cursor.execute("ALTER TABLE chefdb.cheftable DROP INDEX own_unique")
        cursor.execute("DROP TABLE chefdb.schools")


@pytest.fixture
def schooled(live, database):
    """With a foreign key on the last name."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT column_type, character_set_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'chefdb' AND table_name = 'cheftable' AND column_name = 'cheflast'"
        )
        kind, letters, order = cursor.fetchone()
        cursor.execute(
            f"ALTER TABLE chefdb.schools MODIFY name {kind} CHARACTER SET {letters} COLLATE {order} NOT NULL"
        )
        cursor.execute("INSERT INTO chefdb.schools SELECT DISTINCT cheflast FROM chefdb.cheftable")
        cursor.execute(
            "ALTER TABLE chefdb.cheftable ADD CONSTRAINT school FOREIGN KEY (cheflast) REFERENCES chefdb.schools (name)"
        )
    yield live
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE chefdb.cheftable DROP FOREIGN KEY school")


def rows(database) -> set[tuple[str, str]]:
    with database.cursor() as cursor:
        cursor.execute(f"SELECT cheffirst, CONVERT({names.KEY_COLUMN} USING utf8mb4) FROM chefdb.cheftable")
        return set(cursor.fetchall())


def chef(key: str, first: str, last: str | None = None) -> dict:
    return {"ChefId": {"S": key}, "firstName": {"S": first}, **({"lastName": {"S": last}} if last else {})}


def quarantine(live) -> QuarantineTable:
    return QuarantineTable(live.clients.dynamodb, live.target.quarantine_table, "chefs")


def test_two_items_swap_a_unique_value_in_one_transaction(live, database):
    dynamodb, table = live.clients.dynamodb, live.target.entity("chefs").modern_table
    for item in (chef("a", "x"), chef("b", "y")):
        dynamodb.put_item(TableName=table, Item=item)
    until(lambda: rows(database) == {("x", "a"), ("y", "b")})
    swap = [{"Put": {"TableName": table, "Item": item}} for item in (chef("a", "y"), chef("b", "x"))]
    dynamodb.transact_write_items(TransactItems=swap)
    until(lambda: rows(database) == {("y", "a"), ("x", "b")})
    gone = {"Delete": {"TableName": table, "Key": {"ChefId": {"S": "a"}}}}
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": chef("c", "y")}}, gone])
    until(lambda: rows(database) == {("y", "c"), ("x", "b")})
    assert quarantine(live).count() == 0


def test_a_row_of_another_table_is_waited_for(schooled, database):
    dynamodb, table = schooled.clients.dynamodb, schooled.target.entity("chefs").modern_table
    tries = QuarantineTable(dynamodb, schooled.target.quarantine_table, "chefs#tries")
    dynamodb.put_item(TableName=table, Item=chef("pupil", "early", "school"))
    until(tries.count)
    assert ("early", "pupil") not in rows(database)
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO chefdb.schools VALUES ('school')")
    until(lambda: ("early", "pupil") in rows(database))
    assert quarantine(schooled).count() == 0


@pytest.mark.parametrize("name", ["MOST_TRIES", "RETRY_SECONDS"])
def test_one_whose_row_never_comes_is_quarantined_after_some_tries_and_some_time(live, monkeypatch, name):
    monkeypatch.setattr(retries, name, 0)
    if name == "RETRY_SECONDS":
        monkeypatch.setattr(retries, "MOST_TRIES", 3)
    entity, change = live.target.mapping["chefs"], Change(key=name, sequence=7, kind=ChangeKind.UPSERT)
    quarantining = RetryingQuarantine(
        Quarantine(live.clients.dynamodb, live.target.quarantine_table, "request", "stream")
    )
    waits = 2 if name == "RETRY_SECONDS" else MOST_TRIES
    for _ in range(waits):
        with pytest.raises(TransientError, match="may still come"):
            quarantining.put(entity, change, "no parent", CODE)
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
    quarantining.put(entity, change, "no parent", CODE)
    [entry] = [entry for entry in quarantine(live).records() if entry.key == name]
    assert (entry.reason, entry.code) == ("no parent", CODE)
    quarantine(live).delete(name, entry.version)
