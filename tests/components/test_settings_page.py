"""docs/settings.md is made from the settings, a change does what it says, and the example for production fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from delivered import DELIVERY
from test_policy_rules import resources

from components import security_page, settings_page
from components.checks import OnChange
from components.settings import SETTINGS
from policy.rules import violations
from sandbox.engine import provider
from sandbox.engine.registry import TYPES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/Pulumi.production.yaml"
CHANGED = {
    "parts": '["legacy"]',
    "production": "true",
    "apiAuth": "NONE",
    "tablePrefix": "other-",
    "entitiesFile": "tests/entities.toml",
    "availabilityZones": '["us-east-1b", "us-east-1a"]',
    "apiResourcesQuota": "400",
    "engineVersion": "8.0.mysql_aurora.3.11.0",
    "minCapacity": "1",
    "maxCapacity": "32",
    "autoPauseSeconds": "600",
    "powertoolsLayerArn": "",
    "databaseCaFile": "functions/install/../install/rds-ca.pem",
    "logRetentionDays": "7",
    "alarmTopicArn": "arn:aws:sns:us-east-1:111122223333:ops",
    "bridgeBatchSize": "10",
    "bridgeWindowSeconds": "1",
    "bridgeParallelization": "1",
    "bridgeMaxRecordAgeSeconds": "600",
    "permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary",
    "adopt": '{"entities": {"chefs": {"table": "chefs-v2"}}}',
    "adoptedCheckMinutes": "5",
    "repository": "kitchen/other",
    "oidcProviderArn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
    "operators": '["arn:aws:iam::111122223333:role/other"]',
    "readers": '["arn:aws:iam::111122223333:role/other"]',
    "stateBucket": "other-state",
    "stateKeyArn": "arn:aws:kms:us-east-1:111122223333:key/33334444",
    "tags": '{"owner": "kitchen"}',
}
# These change a stack that has a repository.
AROUND = {"repository", "oidcProviderArn", "operators", "readers", "stateBucket", "stateKeyArn"}
# These change a stack that adopts something.
OF_ADOPTED = {"adoptedCheckMinutes"}
DEPLOYED_AGAIN = "aws:apigateway/deployment:Deployment"  # replaced by each change of a route; the old one stays
# What pulumi-aws changes in place and the sandbox's engine does not: AWS upgrades an instance with its cluster.
IN_PLACE = {("aws:rds/clusterInstance:ClusterInstance", "engineVersion"), ("aws:iam/role:Role", "permissionsBoundary")}
provider.load()


def given(path):
    """A stack's file as Pulumi hands it to the program."""
    config = yaml.safe_load(path.read_text())["config"]
    named = {key.removeprefix("streamback:"): value for key, value in config.items() if key.startswith("streamback:")}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in named.items()}


def effect(before, after):
    """What a change of the stack does to its resources."""
    old, new = ({each["urn"]: each for each in made.resources} for made in (before, after))
    changed = {
        (new[urn]["type"], key)
        for urn in old.keys() & new.keys()
        for key in old[urn]["inputs"].keys() | new[urn]["inputs"].keys()
        if new[urn]["custom"] and old[urn]["inputs"].get(key) != new[urn]["inputs"].get(key)
    }
    replaced = {kind for kind, key in changed - IN_PLACE if key not in TYPES[kind].updates | {"tags"}}
    if replaced - {DEPLOYED_AGAIN}:
        return OnChange.REPLACE
    if old.keys() - new.keys():
        return OnChange.PARTS
    return OnChange.UPDATE if changed else OnChange.NOTHING


def test_the_page_is_what_the_command_prints():
    assert (ROOT / "docs/settings.md").read_text() == settings_page.page(), "run `make docs`"


def test_the_page_of_the_rights_is_what_the_command_prints():
    assert (ROOT / "docs/security.md").read_text() == security_page.page(), "run `make docs`"


def test_each_setting_has_another_value_in_these_tests():
    assert CHANGED.keys() == SETTINGS.keys()


@pytest.mark.parametrize("key", CHANGED)
def test_a_change_does_what_the_page_says(key, describe, stack):
    adopt = {"adopt": CHANGED["adopt"]} if key in OF_ADOPTED else {}
    beside = DELIVERY if key in AROUND else adopt
    before = describe(**beside) if beside else stack
    assert effect(before, describe(**{**beside, key: CHANGED[key]})) is SETTINGS[key].effect


def test_the_stack_for_trying_things_on_is_what_the_program_takes(describe, stack):
    made = describe(**given(ROOT / "Pulumi.dev.yaml"))
    assert {each["urn"]: each["inputs"] for each in made.resources} == {
        each["urn"]: each["inputs"] for each in stack.resources
    }


def test_the_example_for_production_keeps_every_rule(describe):
    made = describe(**given(EXAMPLE))
    assert made.outputs["production"] is True
    assert violations(resources(made), production=True) == []


def test_the_example_for_production_differs_where_it_should(describe):
    made, alarm = describe(**given(EXAMPLE)), "metricAlarm:MetricAlarm"
    assert made.one("rds/cluster:Cluster")["inputs"]["serverlessv2ScalingConfiguration"]["minCapacity"] > 0
    assert all(each["inputs"]["alarmActions"] for each in made.of(alarm))
    assert {each["inputs"]["retentionInDays"] for each in made.of("logGroup:LogGroup")} == {365}
    assert all(each["inputs"]["tags"].keys() >= {"owner", "cost-center"} for each in made.of("table:Table"))


def test_both_files_name_a_region_and_only_known_keys():
    for path in (ROOT / "Pulumi.dev.yaml", EXAMPLE):
        config = yaml.safe_load(path.read_text())["config"]
        assert config.pop("aws:region")
        assert {key.removeprefix("streamback:") for key in config} <= SETTINGS.keys()
