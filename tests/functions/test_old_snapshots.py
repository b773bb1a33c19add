"""A legacy transaction that cannot see a delete inserts its key again: the row continues from the delete."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from copying import Copying, Faulty, make_copying
from legacy_world import BASE, record, set_control

from functions.aws.data_api import cell_text
from functions.aws.retry import poll
from functions.bridge.inherit import Inheritance
from functions.domain import names

KEY, OTHER, ELSEWHERE = "7", "8", "9"
DELETED = BASE + 5
LEVELS = ("REPEATABLE READ", "READ COMMITTED")
INSERTS = {
    "insert": "INSERT INTO {table} ({key}, cheffirst) VALUES ('7', 'again')",
    "on duplicate key": "INSERT INTO {table} ({key}, cheffirst) VALUES ('7', 'again') "
    "ON DUPLICATE KEY UPDATE cheffirst = VALUES(cheffirst)",
    "replace": "REPLACE INTO {table} ({key}, cheffirst) VALUES ('7', 'again')",
    "ignore": "INSERT IGNORE INTO {table} ({key}, cheffirst) VALUES ('7', 'again')",
    "many rows": "INSERT INTO {table} ({key}, cheffirst) VALUES ('8', 'again'), ('7', 'again')",
    "select": "INSERT INTO {table} ({key}, cheffirst) SELECT '7', 'again' FROM {table} WHERE {key} = '9'",
    "move": "UPDATE {table} SET {key} = '7', cheffirst = 'again' WHERE {key} = '9'",
}


@pytest.fixture(scope="session", params=["integer", "string"])
def copied(request, make_legacy, bridge_user, sandbox):
    made = make_legacy("chefs", key_type=request.param, **({"key": "sku"} if request.param == "string" else {}))
    return make_copying(made, bridge_user(made).database, sandbox.client("dynamodb"))


@pytest.fixture
def copying(copied):
    """Legacy's first epoch, in which it has made the rows 7 and 9; copy has done all its work."""
    set_control(copied.writers, fenced=0, legacy_stamp=1, generation=1)
    copied.clear()
    copied.begin(backfilled=True)
    run(copied, "INSERT INTO {table} ({key}, cheffirst) VALUES ('7', 'first'), ('9', 'first')")
    copied.once()
    return copied


def text(copying: Copying, sql: str) -> str:
    legacy = copying.entity.legacy
    return sql.format(table=f"`{legacy.table}`", key=f"`{legacy.key}`")


def run(copying: Copying, sql: str) -> None:
    copying.writers.database.execute(text(copying, sql))


@contextmanager
def transaction(copying: Copying, sandbox, level: str):
    """An unmodified client's transaction that has seen everything as it is now; MySQL's rules."""
    with sandbox.database.connect(database=copying.entity.legacy.database) as client, client.cursor() as cursor:
        # MariaDB alone has the variable, and alone runs what is in the comment
        cursor.execute("SET SESSION /*M! innodb_snapshot_isolation = OFF, */ innodb_lock_wait_timeout = 20")
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        client.begin()
        for table in (f"`{copying.entity.legacy.table}`", names.DELETES_TABLE, names.CONTROL_TABLE):
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
        yield cursor
        client.commit()


def to_modern(copying: Copying) -> None:
    set_control(copying.writers, legacy_stamp=0, fenced=1)


def to_legacy(copying: Copying) -> None:
    set_control(copying.writers, legacy_stamp=2, generation=2, fenced=0)


def rows(copying: Copying) -> dict[str, tuple[str, int | None]]:
    """First name and sequence by primary key."""
    sql = text(copying, f"SELECT {{key}}, cheffirst, {names.SEQUENCE_COLUMN} FROM {{table}}")
    found = copying.writers.database.query(sql)
    return {
        cell_text(key): (cell_text(first), None if number.get("isNull") else int(cell_text(number)))
        for key, first, number in found
    }


def modern_deletes(copying: Copying) -> list[dict]:
    """Modern changes and deletes 7; the records, which the stream may deliver again."""
    records = [record(KEY, BASE, "MODIFY", firstName="modern"), record(KEY, DELETED, "REMOVE")]
    copying.legacy.apply(*records[:1])
    copying.legacy.apply(*records[1:])
    return records


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("statement", INSERTS)
def test_a_row_that_an_old_snapshot_inserts_is_changed_by_no_record_from_before(copying, sandbox, statement, level):
    with transaction(copying, sandbox, level) as cursor:
        to_modern(copying)
        records = modern_deletes(copying)
        assert KEY not in rows(copying)
        to_legacy(copying)
        cursor.execute(text(copying, INSERTS[statement]))
    copying.once()
    assert rows(copying)[KEY] == ("again", DELETED)
    to_modern(copying)
    for late in (records[1:], records[:1], records):
        copying.legacy.apply(*late)
    assert rows(copying)[KEY] == ("again", DELETED)
    assert not copying.legacy.quarantined.changes
    copying.legacy.apply(record(KEY, DELETED + 1, "REMOVE"))
    assert KEY not in rows(copying)


@pytest.mark.parametrize("level", LEVELS)
def test_a_replaced_row_continues_from_what_an_old_snapshot_does_not_show(copying, sandbox, level):
    late = record(KEY, DELETED, "MODIFY", firstName="modern")
    with transaction(copying, sandbox, level) as cursor:
        to_modern(copying)
        copying.legacy.apply(late)
        to_legacy(copying)
        cursor.execute(text(copying, INSERTS["replace"]))
    copying.once()
    to_modern(copying)
    copying.legacy.apply(late)
    assert rows(copying)[KEY] == ("again", DELETED)


@pytest.mark.parametrize("level", LEVELS)
def test_an_insert_that_waits_for_a_delete_continues_from_it(copying, sandbox, level):
    """The trigger reads before the insert waits: no tombstone yet, but the row that is being deleted."""
    late = record(KEY, DELETED, "MODIFY", firstName="modern")
    to_modern(copying)
    copying.legacy.apply(late)
    to_legacy(copying)
    with transaction(copying, sandbox, level) as second:
        with transaction(copying, sandbox, level) as first:
            first.execute(text(copying, "DELETE FROM {table} WHERE {key} = '7'"))
            thread = threading.Thread(target=second.execute, args=(text(copying, INSERTS["insert"]),))
            thread.start()
            until_waiting(sandbox)
        thread.join()
    copying.once()
    to_modern(copying)
    copying.legacy.apply(late)
    assert rows(copying)[KEY] == ("again", DELETED)


def until_waiting(sandbox) -> None:
    # the server shows the same again to one who asks more than ten times a second
    waiting = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    with sandbox.database.connect() as client, client.cursor() as cursor:
        assert poll(lambda: cursor.execute(waiting), timeout=20, first=0.2, longest=0.2)


def test_a_late_delete_of_a_row_that_legacy_updates_is_still_a_conflict(copying):
    """The bridge had written the tombstone only: copy must not take the delete for one of the row's past."""
    to_modern(copying)
    records = [record(KEY, BASE, "MODIFY", firstName="modern"), record(KEY, DELETED, "REMOVE")]
    copying.legacy.apply(records[0])
    tombstone = f"'{copying.entity.name}', '{KEY}', {DELETED}, UTC_TIMESTAMP(6)"
    run(copying, f"INSERT INTO {names.DELETES_TABLE} (entity, item_key, sequence, deleted_at) VALUES ({tombstone})")
    to_legacy(copying)
    run(copying, "UPDATE {table} SET cheffirst = 'legacy' WHERE {key} = '7'")
    copying.once()
    copying.legacy.apply(records[1])
    assert list(copying.legacy.quarantined.changes) == [KEY]
    assert rows(copying)[KEY] == ("legacy", DELETED)


def test_a_lane_that_wakes_late_changes_no_newer_sequence(copying, sandbox):
    with transaction(copying, sandbox, LEVELS[0]) as cursor:
        to_modern(copying)
        modern_deletes(copying)
        to_legacy(copying)
        cursor.execute(text(copying, INSERTS["insert"]))

    def asleep(name, call):
        if name == "execute":
            copying.once()
            to_modern(copying)
            copying.legacy.apply(record(KEY, DELETED + 9, "MODIFY", firstName="newer"))
            set_lower(copying, DELETED + 8)
        return call()

    database = Faulty(copying.legacy.database, asleep)
    assert Inheritance(copying.entity, database).correct([KEY]) == 1
    assert rows(copying)[KEY] == ("newer", DELETED + 8)


def set_lower(copying: Copying, sequence: int) -> None:
    """As replay does for the moment of its write."""
    sql = text(copying, f"UPDATE {{table}} SET {names.SEQUENCE_COLUMN} = {sequence} WHERE {{key}} = '7'")
    copying.legacy.database.execute(sql)


def test_what_legacy_does_not_insert_and_what_no_item_had_is_left_alone(copying):
    inheritance = Inheritance(copying.entity, copying.legacy.database)
    assert inheritance.correct([]) == inheritance.correct([KEY, OTHER, ELSEWHERE]) == 0
    to_modern(copying)
    modern_deletes(copying)
    copying.legacy.apply(record(KEY, DELETED + 1, firstName="modern"))
    to_legacy(copying)
    assert inheritance.correct([KEY]) == 0
    assert dict(rows(copying).values())["modern"] == DELETED + 1


def test_the_correction_makes_no_writer_wait(copying, sandbox):
    """It locks the row that it changes and nothing else: other keys come and go meanwhile."""
    with transaction(copying, sandbox, LEVELS[0]) as cursor:
        to_modern(copying)
        modern_deletes(copying)
        to_legacy(copying)
        cursor.execute(text(copying, INSERTS["insert"]))
    with transaction(copying, sandbox, LEVELS[0]) as cursor:
        cursor.execute(text(copying, "INSERT INTO {table} ({key}) VALUES ('8')"))
        cursor.execute(text(copying, "DELETE FROM {table} WHERE {key} = '9'"))
        assert Inheritance(copying.entity, copying.legacy.database).correct([KEY, OTHER]) == 1
    copying.once()
    assert rows(copying)[KEY] == ("again", DELETED)
