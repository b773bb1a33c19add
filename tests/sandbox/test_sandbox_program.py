"""The project's own program on the sandbox, deployed part by part as the article has it."""

from __future__ import annotations

import os

import pytest

from sandbox import lifecycle

PARTS = ("legacy", "modern", "bridge")


@pytest.fixture
def name():
    given = f"test-{os.getpid()}-parts"
    yield given
    lifecycle.down(given)


def deploy(name, count):
    steps = []
    made = lifecycle.up(name, {"parts": PARTS[:count]}, current=False, report=steps.append)
    return made.outputs, {step.change.value for step in steps}, {s.name for s in steps if s.change != "same"}


@pytest.mark.long
def test_the_parts_can_be_deployed_one_after_the_other_and_taken_away_again(name):
    outputs, changes, _ = deploy(name, 1)
    assert changes == {"create"}
    assert (outputs["clusterArn"] is not None, "modernTable" in outputs["entities"]["chefs"]) == (True, False)
    outputs, changes, _ = deploy(name, 2)
    assert outputs["entities"]["chefs"]["modernTable"] == "chef"
    outputs, changes, _ = deploy(name, 3)
    assert outputs["entities"]["chefs"]["bridgeMappingId"]
    outputs, changes, touched = deploy(name, 2)
    assert changes == {"same", "delete"}
    gone_with_it = ("-bridge", "-copy", "-ranges", "-gate")
    assert not [each for each in touched if not any(part in each for part in gone_with_it)]


def test_preview_says_what_up_then_does(name):
    foreseen = {(step.change.value, step.urn) for step in lifecycle.preview(name)}
    steps = []
    lifecycle.up(name, current=False, report=steps.append)
    assert {(step.change.value, step.urn) for step in steps} == foreseen


@pytest.mark.long
def test_the_roles_around_a_stack_are_made_with_their_policies_and_go_with_the_setting(name):
    cook = "arn:aws:iam::000000000000:role/cook"
    repository = {"parts": ["legacy"], "repository": "kitchen/recipes", "operators": [cook], "stateBucket": "kitchen"}
    made = lifecycle.up(name, repository, current=False)
    iam = made.client("iam")
    for kind, policies in (("preview", 1), ("deploy", 2), ("operate", 1)):
        role = iam.get_role(RoleName=made.outputs[f"{kind}RoleArn"].rpartition("/")[2])["Role"]
        assert role["Path"] == "/streamback/sandbox/"
        attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
        assert len(attached) == policies
    steps = []
    lifecycle.up(name, {"parts": ["legacy"]}, current=False, report=steps.append)
    assert {step.change.value for step in steps} == {"same", "delete"}
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
