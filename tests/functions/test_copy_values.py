"""Rows whose values no item can have: copy quarantines each by name, verify counts it, and its neighbours arrive."""

from __future__ import annotations

import pytest
from copying import make_copying

from functions.domain import mapping
from runbook.verify.compare import BothSides
from runbook.verify.concurrency import RateLimiter

COLUMNS = (
    "label VARCHAR(20), seen DATETIME(6), open TINYINT(1), doc JSON, "
    "code VARCHAR(20), stars INT NOT NULL DEFAULT 1, must INT NULL DEFAULT 1"
)
FIELDS = {
    "label": {"column": "label", "type": "string", "max_length": 20},
    "seen": {"column": "seen", "type": "datetime"},
    "open": {"column": "open", "type": "boolean"},
    "doc": {"column": "doc", "type": "json"},
    "code": {"column": "code", "type": "string", "max_length": 3},
    "stars": {"column": "stars", "type": "integer", "bits": 8, "required": True},
    "must": {"column": "must", "type": "integer", "bits": 32, "required": True},
}
GOOD = {**dict.fromkeys(FIELDS), "stars": 1, "must": 1}
BAD = {
    "seen": "'2025-02-31 10:00:00'",
    "open": "7",
    "doc": """'{"": 1}'""",
    "code": "'four'",
    "stars": "300",
    "must": "NULL",
}


@pytest.fixture(scope="module")
def copied(make_own, bridge_user, sandbox):
    """Good rows around a bad one for each column, copied; and the keys of the bad ones by column."""
    legacy = make_own(COLUMNS, FIELDS, prepared=True)
    copying = make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))
    bad: dict[str, str] = {}
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        for column, value in BAD.items():
            place = f"`{legacy.entity.legacy.database}`.thing"
            cursor.execute(f"INSERT INTO {place} (label) VALUES ('before {column}')")
            cursor.execute(f"INSERT INTO {place} (`{column}`) VALUES ({value})")
            bad[column] = str(cursor.lastrowid)
            cursor.execute(f"INSERT INTO {place} (label) VALUES ('after {column}')")
    copying.begin()
    copying.catch_up()
    return copying, bad


def test_copy_quarantines_each_bad_row_by_its_field_and_column(copied):
    copying, bad = copied
    assert copying.quarantined.keys() == set(bad.values())
    for column, key in bad.items():
        assert copying.quarantined[key].startswith(f"{column}: column {column}: ")


def test_the_neighbours_of_a_bad_row_are_copied(copied):
    copying, bad = copied
    labels = {fields["label"] for fields in copying.modern().values()}
    assert labels == {f"{place} {column}" for place in ("before", "after") for column in bad}


def _sides(copying):
    return BothSides(copying.entity, copying.dynamodb, copying.table, copying.legacy.database, RateLimiter(0))


def test_verify_counts_a_bad_row_whatever_its_item_says(copied):
    copying, bad = copied
    sides = _sides(copying)
    for key in bad.values():
        assert [found.kind for found in sides.recheck([key])] == ["only in legacy"]
        item = mapping.item_from_record(copying.entity, mapping.Record(key, GOOD))
        assert [found.kind for found in sides.compare([item])] == ["unreadable"]


def test_verify_keeps_true_and_1_in_a_document_apart(copied):
    copying, _ = copied
    fields = {**GOOD, "doc": [True]}
    made = copying.writers.store.create(None, fields)
    found = [
        _sides(copying).compare(
            [mapping.item_from_record(copying.entity, mapping.Record(made.key, {**fields, "doc": doc}))]
        )
        for doc in ([True], [1])
    ]
    copying.writers.store.delete(made.key)
    assert [[difference.kind for difference in some] for some in found] == [[], ["fields"]]
