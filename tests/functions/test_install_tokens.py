"""Fencing tokens in Aurora: what a call of an overtaken operation finds, wherever it was paused."""

from __future__ import annotations

import json
import threading

import pymysql
import pytest

from functions.aws.data_api import cell_text
from functions.aws.mysql_errors import DataApiError, of_mysql
from functions.domain import names
from functions.install import control_row, tokens, triggers
from functions.install.control_row import ControlChange
from functions.install.triggers import OvertakenError


@pytest.fixture(scope="module")
def captured(make_legacy):
    made = make_legacy("chefs")
    triggers.install(made.server, made.entity)
    return made


@pytest.fixture
def legacy(captured):
    """Chefs with their triggers, the fence down, and no token that has acted."""
    captured.database.execute(f"UPDATE {names.CONTROL_TABLE} SET fenced = 0, legacy_stamp = 1, generation = 1")
    captured.database.execute(f"UPDATE {names.TOKENS_TABLE} SET token = 0")
    triggers.install(captured.server, captured.entity)
    return captured


def _present(legacy) -> int:
    return len(triggers.bodies(legacy.entity)) - len(
        triggers.differences(triggers._present(legacy.server, legacy.entity), legacy.entity)
    )


def _master(sandbox) -> dict[str, str]:
    """The login of the cluster's master user."""
    secret = sandbox.client("secretsmanager").get_secret_value(SecretId=sandbox.outputs["masterSecretArn"])
    found = json.loads(secret["SecretString"])
    return {"user": found["username"], "password": found["password"]}


def _fence(legacy, token: int, *, up: bool) -> None:
    control_row.change(legacy.database, legacy.entity, ControlChange(fenced=up, epoch=0, token=token), 1)


def test_a_claim_bars_lower_tokens_and_can_be_repeated(legacy):
    for _ in range(2):
        tokens.claim(legacy.database, legacy.entity, 7)
    assert tokens.read(legacy.database, legacy.entity) == 7
    with pytest.raises(DataApiError, match=names.FENCE_MOVED):
        tokens.claim(legacy.database, legacy.entity, 6)
    assert tokens.read(legacy.database, legacy.entity) == 7


@pytest.mark.parametrize("up", [True, False])
def test_a_fence_call_with_a_lower_token_changes_nothing_and_a_repeated_one_does_no_harm(legacy, up):
    _fence(legacy, 4, up=not up)
    _fence(legacy, 5, up=not up)
    _fence(legacy, 5, up=not up)
    with pytest.raises(DataApiError, match=names.FENCE_MOVED):
        _fence(legacy, 4, up=up)
    assert control_row.read(legacy.database, legacy.entity).fenced is not up


def test_a_fence_call_that_a_writer_stops_leaves_the_token_as_it_was(legacy, sandbox):
    place = legacy.entity.legacy
    with sandbox.database.connect(database=place.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute(f"INSERT INTO {place.table} (cheffirst, cheflast) VALUES ('inside', 'x')")
        with pytest.raises(DataApiError):
            _fence(legacy, 9, up=True)
        client.rollback()
    assert tokens.read(legacy.database, legacy.entity) == 0


def test_a_claim_waits_for_no_writer_that_is_inside(legacy, sandbox):
    place = legacy.entity.legacy
    with sandbox.database.connect(database=place.database) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute(f"INSERT INTO {place.table} (cheffirst, cheflast) VALUES ('inside', 'x')")
        tokens.claim(legacy.database, legacy.entity, 3)
        client.rollback()


def test_an_entity_without_a_control_row_is_not_said_to_be_fenced(legacy):
    legacy.database.execute(f"DELETE FROM {names.CONTROL_TABLE}")
    with pytest.raises(DataApiError, match=names.NOT_PREPARED):
        _fence(legacy, 1, up=True)
    control_row.prepare(legacy.server, legacy.entity)


def test_late_calls_to_add_or_remove_triggers_change_nothing(legacy):
    tokens.claim(legacy.database, legacy.entity, 2000)
    with pytest.raises(OvertakenError, match="another command"):
        triggers.remove(legacy.server, legacy.entity, 1001)
    assert _present(legacy) == 6
    assert len(triggers.remove(legacy.server, legacy.entity, 2001)) == 6
    with pytest.raises(OvertakenError, match="another command"):
        triggers.install(legacy.server, legacy.entity, 1001)
    assert _present(legacy) == 0


def test_triggers_stay_while_the_fence_is_up_whatever_the_token(legacy):
    _fence(legacy, 1, up=True)
    with pytest.raises(OvertakenError, match="needs its triggers"):
        triggers.remove(legacy.server, legacy.entity, 2)
    assert _present(legacy) == 6


def test_a_session_that_stopped_between_its_check_and_its_ddl_can_send_none_after_a_claim(legacy, sandbox, monkeypatch):
    """The DDL is paused right after the token was found good; the claim ends that session."""
    monkeypatch.setattr(tokens, "CLAIM_SECONDS", 1)
    at_the_ddl, go_on, problems = threading.Event(), threading.Event(), []

    def pause(sql: str) -> None:
        if "DROP TRIGGER" in sql and not at_the_ddl.is_set():
            at_the_ddl.set()
            assert go_on.wait(60)

    def run(statements) -> None:
        with sandbox.database.connect(**_master(sandbox)) as connection, connection.cursor() as cursor:
            for statement in statements:
                pause(statement)
                try:
                    cursor.execute(statement)
                except pymysql.MySQLError as error:
                    raise of_mysql(error.args[0], "HY000", str(error)) from error

    client = legacy.server._client
    execute = client.execute_statement

    def paused(**given):
        pause(given["sql"])
        return execute(**given)

    # By a statement of its own, or by a session where the Data API has refused such statements before.
    monkeypatch.setattr(client, "execute_statement", paused)
    if legacy.server._sessions:
        monkeypatch.setattr(legacy.server._sessions, "run", run)

    def release() -> None:
        try:
            triggers.remove(legacy.server, legacy.entity, 1001)
        except DataApiError as error:
            problems.append(error)

    sleeper = threading.Thread(target=release)
    sleeper.start()
    try:
        assert at_the_ddl.wait(60)
        tokens.claim(legacy.database, legacy.entity, 2000)
    finally:
        go_on.set()
        sleeper.join(60)
    assert len(problems) == 1
    assert _present(legacy) == 6
    lock = tokens.LOCK.replace("of_entity", f"'{legacy.entity.name}'")
    assert cell_text(legacy.database.query(f"SELECT IS_FREE_LOCK({lock})")[0][0]) == "1"
