"""A server of its own, of the product that the run's sandbox has: made, killed, stopped, and with Aurora's settings."""

from __future__ import annotations

import json

import pytest

from sandbox.database import product
from sandbox.database.product import Product

MYSQL_ONLY = pytest.mark.skipif(product.default() is not Product.MYSQL, reason="MariaDB has settings of its own")
AURORAS = {
    "sql_mode": "",
    "collation_server": "utf8mb4_0900_ai_ci",
    "transaction_isolation": "REPEATABLE-READ",
    "innodb_autoinc_lock_mode": 2,
    "log_bin": 1,
    "binlog_format": "ROW",
    "log_bin_trust_function_creators": 0,
    "max_allowed_packet": 64 * 2**20,
    "time_zone": "+00:00",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, sandbox):
    made = type(sandbox.database)(tmp_path_factory.mktemp("own") / "db", sandbox.location.cache)
    made.start()
    yield made
    made.kill()


def asked(server, sql):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_a_server_that_was_killed_starts_again_with_what_was_committed(server):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")
        cursor.execute("CREATE TABLE kept.t (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO kept.t VALUES (7)")
    server.kill()
    assert not server.running()
    server.start()
    assert asked(server, "SELECT id FROM kept.t") == (7,)


def test_what_a_killed_server_leaves_beside_its_socket_does_not_stop_the_next_start(server):
    server.kill()
    server.socket.touch()
    (server.folder / "sock.lock").write_text("1")  # the pid of a process that is alive and no database
    server.start()
    assert asked(server, "SELECT 1") == (1,)


def test_a_server_that_was_stopped_starts_again(server):
    server.stop()
    assert not server.running()
    server.start()
    server.start()  # does nothing
    assert server.running()


def test_a_server_starts_with_what_the_parameter_group_sets_and_without_what_it_does_not_know(server):
    server.stop()
    chosen = {"lock_wait_timeout": "1234", "time_zone": "+01:00", "aurora_parallel_query": "ON"}
    (server.folder / "parameters.json").write_text(json.dumps(chosen))
    server.start()
    assert asked(server, "SELECT @@GLOBAL.lock_wait_timeout, @@GLOBAL.time_zone") == (1234, "+01:00")
    (server.folder / "parameters.json").unlink()
    server.stop()
    server.start()


@MYSQL_ONLY
def test_mysql_has_auroras_defaults(server):
    found = asked(server, "SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in AURORAS))
    assert dict(zip(AURORAS, found, strict=True)) == AURORAS


@MYSQL_ONLY
def test_two_servers_made_from_one_template_have_identities_of_their_own(server, tmp_path):
    other = type(server)(tmp_path / "db", server.cache)
    other.start()
    try:
        assert asked(other, "SELECT @@server_uuid") != asked(server, "SELECT @@server_uuid")
    finally:
        other.kill()
