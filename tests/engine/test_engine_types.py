"""Every resource type through Pulumi's engine: create, update, refresh, replace and delete."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pulumi_stacks import REFRESH, UP, changes, pulumi, steps_of

from sandbox.engine import provider
from sandbox.engine.registry import TYPES

pytestmark = pytest.mark.long
provider.load()
KINDS = {token.rsplit(":", 1)[-1] for token in TYPES}
# What the replacement of these replaces, too, because it names them: everything else.
ROOTS = (
    "Vpc",
    "ClusterParameterGroup",
    "SubnetGroup",
    "Table",
    "Secret",
    "Bucket",
    "Role",
    "LogGroup",
    "Function",
    "Policy",
)
ALSO = ("RestApi", "MetricAlarm", "Schedule", "StateMachine", "OpenIdConnectProvider")
CHANGEABLE = {token.rsplit(":", 1)[-1] for token, each in TYPES.items() if each.updates or "tags" in each.properties}


@pytest.fixture(scope="module")
def story(programs, everything, name):
    """What each step did to the program with every type, one step after the other."""
    programs.up(everything)
    created = programs.steps
    same = pulumi(name, "preview", "--expect-no-changes")
    refreshed = pulumi(name, *REFRESH, "--expect-no-changes")
    programs.up(everything, team="pantry", other=True)
    updated = programs.steps
    arrived = pulumi(name, "preview", "--refresh", "--expect-no-changes")
    roots = [step.urn for step in created if step.type.rsplit(":", 1)[-1] in {*ROOTS, *ALSO}]
    replaced = steps_of(pulumi(name, *UP, *(word for urn in roots for word in ("--replace", urn))))
    again = pulumi(name, "preview", "--refresh", "--expect-no-changes")
    sandbox = programs.up("pulumi.export('left', 'nothing')")
    return SimpleNamespace(
        created=created,
        same=same,
        refreshed=refreshed,
        updated=updated,
        arrived=arrived,
        replaced=replaced,
        again=again,
        deleted=programs.steps,
        sandbox=sandbox,
    )


def test_every_type_is_created(story):
    assert changes(story.created) == {("create", kind) for kind in KINDS}


def test_what_was_created_needs_no_change(story):
    assert story.same.returncode == 0, story.same.stdout


def test_a_refresh_finds_no_difference(story):
    assert story.refreshed.returncode == 0, story.refreshed.stdout


def test_every_type_that_aws_can_change_is_changed_in_place(story):
    assert changes(story.updated) == {("update", kind) for kind in CHANGEABLE}
    assert {"Method", "RestApi", "RolePolicy", "Schedule", "Table"} <= CHANGEABLE


def test_what_was_changed_arrived(story):
    assert story.arrived.returncode == 0, story.arrived.stdout


def test_every_type_is_replaced(story):
    assert {kind for change, kind in changes(story.replaced) if change == "replace"} == KINDS


def test_what_was_replaced_needs_no_change(story):
    assert story.again.returncode == 0, story.again.stdout


def test_every_type_is_deleted(story):
    assert changes(story.deleted) == {("delete", kind) for kind in KINDS}
    assert story.sandbox.client("dynamodb").list_tables()["TableNames"] == []
    assert story.sandbox.client("lambda").list_functions()["Functions"] == []
    assert story.sandbox.client("rds").describe_db_clusters()["DBClusters"] == []
    assert story.sandbox.client("apigateway").get_rest_apis()["items"] == []
