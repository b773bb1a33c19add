"""Each check of the legacy server turns red for its cause: sessions, users, rights, the cluster."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from own_table import ENTITY, TABLE, OwnTable, aimed, looked, red

from functions.domain import names
from runbook.checks import grants, schema, server
from runbook.checks.grants import MysqlGrant
from sandbox.database import product
from sandbox.database.product import Product


@pytest.fixture
def settings(database, prepared):
    """Changes global variables until the test ends."""
    # why: the Data API keeps connections, and one of the bridge's user that opened meanwhile would serve later tests
    bridge = prepared.aurora
    replace(bridge, master_secret_arn=bridge.bridge_secret_arn).query("", "SELECT 1")
    changed: list[tuple[str, str]] = []
    with database.cursor() as cursor:

        def change(name: str, value: str) -> None:
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            changed.append((name, cursor.fetchone()[0]))
            cursor.execute(f"SET GLOBAL {name} = %s", (value,))

        yield change
        for name, value in reversed(changed):
            cursor.execute(f"SET GLOBAL {name} = %s", (value,))


def test_sessions_that_are_not_strict_are_red_where_a_statement_cannot_be(world, settings):
    settings("sql_mode", "NO_ENGINE_SUBSTITUTION")
    check = looked(world.user(world.context()))["sql mode"]
    assert check.ok is (product.default() is Product.MYSQL)
    assert "not strict" in check.value


@pytest.mark.parametrize("mode", ["ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "PAD_CHAR_TO_FULL_LENGTH"])
def test_sessions_of_another_mode_that_are_strict_can_do_all_that_is_asked_of_them(world, settings, mode):
    settings("sql_mode", f"{mode},STRICT_TRANS_TABLES")
    assert red(looked(world.user(world.context()))) == []


def test_a_zone_other_than_utc_is_red_where_a_timestamp_is_mapped(world, settings):
    birthday = {"birthday": {"column": "birthday", "type": "datetime"}}
    zoned = world.context(f"{TABLE[:-1]}, birthday TIMESTAMP(6) NULL)", fields=birthday)
    plain = world.context(f"{TABLE[:-1]}, birthday DATETIME(6) NULL)", fields=birthday)
    assert looked(zoned)["time zone"].ok
    settings("time_zone", "+02:00")
    assert looked(world.user(zoned))["time zone"].ok is False
    kept = looked(world.user(plain))["time zone"]
    assert kept.ok
    assert "birthday: DATETIME, taken for UTC" in kept.value


def test_the_bridges_user_must_get_in_and_may_write(world, settings):
    context = world.context()
    database = context.target.mapping[ENTITY].legacy.database
    assert looked(context)["bridge's user"].ok
    world.sql(f"REVOKE DELETE ON {database}.* FROM {names.BRIDGE_USER}@'%'")
    assert "no DELETE on chefs" in looked(context)["bridge's user"].value
    another = aimed(context, bridge_secret_arn=context.target.master_secret_arn)
    assert "its secret is of" in looked(another)["bridge's user"].value
    shut = world.user(context)
    world.sql(f"ALTER USER {_user(world)}@'%' IDENTIFIED BY 'changed'")
    locked = aimed(context, bridge_secret_arn=shut.target.master_secret_arn)
    assert looked(locked)["bridge's user"].ok is False
    settings("sql_mode", "")
    settings("time_zone", "+02:00")
    loose = aimed(context, bridge_secret_arn=world.user(context).target.master_secret_arn)
    cut = "" if product.default() is Product.MYSQL else "not strict; its "
    assert f"{cut}sessions are in +02:00" in looked(loose)["bridge's user"].value


def _user(world: OwnTable) -> str:
    return world._undo[-1].split()[2].split("@")[0]


# why not real: the sandbox's server has no binary log, and is not Aurora
@pytest.mark.parametrize(
    ("name", "changes", "embedded"),
    [
        ("creating triggers", {"log_bin": True, "trusts_creators": False, "grants": ()}, True),
        ("binary log", {"log_bin": True, "binlog_format": "MIXED"}, True),
        ("binary log", {"log_bin": True, "binlog_format": "STATEMENT"}, True),
        ("server", {"version": "10.11.6-MariaDB"}, False),
        ("server", {"version": "5.7.12"}, False),
    ],
)
def test_a_server_that_cannot_serve_is_red(context, name, changes, embedded):
    session = server.read(context.aurora)
    known = schema.read(context.aurora, context.target.mapping[ENTITY])
    found = {each.name: each for each in server.checks(replace(session, **changes), known, sandbox=embedded)}
    assert found[name].ok is False
    assert found[name].remedy
    aurora = replace(session, version="8.0.42", log_bin=True, trusts_creators=True, binlog_format="ROW")
    assert all(each.ok for each in server.checks(aurora, known, sandbox=False))


@pytest.fixture
def old_cluster(context):
    """The ARN of a cluster with an old engine and no Data API."""
    name = f"old-{uuid.uuid4().hex[:8]}"
    made = context.clients.rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-mysql",
        EngineVersion="8.0.mysql_aurora.3.04.0",
        MasterUsername="admin",
        MasterUserPassword="long enough",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1},
    )
    yield made["DBCluster"]["DBClusterArn"]
    context.clients.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_an_old_cluster_without_the_data_api_is_red_and_no_sql_is_tried(context, old_cluster):
    found = looked(aimed(context, cluster_arn=old_cluster))
    assert found["engine"].ok is False
    assert found["engine"].limit.startswith("aurora-mysql 3.07")
    assert (found["data api"].ok, found["data api"].value) == (False, "off")
    assert found["the rest"].ok is None
    assert "sql mode" not in found


def test_a_cluster_that_is_not_there_is_red(context):
    found = looked(aimed(context, cluster_arn=f"{context.target.cluster_arn}-gone"))
    assert found["data api"].ok is False


def test_a_cluster_that_pauses_needs_a_newer_engine(context):
    found = {each.name: each for each in server.cluster(context.clients, context.target)}
    assert found["engine"].limit.startswith("aurora-mysql 3.08")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GRANT SELECT (`a`, `b`), INSERT ON `db`.`t` TO `u`@`%`", MysqlGrant(frozenset({"INSERT"}), "db", "t")),
        (
            "GRANT ALL PRIVILEGES ON `chef\\_%`.* TO `u`@`%` IDENTIFIED BY PASSWORD '*x' WITH GRANT OPTION",
            MysqlGrant(frozenset({"ALL PRIVILEGES", "GRANT OPTION"}), "chef\\_%", "*"),
        ),
        ("GRANT `rds_superuser_role`@`%` TO `admin`@`%`", None),
        ('GRANT SELECT ON "d""b".* TO "u"@"%"', MysqlGrant(frozenset({"SELECT"}), 'd"b', "*")),
        ("GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION", None),
    ],
)
def test_a_line_of_show_grants_is_read(line, expected):
    assert grants.parse(line) == expected


def test_a_grant_covers_what_its_pattern_means():
    everything = [MysqlGrant(frozenset({"ALL PRIVILEGES"}), "chef\\_%", "*")]
    assert grants.missing(everything, ["TRIGGER", "GRANT OPTION"], "chef_db", "t") == ["GRANT OPTION"]
    assert grants.missing(everything, ["TRIGGER"], "chefxdb", "t") == ["TRIGGER"]
    assert grants.missing(everything, ["CREATE USER"], "*", "*") == ["CREATE USER"]
    assert grants.missing([MysqlGrant(frozenset({"SELECT"}), "db", "t")], ["SELECT"], "db", "u") == ["SELECT"]
    assert grants.missing([MysqlGrant(frozenset({"SELECT"}), "*", "*")], ["SELECT"], "db", "u") == []


def test_roles_are_asked_for_what_they_grant():
    asked: list[str] = []

    class Server:
        """MySQL, of which MariaDB's roles differ."""

        def query(self, _database: str, sql: str):
            asked.append(sql)
            if "USING" in sql:
                return [["GRANT TRIGGER ON *.* TO `admin`@`%`"]]
            return [["GRANT USAGE ON *.* TO `admin`@`%`"], ["GRANT `rds_superuser_role`@`%` TO `admin`@`%`"]]

    found = grants.read(Server())
    assert asked[1] == "SHOW GRANTS FOR CURRENT_USER() USING `rds_superuser_role`@`%`"
    assert grants.missing(found, ["TRIGGER"], "db", "t") == []
