"""Fence, capture and epochs: what the triggers on a legacy table do to its writers, and to the bridge."""

from __future__ import annotations

import threading

import pymysql
import pytest
from legacy_world import BASE, record, set_control

from functions.aws.data_api import cell_text
from functions.aws.mysql_errors import FencedError
from functions.domain import entities, names, origin
from functions.install import triggers

FENCED = "streamback: writes to chefs are fenced"


@pytest.fixture(scope="session")
def captured_chefs(make_legacy):
    made = make_legacy("chefs")
    assert len(triggers.install(made.server, made.entity)) == 6
    return made


@pytest.fixture
def legacy(captured_chefs):
    """Chefs in legacy's first epoch, with nothing in the queue."""
    set_control(captured_chefs, fenced=0, legacy_stamp=1, generation=1)
    captured_chefs.clear()
    captured_chefs.database.execute(f"DELETE FROM {names.CHANGES_TABLE}")
    return captured_chefs


@pytest.fixture
def bridge(legacy, bridge_user):
    """The same table as the bridge sees it; what it quarantines is seen in both."""
    return bridge_user(legacy)


def _queue(legacy) -> list[str]:
    rows = legacy.database.query(f"SELECT lane, item_key FROM {names.CHANGES_TABLE} ORDER BY change_id")
    for lane, key in rows:
        assert lane["longValue"] == names.lane_of(key["blobValue"].decode())
    return [key["blobValue"].decode() for _, key in rows]


def _created(legacy, name: str = "Ana") -> str:
    return legacy.store.create(None, {"firstName": name, "lastName": "Roš"}).key


def test_installing_again_changes_nothing(legacy):
    assert triggers.install(legacy.server, legacy.entity) == []


def test_a_trigger_of_an_older_text_is_replaced(make_legacy):
    legacy = make_legacy("chefs")
    triggers.install(legacy.server, legacy.entity)
    name, (when, _) = next(iter(triggers.bodies(legacy.entity).items()))
    database, table = legacy.entity.legacy.database, legacy.entity.legacy.table
    legacy.server.execute(f"DROP TRIGGER `{database}`.{name}")
    legacy.server.execute(
        f"CREATE TRIGGER `{database}`.{name} {when} ON `{database}`.{table} FOR EACH ROW SET @older = 1"
    )
    assert triggers.install(legacy.server, legacy.entity) == [name]
    assert triggers.remove(legacy.server, legacy.entity) == list(triggers.bodies(legacy.entity))
    assert triggers.remove(legacy.server, legacy.entity) == []


def test_triggers_that_went_with_a_swapped_table_come_back_to_its_successor(make_legacy):
    legacy = make_legacy("chefs")
    triggers.install(legacy.server, legacy.entity)
    database, table = legacy.entity.legacy.database, legacy.entity.legacy.table
    swap = f"RENAME TABLE `{database}`.`{table}` TO `{database}`.old, `{database}`.new TO `{database}`.`{table}`"
    legacy.server.execute(f"CREATE TABLE `{database}`.new LIKE `{database}`.`{table}`")
    legacy.server.execute(swap)
    assert triggers.install(legacy.server, legacy.entity) == list(triggers.bodies(legacy.entity))
    assert _queue(legacy) == []
    key = _created(legacy)
    assert _queue(legacy) == [key]


def test_a_key_that_no_item_can_have_holds_up_no_legacy_writer(make_legacy):
    legacy = make_legacy("chefs", key_type="string", key="sku")
    triggers.install(legacy.server, legacy.entity)
    table, longest, longer = f"`{legacy.entity.legacy.table}`", "é" * 127 + "e", "é" * 128
    for key in ("", longest, longer):
        legacy.database.execute(f"INSERT INTO {table} (sku, cheffirst) VALUES ('{key}', 'Ana')")
    legacy.database.execute(f"UPDATE {table} SET cheffirst = 'Anja'")
    legacy.database.execute(f"UPDATE {table} SET sku = CONCAT(sku, 'x') WHERE sku = '{longest}'")
    legacy.database.execute(f"DELETE FROM {table}")
    assert _queue(legacy) == [longest] * 3  # in, changed, moved away to a key that is too long


def test_names_fit_for_the_longest_entity():
    raw = {"legacy": {"database": "d", "table": "t", "key": "id"}, "modern": {"table": "ttt", "key": "Id"}}
    entity = entities.parse({"e" * 41: {**raw, "fields": {"a": {"column": "a", "type": "string"}}}})["e" * 41]
    assert max(map(len, triggers.bodies(entity))) <= 64


def test_every_write_of_legacy_is_in_the_queue(legacy):
    key = _created(legacy)
    legacy.store.replace(key, {"firstName": "Anja", "lastName": "Roš"})
    legacy.store.delete(key)
    assert _queue(legacy) == [key] * 3


def test_a_counted_key_is_still_answered_to_the_client(legacy):
    assert legacy.store.get(_created(legacy)).fields["firstName"] == "Ana"


def test_a_row_that_came_from_modern_is_queued_under_its_item_key(legacy, bridge):
    bridge.apply(record("uuid-1", BASE, firstName="Ana"))
    legacy.store.replace("uuid-1", {"firstName": "Anja", "lastName": "Roš"})
    assert _queue(legacy) == ["uuid-1"]


def test_a_changed_primary_key_is_a_delete_and_an_insert(legacy):
    key = _created(legacy)
    legacy.database.execute(f"UPDATE `{legacy.entity.legacy.table}` SET id = 9000000 WHERE id = {key}")
    assert _queue(legacy) == [key, "9000000", key]


def test_what_the_bridge_writes_is_neither_queued_nor_given_an_epoch(legacy, bridge):
    bridge.apply(record("a", BASE, firstName="Ana"), record("b", BASE + 1, firstName="Bea"))
    bridge.apply(record("a", BASE + 2, "MODIFY", firstName="Anja"), record("b", BASE + 3, "REMOVE"))
    assert _queue(legacy) == []
    assert {key: fields["firstName"] for key, fields in bridge.everything().items()} == {"a": "Anja"}
    assert not legacy.quarantined.changes


def test_the_fence_stops_api_raw_clients_and_procedures_but_not_the_bridge(legacy, bridge, sandbox):
    key, table = _created(legacy), legacy.entity.legacy.table
    set_control(legacy, fenced=1)
    for write in (
        lambda: _created(legacy),
        lambda: legacy.store.replace(key, {"firstName": "x", "lastName": "y"}),
        lambda: legacy.store.delete(key),
    ):
        with pytest.raises(FencedError):
            write()
    with sandbox.database.connect(database=legacy.entity.legacy.database) as client, client.cursor() as cursor:
        cursor.execute("DROP PROCEDURE IF EXISTS sneak")
        cursor.execute(f"CREATE PROCEDURE sneak() INSERT INTO {table} (cheffirst) VALUES ('x')")
        for statement in (f"DELETE FROM {table}", f"REPLACE INTO {table} (id) VALUES ({key})", "CALL sneak()"):
            with pytest.raises(pymysql.err.MySQLError, match=FENCED):
                cursor.execute(statement)
    bridge.apply(record("a", BASE, firstName="Bea"))
    assert {fields["firstName"] for fields in legacy.everything().values()} == {"Ana", "Bea"}


def test_raising_the_fence_waits_for_a_writer_inside(legacy, sandbox):
    raised = threading.Event()

    def raise_fence():
        set_control(legacy, fenced=1)
        raised.set()

    with sandbox.database.connect(database=legacy.entity.legacy.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute(f"INSERT INTO {legacy.entity.legacy.table} (cheffirst) VALUES ('inside')")
        thread = threading.Thread(target=raise_fence)
        thread.start()
        _until_waiting(sandbox, "UPDATE streamback_control")
        assert not raised.is_set()
        client.commit()
    thread.join()
    assert [fields["firstName"] for fields in legacy.everything().values()] == ["inside"]
    with pytest.raises(FencedError):
        _created(legacy)


def _until_waiting(sandbox, statement: str) -> None:
    with sandbox.database.connect() as client, client.cursor() as cursor:
        while True:
            cursor.execute("SELECT info FROM information_schema.processlist WHERE command <> 'Sleep'")
            if any(info and info.startswith(statement) for (info,) in cursor.fetchall()):
                return


def test_an_old_transaction_meets_the_fence_as_it_is_now(legacy, sandbox):
    with sandbox.database.connect(database=legacy.entity.legacy.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute("SELECT * FROM streamback_control")
        set_control(legacy, fenced=1)
        with pytest.raises(pymysql.err.MySQLError, match=FENCED):
            cursor.execute(f"INSERT INTO {legacy.entity.legacy.table} (cheffirst) VALUES ('late')")


def test_a_late_record_does_not_overwrite_what_legacy_wrote_since(legacy, bridge):
    set_control(legacy, legacy_stamp=0, fenced=1)
    bridge.apply(record("a", BASE, firstName="modern"), record("b", BASE, firstName="modern"))
    set_control(legacy, legacy_stamp=2, generation=2, fenced=0)  # a forced rollback
    legacy.store.replace("a", {"firstName": "legacy", "lastName": "x"})
    legacy.store.delete("b")
    bridge.apply(record("a", BASE + 1, "MODIFY", firstName="late"), record("b", BASE + 2, "MODIFY", firstName="late"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a": "legacy"}
    assert {key: reason[:8] for key, (reason, _) in legacy.quarantined.changes.items()} == {
        "a": "conflict",
        "b": "conflict",
    }
    bridge.apply(record("a", BASE + 3, "REMOVE"))
    assert list(legacy.everything()) == ["a"]


def test_a_late_record_of_what_legacy_did_not_touch_is_applied(legacy, bridge):
    set_control(legacy, legacy_stamp=0, fenced=1)
    bridge.apply(record("a", BASE, firstName="modern"))
    set_control(legacy, legacy_stamp=2, generation=2, fenced=0)
    bridge.apply(record("a", BASE + 1, "MODIFY", firstName="late"), record("c", BASE + 2, firstName="new"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a": "late", "c": "new"}
    assert not legacy.quarantined.changes


def test_after_the_next_cutover_old_records_stay_old_and_new_ones_apply(legacy, bridge):
    set_control(legacy, legacy_stamp=0, fenced=1)
    first = [record("a", BASE, firstName="1"), record("b", BASE, firstName="1"), record("c", BASE, firstName="1")]
    bridge.apply(*first)
    set_control(legacy, legacy_stamp=2, generation=2, fenced=0)
    legacy.store.replace("a", {"firstName": "legacy", "lastName": "x"})
    legacy.store.delete("b")
    conflict = record("c", BASE + 5, "MODIFY", firstName="late")
    legacy.store.replace("c", {"firstName": "legacy", "lastName": "x"})
    bridge.apply(conflict)
    set_control(legacy, legacy_stamp=0, fenced=1)
    bridge.apply(*first, conflict)
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a": "legacy", "c": "legacy"}
    bridge.apply(record("a", BASE + 9, "MODIFY", firstName="modern"), record("b", BASE + 9, firstName="again"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {
        "a": "modern",
        "b": "again",
        "c": "legacy",
    }


def _removal_by_copy(key, sequence):
    removal = record(key, sequence, "REMOVE")
    removal["dynamodb"]["OldImage"] = origin.marked_for_delete(key, removal["dynamodb"]["Keys"])
    return removal


def _tombstones(legacy) -> dict[str, int]:
    rows = legacy.database.query(f"SELECT item_key, sequence FROM {names.DELETES_TABLE}")
    return {cell_text(key): int(cell_text(sequence)) for key, sequence in rows}


def test_the_bridge_deletes_no_row_for_what_copy_deleted(legacy, bridge):
    key = _created(legacy)
    bridge.apply(_removal_by_copy(key, BASE))
    assert list(legacy.everything()) == [key]


def test_what_copy_deleted_comes_back_by_no_older_record(legacy, bridge):
    bridge.apply(_removal_by_copy("a", BASE + 5))
    bridge.apply(record("a", BASE, firstName="late"))
    assert (legacy.everything(), _tombstones(legacy)["a"]) == ({}, BASE + 5)
    bridge.apply(record("a", BASE + 6, firstName="new"))
    assert [fields["firstName"] for fields in legacy.everything().values()] == ["new"]


def test_a_conflict_is_reported_also_when_copys_delete_comes_in_the_same_batch(legacy, bridge):
    bridge.apply(record("a", BASE, firstName="modern"))
    legacy.store.delete("a")
    bridge.apply(record("a", BASE + 1, "MODIFY", firstName="late"), _removal_by_copy("a", BASE + 2))
    assert {key: reason[:8] for key, (reason, _) in legacy.quarantined.changes.items()} == {"a": "conflict"}
    assert (legacy.everything(), _tombstones(legacy)["a"]) == ({}, BASE + 2)


@pytest.fixture(scope="session")
def natural(make_legacy):
    made = make_legacy("chefs", key_type="string", key="sku")
    triggers.install(made.server, made.entity)
    return made


def _sequences(natural) -> dict[str, str]:
    table, column = natural.entity.legacy.table, names.SEQUENCE_COLUMN
    rows = natural.database.query(f"SELECT sku, {column} FROM `{table}`")
    return {cell_text(key): "" if value.get("isNull") else cell_text(value) for key, value in rows}


def test_a_key_that_legacy_takes_again_goes_on_from_the_memory_of_its_delete(natural, bridge_user):
    bridge = bridge_user(natural)
    bridge.apply(record("taken", BASE, firstName="modern"), record("other", BASE + 1, firstName="modern"))
    bridge.apply(record("taken", BASE + 7, "REMOVE"))
    table = natural.entity.legacy.table
    natural.database.execute(f"INSERT INTO `{table}` (sku, cheffirst) VALUES ('taken', 'x'), ('fresh', 'x')")
    assert _sequences(natural) == {"other": str(BASE + 1), "taken": str(BASE + 7), "fresh": ""}
    bridge.apply(record("taken", BASE + 7, "REMOVE"))  # delivered again
    assert "taken" in natural.everything()


def test_a_row_that_replaces_another_goes_on_from_its_sequence(natural, bridge_user):
    bridge = bridge_user(natural)
    bridge.apply(record("kept", BASE + 20, firstName="modern"))
    table = natural.entity.legacy.table
    natural.database.execute(f"REPLACE INTO `{table}` (sku, cheffirst) VALUES ('kept', 'legacy')")
    assert _sequences(natural)["kept"] == str(BASE + 20)
    bridge.apply(record("kept", BASE + 20, firstName="modern"))  # delivered again
    assert natural.everything()["kept"]["firstName"] == "legacy"


def test_writers_of_different_keys_do_not_wait_for_each_other(natural, sandbox):
    table = natural.entity.legacy.table
    natural.database.execute(f"INSERT INTO `{table}` (sku) VALUES ('w-a'), ('w-b')")
    database = natural.entity.legacy.database
    with (
        sandbox.database.connect(database=database) as one,
        sandbox.database.connect(database=database) as two,
        one.cursor() as first,
        two.cursor() as second,
    ):
        for client, cursor, new in ((one, first, "w-m"), (two, second, "w-n")):
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 2")
            client.begin()
            cursor.execute(f"INSERT INTO {table} (sku) VALUES ('{new}')")
        for cursor, old in ((first, "w-a"), (second, "w-b")):
            cursor.execute(f"DELETE FROM {table} WHERE sku = '{old}'")
        one.commit()
        two.commit()
    assert {"w-m", "w-n"} <= natural.everything().keys()


def test_a_row_that_moves_to_another_key_leaves_its_sequence_with_the_old_one(natural, bridge_user):
    bridge_user(natural).apply(record("before", BASE + 9, firstName="modern"))
    natural.database.execute(f"UPDATE `{natural.entity.legacy.table}` SET sku = 'after' WHERE sku = 'before'")
    assert _sequences(natural)["after"] == ""
    assert _tombstones(natural)["before"] == BASE + 9
