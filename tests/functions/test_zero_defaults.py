"""A table of a session with another sql_mode, whose defaults and rows have zero dates: from `init` to `complete`."""

from __future__ import annotations

import contextlib
import re
import uuid

import pymysql
import pytest
from copying import make_copying
from legacy_world import BASE, STREAM, Legacy, set_control

from functions.bridge import stream_guard
from functions.bridge.replay import Replay
from functions.domain import entities, names
from functions.install import online_ddl, read_only, schema_check, tables, triggers, uninstall

ZERO = "0000-00-00 00:00:00"
DATABASE = f"test_{uuid.uuid4().hex[:12]}"
COLUMNS = (
    f"label VARCHAR(20), seen DATETIME NOT NULL DEFAULT '{ZERO}', day DATE NOT NULL DEFAULT '0000-00-00', "
    f"odd DATE NOT NULL DEFAULT '2020-02-30', part DATE NOT NULL DEFAULT '2020-00-15', "
    f"noted TIMESTAMP NOT NULL DEFAULT '{ZERO}' ON UPDATE CURRENT_TIMESTAMP, "
    f"changed DATETIME NOT NULL DEFAULT '{ZERO}' ON UPDATE CURRENT_TIMESTAMP"
)
DATES = ", ".join(f"CAST({name} AS CHAR)" for name in ("seen", "day", "odd", "part", "noted", "changed"))
DEFAULTS = [ZERO, "0000-00-00", "2020-02-30", "2020-00-15", ZERO, ZERO]
COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


@pytest.fixture
def root(sandbox):
    """A session that takes any date."""
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        yield cursor


@pytest.fixture
def legacy(root, data_api):
    """The table with a row of its defaults, before `init`; its only field is `label`."""
    raw = {
        "legacy": {"database": DATABASE, "table": "thing", "key": "id"},
        "modern": {"table": "thing", "key": "ChefId"},
        "fields": {"label": {"column": "label", "type": "string", "max_length": 20}},
    }
    root.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
    root.execute(f"CREATE TABLE {DATABASE}.thing (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, {COLUMNS})")
    root.execute(f"INSERT INTO {DATABASE}.thing (label) VALUES ('first')")
    yield Legacy(entities.parse({"things": raw})["things"], data_api(), data_api(DATABASE))
    root.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture
def installed(legacy, bridge_user):
    """The same after `init` and `copy start`, as the bridge's user sees it."""
    tables.prepare(legacy.server, legacy.entity)
    stream_guard.confirm(legacy.server, legacy.entity, STREAM)
    triggers.install(legacy.server, legacy.entity)
    return bridge_user(legacy)


def shown(root):
    root.execute(f"SHOW CREATE TABLE {DATABASE}.thing")
    return COUNTER.sub("", root.fetchone()[1])


def modes(server):
    return server.query("SELECT @@SESSION.sql_mode, @@GLOBAL.sql_mode")


def dates(root, label):
    root.execute(f"SELECT {DATES} FROM {DATABASE}.thing WHERE label = %s", (label,))
    return list(root.fetchone())


def change(key, sequence, event="INSERT", **attributes):
    data = {"Keys": {"ChefId": {"S": key}}, "SequenceNumber": str(sequence)}
    if event != "REMOVE":
        data["NewImage"] = {**data["Keys"], **{name: {"S": text} for name, text in attributes.items()}}
    return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": data}


def test_what_preflight_accepts_goes_through_init_and_complete_and_leaves_no_trace(legacy, root):
    assert schema_check.problems(legacy.server, legacy.entity) == []
    before, mode = shown(root), modes(legacy.server)
    tables.prepare(legacy.server, legacy.entity)
    triggers.install(legacy.server, legacy.entity)
    tables.prepare(legacy.server, legacy.entity)
    assert all(tables.has_column(legacy.server, legacy.entity, name) for name in tables.COLUMNS)
    for name in read_only.bodies(legacy.entity):
        read_only.add(legacy.server, legacy.entity, name)
        read_only.remove(legacy.server, legacy.entity, name)
    uninstall.remove(legacy.server, legacy.entity)
    assert (shown(root), modes(legacy.server)) == (before, mode)
    assert dates(root, "first") == DEFAULTS


def test_the_session_of_a_change_has_its_own_mode_again_also_after_an_error(legacy, root, sandbox):
    procedures = []

    class Server:
        """Notes the procedure, and calls nothing."""

        def execute(self, sql):
            procedures.append(sql)

        def define(self, sql):
            procedures.append(sql)

        def once(self, sql, *, goes_on):
            procedures.append(sql)

        def query(self, _):
            return []

    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        for column, wrong in (("of_a_test", False), ("label", True)):
            procedures.clear()
            online_ddl._run(Server(), legacy.entity, f"ADD COLUMN {column} INT")
            cursor.execute("SET SESSION sql_mode = 'TRADITIONAL,ANSI_QUOTES'")
            cursor.execute("SELECT @@SESSION.sql_mode")
            before = cursor.fetchone()
            cursor.execute(procedures[0])
            with pytest.raises(pymysql.err.MySQLError) if wrong else contextlib.nullcontext():
                cursor.execute(procedures[1])
            cursor.execute("SELECT @@SESSION.sql_mode")
            assert cursor.fetchone() == before
    assert "of_a_test" in shown(root)


def test_copy_takes_such_a_row_and_legacys_writers_go_on_with_their_own_mode(installed, root, sandbox):
    copying = make_copying(installed, installed.database, sandbox.client("dynamodb"))
    root.execute(f"INSERT INTO {DATABASE}.thing (label) VALUES ('while captured')")
    root.execute(f"UPDATE {DATABASE}.thing SET seen = '{ZERO}' WHERE label = 'first'")
    copying.begin()
    copying.catch_up()
    assert {fields["label"] for fields in copying.modern().values()} == {"first", "while captured"}
    assert dates(root, "while captured") == DEFAULTS


def test_the_bridge_updates_such_rows_and_inserts_them_or_quarantines_with_the_column(installed, root):
    """MySQL gives a row its column's default whatever it is; MariaDB refuses a date that the session's mode refuses."""
    set_control(installed, fenced=1, legacy_stamp=0)
    installed.apply(change("a", BASE, label="new"), change("1", BASE + 1, "MODIFY", label="changed"))
    assert dates(root, "changed")[:4] == DEFAULTS[:4]
    root.execute("SELECT VERSION()")
    if "MariaDB" in root.fetchone()[0]:
        reason, code = installed.quarantined.changes["a"]
        assert (code, "for column 'seen'" in reason) == (1978, True)
    else:
        assert installed.quarantined.changes == {}
        assert dates(root, "new") == DEFAULTS
    installed.apply(change("a", BASE + 2, "REMOVE"), change("1", BASE + 3, "REMOVE"))
    root.execute(f"SELECT label FROM {DATABASE}.thing")
    assert root.fetchall() == ()


def test_a_change_that_is_only_noted_leaves_such_columns_as_they_are(installed, root):
    Replay(installed.entity, installed.database, installed.read).pass_over("1", BASE + 2, STREAM)
    root.execute(f"SELECT CAST({names.SEQUENCE_COLUMN} AS CHAR) FROM {DATABASE}.thing")
    assert root.fetchone() == (str(BASE + 2),)
    assert dates(root, "first") == DEFAULTS
