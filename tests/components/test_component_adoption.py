"""The setting `adopt`: what it takes, and what is said of a reference that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.settings import SettingsError, parse

ROOT = Path(__file__).parents[2]
ACCOUNT = "111122223333"
CLUSTER = {
    "arn": f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:shop",
    "secretArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:shop-admin-AbCdEf",
    "subnetIds": ["subnet-0a1b", "subnet-0c2d"],
    "securityGroupId": "sg-0a1b",
}
API = {"id": "a1b2c3d4e5", "stage": "live"}
FUNCTIONS = {
    "legacyReads": "shop-orders-read:live",
    "legacyWrites": "shop-orders-write:live",
    "modernReads": "orders-v2-read",
    "modernWrites": "orders-v2-write",
}
MAPPING = """
[orders]
legacy = { database = "shop", table = "orders", key = "order_id", key_type = "string" }
modern = { table = "orders-v2", key = "pk" }
[orders.fields]
customer = { column = "customer_name", type = "string", max_length = 80 }
"""
CONTRACT = """
[orders.api]
reads = ["GET /v2/orders"]
writes = ["POST /v2/orders"]
"""


@pytest.fixture
def folder(tmp_path):
    """A program's folder whose entity has an API of its own."""
    (tmp_path / "entities.toml").write_text(MAPPING + CONTRACT)
    (tmp_path / "functions/install").mkdir(parents=True)
    (tmp_path / "functions/install/rds-ca.pem").touch()
    return tmp_path


def adopt(folder, given, **more):
    return parse({"adopt": json.dumps(given), **more}, folder)


def problems(folder, given, **more):
    with pytest.raises(SettingsError) as caught:
        adopt(folder, given, **more)
    return caught.value.problems


def test_everything_can_be_adopted(folder):
    settings = adopt(
        folder, {"cluster": CLUSTER, "api": API, "entities": {"orders": {**FUNCTIONS, "table": "orders-v2"}}}
    )
    assert settings.adopt.cluster.name == "shop"
    assert settings.adopt.api.stage == "live"
    assert settings.adopt.entity("orders").legacy_writes == "shop-orders-write:live"


def test_modern_functions_are_needed_once_modern_is_deployed(folder):
    legacy = {key: name for key, name in FUNCTIONS.items() if key.startswith("legacy")}
    given = {"cluster": CLUSTER, "api": API, "entities": {"orders": legacy}}
    assert adopt(folder, given, parts='["legacy"]').adopt.entity("orders").modern_reads == ""
    (problem,) = problems(folder, given)
    assert problem.startswith("streamback:adopt.entities.orders: expected modernReads and modernWrites")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cluster": {**CLUSTER, "arn": "shop"}}, "cluster.arn: expected the ARN of an Aurora cluster, or of"),
        ({"cluster": {**CLUSTER, "subnetIds": []}}, "cluster.subnetIds: expected a list of ids"),
        ({"cluster": {**CLUSTER, "vpc": "x"}}, "cluster.vpc: expected one of arn, secretArn"),
        (
            {"cluster": {**CLUSTER, "secretArn": CLUSTER["secretArn"].replace(ACCOUNT, "444455556666")}},
            f"cluster.secretArn: expected a secret in the cluster's account {ACCOUNT}, got 444455556666",
        ),
        (
            {"cluster": {**CLUSTER, "secretArn": CLUSTER["secretArn"].replace("us-east-1", "eu-west-1")}},
            "cluster.secretArn: expected a secret in the cluster's region us-east-1, got eu-west-1",
        ),
        (
            {"cluster": {**CLUSTER, "arn": CLUSTER["arn"].replace(":cluster:", ":db:")}},
            "cluster.transport: expected mysql, because RDS for MySQL has no Data API",
        ),
        ({"cluster": {**CLUSTER, "transport": "http"}}, "cluster.transport: expected one of data-api, mysql"),
        ({"cluster": {**CLUSTER, "authentication": "iam"}}, "cluster.authentication: needs transport mysql"),
        ({"cluster": {**CLUSTER, "host": "proxy"}}, "cluster.host: needs transport mysql"),
        ({"cluster": {**CLUSTER, "transport": "mysql", "port": 70_000}}, "cluster.port: expected a port's number"),
        ({"cluster": {**CLUSTER, "transport": "mysql", "host": "a b"}}, "cluster.host: expected a host's name"),
        ({"api": {"id": "https://a1b2", "stage": "live"}}, "api.id: expected the id of a REST API (v1)"),
        ({"api": [1]}, "api: expected an object with id, stage"),
        ({"queue": {}}, "queue: expected one of cluster, api, entities"),
        (
            {"entities": {"orders": {**FUNCTIONS, "modernReads": ""}}},
            "entities.orders.modernReads: expected a function",
        ),
        (
            {"entities": {"orders": {"legacyReads": "a"}}},
            "entities.orders.legacyWrites: expected a function's name, too",
        ),
        ({"entities": {"orders": FUNCTIONS, "bills": {}}}, "entities.bills: entities.toml has no such entity"),
    ],
)
def test_a_reference_that_cannot_be_used_is_named(folder, change, text):
    given = {"cluster": CLUSTER, "api": API, "entities": {"orders": FUNCTIONS}, **change}
    found = problems(folder, given)
    assert any(problem.startswith(f"streamback:adopt.{text}") for problem in found), found


def test_an_api_of_its_own_needs_the_api_and_the_functions(folder):
    found = "\n".join(problems(folder, {}))
    assert "streamback:adopt.api: expected id and stage, because entities.toml has [orders.api]" in found
    assert "streamback:adopt.entities.orders: expected legacyReads and legacyWrites" in found


def test_adopted_functions_need_an_api_to_be_called_by(folder):
    (folder / "entities.toml").write_text(MAPPING)
    found = "\n".join(problems(folder, {"cluster": CLUSTER, "api": API, "entities": {"orders": FUNCTIONS}}))
    assert "streamback:adopt.api: expected a table [orders.api] in entities.toml" in found
    assert "streamback:adopt.entities.orders: expected a table [orders.api] in entities.toml" in found


def test_adopted_functions_need_their_cluster(folder):
    found = problems(folder, {"api": API, "entities": {"orders": FUNCTIONS}})
    assert any(problem.startswith("streamback:adopt.cluster: expected the cluster") for problem in found)


def test_a_table_alone_is_adopted_and_not_described(describe):
    stack = describe(adopt='{"entities": {"chefs": {"table": "chefs-v2"}}}')
    assert stack.outputs["entities"]["chefs"]["modernTable"] == "chefs-v2"
    assert not [each for each in stack.of("dynamodb/table:Table") if "chefs" in each["name"]]
    mapping = stack.one("eventSourceMapping:EventSourceMapping")
    assert mapping["inputs"]["eventSourceArn"] == "arn:of:chefs-v2/stream/2026"
