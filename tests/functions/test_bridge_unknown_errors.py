"""The deployed bridge and a record that the database refuses for an unknown reason."""

from __future__ import annotations

import pytest
from afresh import until

from functions.aws.quarantine import QuarantineTable
from functions.bridge.handler import MOST_TRIES

TRIGGER = "owners_rule"
BAD = "unlucky"
BODY = (
    f"IF NEW.cheffirst = '{BAD}' THEN SIGNAL SQLSTATE 'HY123' SET MESSAGE_TEXT = 'unheard of', MYSQL_ERRNO = 31999; "
    "END IF"
)


@pytest.fixture
def live(prepared, database):
    """The shared sandbox, whose table has a trigger of its owner's that fails for one record."""
    with database.cursor() as cursor:
        cursor.execute("USE chefdb")
        cursor.execute(f"CREATE TRIGGER {TRIGGER} BEFORE INSERT ON cheftable FOR EACH ROW BEGIN {BODY}; END")
    yield prepared
    with database.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {TRIGGER}")


def names(database):
    with database.cursor() as cursor:
        cursor.execute("SELECT cheffirst FROM chefdb.cheftable")
        return {name for (name,) in cursor.fetchall()}


def test_it_goes_to_quarantine_after_some_tries_and_its_neighbours_arrive(live, database):
    chefs, dynamodb = live.target.entity("chefs"), live.clients.dynamodb
    quarantine = QuarantineTable(dynamodb, live.target.quarantine_table, "chefs")
    for key, name in (("a", "before"), ("b", BAD), ("c", "after")):
        dynamodb.put_item(TableName=chefs.modern_table, Item={"ChefId": {"S": key}, "firstName": {"S": name}})
    until(quarantine.count)
    [entry] = quarantine.records()
    assert (entry.key, entry.code) == ("b", 31999)
    assert f"{MOST_TRIES} tries failed" in entry.reason
    assert "unheard of" in entry.reason
    until(lambda: names(database) == {"before", "after"})
    dynamodb.put_item(TableName=chefs.modern_table, Item={"ChefId": {"S": "b"}, "firstName": {"S": "cured"}})
    until(lambda: "cured" in names(database))
