"""After `remove` no trace is left: the table is byte for byte what it was, and nothing else of ours is there."""

from __future__ import annotations

import re
import uuid

import pytest
from sweep import BEFORE_FIRST, EVERY

from functions.domain import entities, names
from functions.install import tables, triggers, uninstall
from functions.legacy.init import statements

COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
FIELDS = {"a": {"column": "a", "type": "string"}, "b": {"column": "b", "type": "integer"}}
PROCEDURES = 3  # of the fence, and of its tokens
FILL = "INSERT INTO odd (a, b) VALUES ('x', 1), ('y', 2)"
ODD = {
    "options, comments and a check": """
        CREATE TABLE odd (
            id INT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'the `key`; ours',
            a VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'it''s',
            b BIGINT DEFAULT NULL COMMENT 'ünï',
            PRIMARY KEY (id), UNIQUE KEY both_of_them (b, a), KEY prefix (a(10)) COMMENT 'short', CHECK (b <> 13)
        ) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 COMMENT='of ''old'' times' STATS_PERSISTENT=0
        DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin""",
    "generated columns and times": """
        CREATE TABLE odd (
            b BIGINT NOT NULL, a VARCHAR(40), double_b BIGINT AS (b * 2) STORED,
            upper_a VARCHAR(40) AS (UPPER(a)) VIRTUAL,
            made_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
            id BIGINT NOT NULL AUTO_INCREMENT, PRIMARY KEY (id), KEY (upper_a), KEY twice (double_b, b)
        ) AUTO_INCREMENT=5000 DEFAULT CHARSET=latin1 ROW_FORMAT=DYNAMIC""",
    "a foreign key to itself": """
        CREATE TABLE odd (
            id BIGINT NOT NULL AUTO_INCREMENT, a TEXT, b BIGINT, PRIMARY KEY (id),
            CONSTRAINT of_old FOREIGN KEY (b) REFERENCES odd (id) ON DELETE RESTRICT
        ) DEFAULT CHARSET=utf8mb4 COMMENT='bound'""",
    "full text and an invisible column of its own": """
        CREATE TABLE odd (
            id BIGINT NOT NULL AUTO_INCREMENT, a VARCHAR(200), b INT, secret INT INVISIBLE,
            PRIMARY KEY (id), FULLTEXT KEY words (a)
        ) DEFAULT CHARSET=utf8mb4""",
}


@pytest.fixture
def place(sandbox, database):
    """A database of its own, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with database.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield name
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def shown(database):
    """What SHOW CREATE TABLE says, without the counter."""

    def show(entity) -> str:
        with database.cursor() as cursor:
            cursor.execute(f"SHOW CREATE TABLE {tables.place(entity)}")
            return COUNTER.sub("", cursor.fetchone()[1])

    return show


def _entity(name: str, database: str, fields=None, **legacy):
    raw = {"legacy": {"database": database, "table": name, "key": "id", **legacy}, "fields": fields or FIELDS}
    return entities.parse({name: {**raw, "modern": {"table": "tab", "key": "Id"}}})[name]


def _of_ours(cursor, database: str) -> list[str]:
    cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [database])
    found = [name for (name,) in cursor.fetchall() if name.startswith(names.RESERVED_PREFIX)]
    cursor.execute("SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s", [database])
    found += [name for (name,) in cursor.fetchall()]
    cursor.execute("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s", [database])
    return found + [name for (name,) in cursor.fetchall()]


def _installed(server, *chosen) -> None:
    for entity in chosen:
        tables.prepare(server, entity, block_writers=True)  # some of these tables cannot be changed otherwise
        triggers.install(server, entity)


@pytest.mark.parametrize("kind", ODD)
def test_a_table_with_odd_parts_is_byte_for_byte_as_before(kind, data_api, database, place, shown):
    entity = _entity("odd", place)
    with database.cursor() as cursor:
        cursor.execute(f"USE {place}")
        cursor.execute(ODD[kind])
        cursor.execute("INSERT INTO odd (a, b) VALUES ('x', NULL), ('y', NULL)" if "foreign" in kind else FILL)
        cursor.execute(f"SELECT * FROM {place}.odd")
        before, rows = shown(entity), cursor.fetchall()
        _installed(data_api(), entity)
        assert shown(entity) != before
        cursor.execute("INSERT INTO odd (a, b) VALUES ('z', 1)")
        cursor.execute(f"DELETE FROM {place}.odd WHERE a = 'z'")
        found = uninstall.remove(data_api(), entity, block_writers=True)
        assert shown(entity) == before
        cursor.execute(f"SELECT * FROM {place}.odd")
        assert cursor.fetchall() == rows
        assert _of_ours(cursor, place) == []
    assert found["columns"] == list(tables.COLUMNS)
    assert found["tables"] == list(tables.TABLES)


@pytest.mark.parametrize("name", ["chefs", "specimens"])
def test_the_projects_own_tables_are_byte_for_byte_as_before(name, make_legacy, data_api, database, shown):
    entity = make_legacy(name).entity
    uninstall.remove(data_api(), entity)
    before = shown(entity)
    _installed(data_api(), entity)
    uninstall.remove(data_api(), entity)
    with database.cursor() as cursor:
        cursor.execute(f"DROP TABLE {tables.place(entity)}")
    for statement in statements(entity):
        data_api().execute(statement)
    assert shown(entity) == before


def test_what_another_entity_of_the_database_needs_stays_with_its_triggers(data_api, database, place, shown):
    first, second = _entity("first", place), _entity("second", place)
    for entity in (first, second):
        for statement in statements(entity):
            data_api().execute(statement)
    _installed(data_api(), first, second)
    before = shown(second)
    assert uninstall.remove(data_api(), first)["tables"] == []
    with database.cursor() as cursor:
        assert len(_of_ours(cursor, place)) == len(tables.TABLES) + PROCEDURES + len(triggers.bodies(second))
        cursor.execute(f"INSERT INTO {place}.second (a) VALUES ('x')")
        cursor.execute(f"SELECT entity, COUNT(*) FROM {place}.{names.CHANGES_TABLE} GROUP BY entity")
        assert cursor.fetchall() == (("second", 1),)
        assert shown(second) == before
        assert uninstall.remove(data_api(), second)["tables"] == list(tables.TABLES)
        assert _of_ours(cursor, place) == []


def test_again_it_finds_nothing_to_do(data_api, place):
    entity = _entity("first", place)
    for statement in statements(entity):
        data_api().execute(statement)
    _installed(data_api(), entity)
    uninstall.remove(data_api(), entity)
    assert uninstall.remove(data_api(), entity)["columns"] == []


class _KilledError(Exception):
    pass


@pytest.mark.sweep
def test_killed_before_any_change_the_next_run_ends_as_one_clean_run(data_api, database, place, shown):
    entity, count, killed = _entity("first", place), BEFORE_FIRST, True
    while killed:
        count += EVERY
        data_api().execute(f"DROP TABLE IF EXISTS {tables.place(entity)}")
        for statement in statements(entity):
            data_api().execute(statement)
        before = shown(entity)
        _installed(data_api(), entity)
        server, left = data_api(), [count]

        def counted(call, left=left):
            def wrapped(*arguments, **named):
                left[0] -= 1
                if left[0] == 0:
                    raise _KilledError
                return call(*arguments, **named)

            return wrapped

        for name in (
            "define",
            "execute",
            "once",
            "together",
        ):  # a query changes nothing, so before it is before the next of these
            setattr(server, name, counted(getattr(server, name)))
        try:
            uninstall.remove(server, entity)
            killed = False
        except _KilledError:
            uninstall.remove(data_api(), entity)
        assert shown(entity) == before
        with database.cursor() as cursor:
            assert _of_ours(cursor, place) == []
    assert count > 20
