"""The checks of a database without the Data API: its engine, and whether the function in its network answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from own_table import aimed, looked

from runbook.checks import server

INSTANCE = "arn:aws:rds:us-east-1:000000000000:db:shop"


@pytest.fixture
def context(prepared):
    return aimed(prepared, transport="mysql", statement_function="streamback-absent-statements")


def test_a_function_that_does_not_answer_is_red_and_says_what_to_look_at(context):
    found = looked(context)
    check = found["connection"]
    assert check.ok is False
    assert "streamback-absent-statements" in check.value
    assert "security group" in check.remedy
    assert "Secrets Manager" in check.remedy
    assert found["the rest"].value == "not checked without a connection to the database"
    assert "data api" not in found
    assert found["engine"].ok


def test_an_instance_that_is_not_there_is_red(context):
    found = looked(aimed(context, cluster_arn=INSTANCE))
    assert found["database"].ok is False
    assert "rds:DescribeDBInstances" in found["database"].remedy
    assert "connection" not in found


class Instances:
    """RDS, which has one instance."""

    def __init__(self, engine: str, version: str) -> None:
        self._found = {"Engine": engine, "EngineVersion": version}

    def describe_db_instances(self, **_: str):
        return {"DBInstances": [self._found]}


@pytest.mark.parametrize(
    ("engine", "version", "ok"),
    [
        ("mysql", "8.0.23", True),
        ("mysql", "8.0.42", True),
        ("mysql", "8.4.5", True),
        ("mysql", "8.0.22", False),
        ("mysql", "5.7.44", False),
        ("mariadb", "10.11.8", False),
    ],
)
def test_an_instance_needs_a_mysql_with_invisible_columns(context, engine, version, ok):
    clients, target = SimpleNamespace(rds=Instances(engine, version)), aimed(context, cluster_arn=INSTANCE).target
    check = server.database(clients, context.aurora, target)[0]
    assert (check.ok, check.value) == (ok, f"{engine} {version}")
    assert check.limit == "mysql 8.0.23 or newer"
