"""A change of a large table outlives its caller, is never made twice, and keeps no writer waiting for long."""

from __future__ import annotations

import threading
import time

import pytest

from functions.aws.mysql_errors import TransientError
from functions.domain import names
from functions.install import online_ddl, tables, uninstall
from functions.install.online_ddl import BlockedWritersError, TableBusyError

CHANGE = "ADD INDEX of_a_test (cheffirst)"


def _until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def legacy(make_legacy, monkeypatch):
    monkeypatch.setattr(online_ddl, "LOOK_SECONDS", 0.02)
    return make_legacy("chefs")


@pytest.fixture
def reader(sandbox, legacy):
    """A transaction that has read the table, so that no ALTER TABLE can run until it ends."""
    with sandbox.database.connect(database=legacy.entity.legacy.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute("SELECT * FROM cheftable")
        yield client


@pytest.fixture
def routines(legacy):
    """The procedures that are there for a change of a table."""

    def named() -> list[str]:
        rows = legacy.database.query(
            "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        )
        found = [row[0]["stringValue"] for row in rows]
        return [name for name in found if name.startswith(online_ddl.PROCEDURE)]

    return named


def _done(legacy):
    sql = (
        "SELECT 1 FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = 'cheftable' AND index_name = 'of_a_test'"
    )
    return lambda: bool(legacy.database.query(sql))


def test_a_change_that_an_earlier_caller_left_running_is_waited_for_and_not_made_again(
    sandbox, legacy, reader, monkeypatch
):
    def earlier() -> None:
        with sandbox.database.connect() as client, client.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {tables.place(legacy.entity)} {CHANGE}")

    thread = threading.Thread(target=earlier)
    thread.start()
    _until(lambda: online_ddl.running(legacy.server, legacy.entity))
    monkeypatch.setattr(online_ddl, "_run", None)
    with pytest.raises(online_ddl.StillAlteringError, match="of_a_test"):
        online_ddl.alter(legacy.server, legacy.entity, CHANGE, _done(legacy), time.monotonic())
    reader.commit()
    online_ddl.alter(legacy.server, legacy.entity, CHANGE, _done(legacy))
    thread.join()
    assert _done(legacy)()


def test_a_call_that_the_data_api_gave_up_is_waited_for_where_it_goes_on(legacy, reader, routines, monkeypatch):
    calls, real = [], legacy.server.once

    def once(sql, **how):
        thread = threading.Thread(target=real, args=(sql,), kwargs=how)
        calls.append((thread, how))
        thread.start()
        _until(lambda: online_ddl.running(legacy.server, legacy.entity))
        raise TransientError("StatementTimeoutException: it takes long")

    real_await = online_ddl._await

    def waited(*given):
        if calls:
            reader.commit()
        real_await(*given)

    monkeypatch.setattr(online_ddl, "LOCK_SECONDS", 60)
    monkeypatch.setattr(online_ddl, "_await", waited)
    monkeypatch.setattr(legacy.server, "once", once)
    online_ddl.alter(legacy.server, legacy.entity, CHANGE, _done(legacy))
    ((thread, how),) = calls
    thread.join()
    assert how == {"goes_on": True}
    assert _done(legacy)()
    assert len(routines()) == 1, "it could not be dropped while it ran"
    monkeypatch.setattr(legacy.server, "once", real)
    uninstall.remove(legacy.server, legacy.entity)
    assert routines() == []


def test_writers_do_not_wait_behind_a_change_that_waits_for_a_transaction(legacy, reader, routines, monkeypatch):
    monkeypatch.setattr(online_ddl, "LOCK_SECONDS", 1)
    monkeypatch.setattr(online_ddl, "ATTEMPTS", 1)
    with pytest.raises(TableBusyError, match="cheftable"):
        online_ddl.alter(legacy.server, legacy.entity, CHANGE, _done(legacy))
    assert (online_ddl.running(legacy.server, legacy.entity), routines()) == ("", [])
    reader.commit()
    online_ddl.alter(legacy.server, legacy.entity, CHANGE, _done(legacy))
    assert _done(legacy)()
    limit = legacy.database.query("SELECT @@lock_wait_timeout")[0][0]["longValue"]
    assert limit > 1


def test_an_error_of_the_change_is_reported(legacy, routines):
    with pytest.raises(online_ddl.DataApiError, match="absent_column"):
        online_ddl.alter(legacy.server, legacy.entity, "ADD INDEX of_a_test (absent_column)", _done(legacy))
    assert routines() == []


def test_two_who_prepare_the_same_table_at_once_both_end_well(legacy, data_api):
    uninstall.remove(legacy.server, legacy.entity)
    failures = []

    def prepare() -> None:
        try:
            tables.prepare(data_api(), legacy.entity)
        except Exception as error:  # noqa: BLE001  # shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert tables.has_index(legacy.server, legacy.entity)


@pytest.fixture
def indexed(make_legacy):
    """A table with a FULLTEXT index, which no ALTER TABLE of ours can change while writers write."""
    made = make_legacy("chefs")
    uninstall.remove(made.server, made.entity)
    made.database.execute("ALTER TABLE cheftable ADD FULLTEXT INDEX words (cheffirst)")
    return made


def test_a_change_that_would_block_writers_is_refused_unless_it_is_allowed(indexed):
    with pytest.raises(BlockedWritersError, match=r"cheftable.*--block-writers"):
        tables.prepare(indexed.server, indexed.entity)
    assert not tables.has_column(indexed.server, indexed.entity, names.KEY_COLUMN)
    tables.prepare(indexed.server, indexed.entity, block_writers=True)
    assert tables.has_index(indexed.server, indexed.entity)
    with pytest.raises(BlockedWritersError):
        uninstall.remove(indexed.server, indexed.entity)
    uninstall.remove(indexed.server, indexed.entity, block_writers=True)
    assert uninstall.leftovers(indexed.server, indexed.entity) == []
