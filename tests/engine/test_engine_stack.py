"""The program by Pulumi's engine: no change after `up`, what each setting changes, drift, no secret in the state."""

from __future__ import annotations

import json

import pytest
from pulumi_stacks import REFRESH, changes, pulumi, steps_of
from typer.testing import CliRunner

from sandbox import lifecycle
from sandbox.cli import app
from sandbox.errors import SandboxError
from sandbox.kinds import Engine
from sandbox.pulumi_cli import checkpoint
from sandbox.state import PROJECT

ALARMS = "arn:aws:sns:us-east-1:000000000000:alarms"
BOUNDARY, COOK = "arn:aws:iam::000000000000:policy/boundary", "arn:aws:iam::000000000000:role/cook"
EVERY_TAGGED = {
    *("Bucket", "Cluster", "ClusterInstance", "ClusterParameterGroup", "EventSourceMapping", "Function", "LogGroup"),
    *("MetricAlarm", "RestApi", "Role", "Secret", "SecurityGroup", "Stage", "StateMachine", "Subnet", "SubnetGroup"),
    *("Table", "Vpc"),
}
HOLDS_DATA = {"Table", "Cluster", "ClusterInstance", "Bucket", "Secret"}
# Settings that are tried at once change different types, so that each change is known to be of one of them.
FIRST = (
    {"bridgeBatchSize": 10, "minCapacity": 1, "logRetentionDays": 60, "alarmTopicArn": ALARMS},
    {("update", each) for each in ("EventSourceMapping", "Cluster", "LogGroup", "MetricAlarm")},
)
OTHERS = [
    (
        {"bridgeWindowSeconds": 1, "maxCapacity": 8, "powertoolsLayerArn": ""},
        {("update", each) for each in ("EventSourceMapping", "Cluster", "Function")},
    ),
    (
        {"bridgeParallelization": 10, "autoPauseSeconds": 600, "databaseCaFile": "functions/install/rds-ca.pem"},
        {("update", each) for each in ("EventSourceMapping", "Cluster", "Function")},
    ),
    (
        {"bridgeMaxRecordAgeSeconds": 100, "permissionsBoundaryArn": BOUNDARY},
        {("update", each) for each in ("EventSourceMapping", "MetricAlarm", "Role")},
    ),
    (
        {"repository": "kitchen/recipes", "operators": [COOK], "readers": [COOK], "stateBucket": "kitchen"},
        {("create", each) for each in ("OpenIdConnectProvider", "Policy", "Role", "RolePolicyAttachment")},
    ),
    ({"engineVersion": "8.0.mysql_aurora.3.11.0"}, {("update", each) for each in ("Cluster", "ClusterInstance")}),
    ({"production": True}, {("update", each) for each in ("Bucket", "Cluster", "LogGroup", "Table")}),
    ({"tags": {"owner": "kitchen"}}, {("update", each) for each in EVERY_TAGGED}),
]
# These name tables and subnets, which AWS can only make anew.
REPLACING = [
    ({"tablePrefix": "other-"}, {"Table", "EventSourceMapping"}),
    ({"availabilityZones": ["us-east-1b", "us-east-1c"]}, {"Subnet"}),
]


@pytest.fixture(scope="module")
def up(stack):
    return stack.up()


def test_preview_after_up_expects_no_changes(up, name):
    done = pulumi(name, "preview", "--expect-no-changes")
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_the_policy_pack_finds_nothing_in_it(up, name):
    done = pulumi(name, "preview", "--expect-no-changes", "--policy-pack", str(PROJECT / "policy"))
    assert done.returncode == 0, done.stdout
    assert "streamback@v0.1.0" in done.stdout


@pytest.mark.long
def test_a_second_up_changes_nothing(up, stack):
    stack.up()
    assert changes(stack.steps) == set()


def test_refresh_finds_no_difference(up, name):
    done = pulumi(name, *REFRESH, "--expect-no-changes")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("settings", "expected"), [FIRST, *(pytest.param(*each, marks=pytest.mark.long) for each in OTHERS)]
)
def test_a_setting_changes_in_place_what_it_is_about(up, stack, settings, expected):
    assert stack.preview(**settings) == expected


@pytest.mark.long
@pytest.mark.parametrize(("settings", "replaced"), REPLACING)
def test_only_settings_that_name_a_thing_replace_it(up, stack, settings, replaced):
    assert {kind for change, kind in stack.preview(**settings) if change == "replace"} == replaced


@pytest.mark.long
def test_another_authorisation_makes_a_new_deployment_and_nothing_else_anew(up, stack):
    found = stack.preview(apiAuth="NONE")
    assert {kind for change, kind in found if change != "update"} <= {"Deployment"}
    assert not {kind for _, kind in found} & HOLDS_DATA


@pytest.mark.long
def test_a_new_entity_adds_and_replaces_nothing_that_holds_data(up, stack):
    found = stack.preview(entitiesFile="tests/entities.toml")
    assert ("create", "Table") in found
    assert not {kind for change, kind in found if change in {"replace", "delete"}} & HOLDS_DATA


@pytest.mark.long
def test_what_something_else_deleted_is_found_and_made_again(up, name, stack):
    group = up.client("logs").describe_log_groups()["logGroups"][0]["logGroupName"]
    up.client("logs").delete_log_group(logGroupName=group)
    assert changes(steps_of(pulumi(name, *REFRESH))) == {("delete", "LogGroup")}
    stack.up()
    assert {change for change, _ in changes(stack.steps)} <= {"create", "update"}
    assert ("create", "LogGroup") in changes(stack.steps)


def test_what_something_else_changed_is_found_and_put_right(up, name, stack):
    functions, function = up.client("lambda"), up.outputs["legacyReadFunction"]
    functions.update_function_configuration(FunctionName=function, Timeout=3)
    assert changes(steps_of(pulumi(name, *REFRESH))) == {("update", "Function")}
    stack.up()
    assert changes(stack.steps) == {("update", "Function")}
    assert functions.get_function_configuration(FunctionName=function)["Timeout"] > 3


def test_the_master_password_is_not_in_the_state(up):
    secret = up.client("secretsmanager").get_secret_value(SecretId=up.outputs["masterSecretArn"])["SecretString"]
    assert json.loads(secret)["password"] not in checkpoint.find(checkpoint.home(up.location)).read_text()


def test_the_cli_shows_the_outputs_that_the_runbook_reads(up, name, capfd):
    shown = CliRunner().invoke(app, ["pulumi", "--name", name, "--", "stack", "output", "apiUrl"])
    assert shown.exit_code == 0
    assert capfd.readouterr().out.strip() == up.outputs["apiUrl"] == lifecycle.find(name).outputs["apiUrl"]


def test_the_other_engine_is_refused_until_it_is_taken_down(up, name):
    with pytest.raises(SandboxError, match="brought up with the engine pulumi"):
        lifecycle.up(name, engine=Engine.IN_PROCESS, current=False)


def test_reset_says_what_to_do_instead(up, name):
    with pytest.raises(SandboxError, match=f"sandbox up --engine pulumi --name {name}"):
        lifecycle.reset(name)
