"""A cluster's parameter group sets the variables of its server, and its master user has Aurora's rights."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from sandbox.database import product
from sandbox.database.product import Product

NAME = "lock_wait_timeout"  # dynamic, and no session that the product opens sets it


@pytest.fixture(scope="module")
def ask(sandbox):
    client = sandbox.client("rds-data")
    target = {"resourceArn": sandbox.outputs["clusterArn"], "secretArn": sandbox.outputs["masterSecretArn"]}

    def run(sql):
        (row,) = client.execute_statement(sql=sql, **target)["records"]
        return next(iter(row[0].values()))

    return run


@pytest.fixture
def group(sandbox):
    """Sets parameters of the cluster's group until the test ends."""
    rds = sandbox.client("rds")
    cluster = rds.describe_db_clusters(DBClusterIdentifier=sandbox.outputs["clusterArn"].rpartition(":")[2])
    name = cluster["DBClusters"][0]["DBClusterParameterGroup"]
    changed = []

    def change(parameter, value):
        one = {"ParameterName": parameter, "ParameterValue": value, "ApplyMethod": "immediate"}
        changed.append(one)
        rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=[one])

    def restore():
        rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=changed)
        changed.clear()

    change.restore = restore
    yield change
    if changed:
        restore()


def test_what_the_program_sets_holds_in_the_products_sessions(ask):
    assert "STRICT_TRANS_TABLES" in ask("SELECT @@SESSION.sql_mode")
    assert ask("SELECT @@GLOBAL.log_bin_trust_function_creators") == 1


def test_a_changed_parameter_holds_at_once_and_its_default_when_it_is_reset(ask, group):
    before = ask(f"SELECT @@GLOBAL.{NAME}")
    group(NAME, "1234")
    assert ask(f"SELECT @@GLOBAL.{NAME}") == 1234
    group.restore()
    assert ask(f"SELECT @@GLOBAL.{NAME}") == before


def test_a_changed_parameter_holds_after_the_server_was_killed(ask, group, sandbox):
    group(NAME, "1234")
    assert ask(f"SELECT @@GLOBAL.{NAME}") == 1234
    sandbox.database.kill()
    sandbox.database.start()
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{NAME}")
        assert cursor.fetchone() == (1234,)


def test_a_parameter_that_only_aurora_has_disturbs_nothing(ask, group):
    group("aurora_parallel_query", "ON")
    assert ask("SELECT 1") == 1


@pytest.mark.skipif(product.default() is not Product.MYSQL, reason="MariaDB has no such role")
def test_the_master_user_has_its_rights_from_a_role_and_is_no_super_user(ask):
    assert ask("SELECT CURRENT_ROLE()") == "`rds_superuser_role`@`%`"
    with pytest.raises(ClientError, match="SYSTEM_VARIABLES_ADMIN"):
        ask("SET GLOBAL max_connections = 100")
