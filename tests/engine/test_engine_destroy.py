"""`pulumi destroy`: refused in production, and complete elsewhere."""

from __future__ import annotations

import pytest
from pulumi_stacks import pulumi

from sandbox import lifecycle
from sandbox.errors import SandboxError
from sandbox.kinds import Engine
from sandbox.pulumi_cli import checkpoint

LISTS = {
    "dynamodb": ("list_tables", "TableNames"),
    "lambda": ("list_functions", "Functions"),
    "rds": ("describe_db_clusters", "DBClusters"),
    "apigateway": ("get_rest_apis", "items"),
    "s3": ("list_buckets", "Buckets"),
    "logs": ("describe_log_groups", "logGroups"),
    "scheduler": ("list_schedules", "Schedules"),
    "stepfunctions": ("list_state_machines", "stateMachines"),
}


@pytest.fixture(scope="module")
def production(stack):
    return stack.up(production=True)


@pytest.fixture
def present(production):
    return lambda: {each["urn"] for each in checkpoint.resources(production.location)}


@pytest.mark.long
def test_destroy_of_a_production_stack_deletes_nothing(production, present, name):
    before = present()
    refused = pulumi(name, "destroy", "--yes")
    assert refused.returncode != 0
    assert "it is protected" in refused.stdout + refused.stderr
    assert present() == before


@pytest.mark.long
def test_down_through_pulumi_of_a_production_stack_deletes_nothing(production, present, name):
    before = present()
    with pytest.raises(SandboxError, match="it is protected"):
        lifecycle.down(name, Engine.PULUMI)
    assert present() == before


def test_destroy_of_a_production_stack_without_a_preview_keeps_the_api_and_what_holds_data(production, present, name):
    tables = production.client("dynamodb").list_tables()["TableNames"]
    assert len(tables) == 3
    assert pulumi(name, "destroy", "--yes", "--skip-preview").returncode != 0
    assert production.client("dynamodb").list_tables()["TableNames"] == tables
    kept = {urn.split("::")[2].rsplit(":", 1)[-1] for urn in present()}
    assert {"Table", "Cluster", "ClusterInstance", "Bucket"} <= kept
    assert {"Stage", "Deployment", "RestApi", "EventSourceMapping"} <= kept
    functions = {each["FunctionName"] for each in production.client("lambda").list_functions()["Functions"]}
    outputs = production.outputs
    assert {outputs["legacyReadFunction"], outputs["legacyWriteFunction"], outputs["gateFunction"]} <= functions
    assert {one[key] for one in outputs["entities"].values() for key in ("readFunction", "bridgeFunction")} <= functions


def test_destroy_of_a_trial_leaves_nothing(production, stack, present, name):
    stack.up(production=False)
    destroyed = pulumi(name, "destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout
    assert present() == set()
    for service, (operation, member) in LISTS.items():
        assert getattr(production.client(service), operation)()[member] == [], service
