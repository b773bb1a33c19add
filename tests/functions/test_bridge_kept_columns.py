"""Columns with ON UPDATE CURRENT_TIMESTAMP stay as they are when only streamback's own columns change."""

from __future__ import annotations

import pytest
from legacy_world import BASE, STREAM, record, set_control

from functions.bridge.inherit import Inheritance
from functions.bridge.replay import Replay
from functions.bridge.stream_guard import Adoption
from functions.domain import names
from functions.install import triggers

BEFORE = "2020-02-02 00:00:00.000000"


@pytest.fixture
def legacy(make_legacy, bridge_user):
    """A table whose rows have the time of their last change, with streamback's triggers; modern's is `a`."""
    made = make_legacy("chefs")
    column = "changed DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
    made.database.execute(f"ALTER TABLE cheftable ADD COLUMN {column}")
    triggers.install(made.server, made.entity)
    found = bridge_user(made)
    set_control(found, fenced=1, legacy_stamp=0)
    found.apply(record("a", BASE, firstName="a"))
    set_control(found, fenced=0, legacy_stamp=1)
    found.server.execute(f"UPDATE {place(found)} SET changed = '{BEFORE}'")  # by legacy, whose row it is from now on
    return found


def place(legacy):
    return f"{legacy.entity.legacy.database}.cheftable"


def changed(legacy):
    sql = f"SELECT CAST(changed AS CHAR), CAST({names.SEQUENCE_COLUMN} AS CHAR) FROM cheftable"
    [row] = legacy.database.query(sql)
    return row[0]["stringValue"], row[1].get("stringValue")


def test_a_conflict_is_noted(legacy):
    legacy.apply(record("a", BASE + 1, "MODIFY", firstName="conflict"))
    assert list(legacy.quarantined.changes) == ["a"]
    assert changed(legacy) == (BEFORE, str(BASE + 1))


def test_a_quarantined_change_is_passed_over(legacy):
    Replay(legacy.entity, legacy.database, legacy.read).pass_over("a", BASE + 2, STREAM)
    assert changed(legacy) == (BEFORE, str(BASE + 2))


def test_a_replay_that_is_still_refused_leaves_no_trace(legacy):
    verdict = Replay(legacy.entity, legacy.database, lambda _: {"a": None}).apply("a", BASE, STREAM)
    assert verdict.reason
    assert changed(legacy)[0] == BEFORE


def test_a_new_stream_is_adopted(legacy):
    adoption = Adoption(
        entity=legacy.entity, database=legacy.database, server=legacy.server, stream_arn=f"{STREAM}-next", token=0
    )
    assert adoption.run(None, 1000) is None
    assert changed(legacy) == (BEFORE, None)


def test_a_row_inherits_a_tombstones_number(legacy):
    columns = "entity, item_key, sequence, deleted_at"
    sql = f"INSERT INTO {names.DELETES_TABLE} ({columns}) VALUES ('chefs', 'a', {BASE + 9}, NOW(6))"
    legacy.database.execute(sql)
    assert Inheritance(legacy.entity, legacy.database).correct(["a"]) == 1
    assert changed(legacy) == (BEFORE, str(BASE + 9))


def test_a_real_change_of_the_bridge_is_one_of_the_row(legacy):
    set_control(legacy, fenced=1, legacy_stamp=0)
    legacy.apply(record("a", BASE + 1, "MODIFY", firstName="new"))
    assert changed(legacy)[0] > BEFORE
