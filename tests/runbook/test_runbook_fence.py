"""The fence from the operator's side: up, down, and down again when a writer stays inside."""

from __future__ import annotations

import json

import pymysql
import pytest

from functions.domain import names
from functions.install.control_row import Control
from runbook import init as init_service
from runbook.aws.aurora import Aurora
from runbook.cutover import fence as fences
from runbook.cutover.fence import Fence
from runbook.errors import FailedError, PreconditionError

ENTITY = "specimens"


@pytest.fixture(scope="module")
def live(prepared):
    """The context of the shared sandbox, initialised, with the triggers on the entity's table."""
    context = prepared
    event = json.dumps({"action": "capture", "entity": ENTITY})
    function = context.target.bridge_install_function
    answer = context.clients.functions.invoke(FunctionName=function, Payload=event)
    assert "FunctionError" not in answer, answer["Payload"].read()
    return context


@pytest.fixture
def fence(live):
    entity = live.target.entity(ENTITY)
    with live.held(entity, "a test") as lease:
        made = Fence(live, entity, lease)
        made.claim()
        yield made
        made.lower(1, drained=True)


@pytest.fixture
def writer(live, sandbox):
    """A connection with a transaction of an old application; what it wrote is rolled back at the end."""
    legacy = live.target.mapping[ENTITY].legacy
    with sandbox.database.connect(database=legacy.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute(f"INSERT INTO {legacy.table} (label, price, found_at) VALUES ('inside', 1, '2026-01-01')")
        yield client
        client.rollback()


def test_it_goes_up_and_down_with_the_epoch(fence):
    fence.raise_()
    assert fence.control() == Control(fenced=True, epoch=0, last_epoch=1)
    fence.raise_()
    fence.lower(2, drained=True)
    assert fence.control() == Control(fenced=False, epoch=2, last_epoch=2)


def test_it_backs_off_from_somebody_who_stays_inside_and_lets_others_write(fence, writer, monkeypatch, sandbox, live):
    monkeypatch.setattr(fences, "LOCK_SECONDS", 1)
    monkeypatch.setattr(fences, "ATTEMPTS", 2)
    monkeypatch.setattr(fences, "BACK_OFF_SECONDS", 0)
    with pytest.raises(PreconditionError, match="did not end within 2 times 1 s"):
        fence.raise_()
    assert not fence.control().fenced
    legacy = live.target.mapping[ENTITY].legacy
    with sandbox.database.connect(database=legacy.database) as other, other.cursor() as cursor:
        cursor.execute("SET innodb_lock_wait_timeout = 1")
        cursor.execute(f"INSERT INTO {legacy.table} (label, price, found_at) VALUES ('x', 1, '2026-01-01')")
        other.rollback()


def test_the_connection_it_used_waits_as_long_as_before(fence, live, monkeypatch):
    monkeypatch.setattr(fences, "LOCK_SECONDS", 1)
    fence.raise_()
    database = live.target.mapping[ENTITY].legacy.database
    seconds = [live.aurora.query(database, "SELECT @@SESSION.innodb_lock_wait_timeout")[0][0] for _ in range(8)]
    assert min(map(int, seconds)) > 1


def test_before_init_there_is_none(live, monkeypatch):
    monkeypatch.setattr(names, "CONTROL_TABLE", "streamback_absent")
    with pytest.raises(PreconditionError, match="no fence in Aurora yet"):
        Fence(live, live.target.entity(ENTITY)).control()


def test_a_database_that_does_not_answer_is_reported_in_time(fence, monkeypatch, sandbox):
    for limit in ("RAISE_TIMEOUT_SECONDS", "TIMEOUT_SECONDS"):
        monkeypatch.setattr(fences, limit, 0.1)
    monkeypatch.setattr(Aurora.find_control, "__kwdefaults__", {"timeout": 0.1})
    sandbox.database.kill()
    try:
        with pytest.raises(FailedError, match="does not answer"):
            fence.raise_()
    finally:
        sandbox.database.start()


def test_the_queue_is_empty_when_copy_has_taken_all(live):
    database = live.target.mapping[ENTITY].legacy.database
    live.aurora.query(database, f"DELETE FROM {names.CHANGES_TABLE}")
    queue = live.aurora.queue(live.target.mapping[ENTITY])
    assert queue.length(1) == 0
    live.aurora.query(
        database,
        f"INSERT INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) "
        f"VALUES ('{ENTITY}', 0, 'k', UTC_TIMESTAMP(6))",
    )
    assert queue.length(1) == 1
    live.aurora.query(database, f"DELETE FROM {names.CHANGES_TABLE}")


def test_the_procedure_leaves_its_connection_as_it_was_even_when_it_waited_in_vain(live, writer, sandbox):
    legacy = live.target.mapping[ENTITY].legacy
    with sandbox.database.connect(database=legacy.database) as client, client.cursor() as cursor:
        with pytest.raises(pymysql.err.OperationalError, match="1205"):
            cursor.execute(f"CALL {names.FENCE_PROCEDURE}('{ENTITY}', 1, 0, 0, {2**40}, 0, 1)")
        cursor.execute("SELECT @@SESSION.innodb_lock_wait_timeout = @@GLOBAL.innodb_lock_wait_timeout")
        assert cursor.fetchone() == (1,)


def test_a_database_that_an_older_version_prepared_asks_for_init(fence, monkeypatch):
    monkeypatch.setattr(names, "FENCE_PROCEDURE", "streamback_absent")
    with pytest.raises(PreconditionError, match="older version"):
        fence.raise_()
    monkeypatch.undo()


def test_init_makes_the_procedure_anew_when_it_has_another_text(live, fence, sandbox):
    legacy = live.target.mapping[ENTITY].legacy
    with sandbox.database.connect(database=legacy.database) as client, client.cursor() as cursor:
        place = "routine_schema = DATABASE() AND routine_name = %s"
        cursor.execute(f"SELECT definer FROM information_schema.routines WHERE {place}", (names.FENCE_PROCEDURE,))
        [(definer,)] = cursor.fetchall()
        user, _, host = definer.partition("@")
        cursor.execute(f"DROP PROCEDURE {names.FENCE_PROCEDURE}")
        cursor.execute(f"CREATE DEFINER = `{user}`@`{host}` PROCEDURE {names.FENCE_PROCEDURE}() BEGIN END")
    init_service.run(live)
    fence.raise_()
    assert fence.control().fenced
