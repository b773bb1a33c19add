"""The settings: what each takes, and what is said when it cannot be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.settings import KINDS, SettingsError, parse

ROOT = Path(__file__).parents[2]
BAD = {
    "parts": '["legasy"]',
    "production": "yes",
    "apiAuth": "COGNITO",
    "tablePrefix": "über",
    "entitiesFile": "entities.yaml",
    "availabilityZones": '["us-east-1a"]',
    "apiResourcesQuota": "100",
    "engineVersion": "5.7",
    "minCapacity": "0.3",
    "maxCapacity": "1000",
    "autoPauseSeconds": "60",
    "powertoolsLayerArn": "powertools",
    "databaseCaFile": "ca.crt",
    "logRetentionDays": "31",
    "alarmTopicArn": "ops@example.com",
    "bridgeBatchSize": "0",
    "bridgeWindowSeconds": "one",
    "bridgeParallelization": "11",
    "bridgeMaxRecordAgeSeconds": "86400",
    "tags": '{"aws:x": "y"}',
}


def problems(unknown=(), **given):
    with pytest.raises(SettingsError) as caught:
        parse(given, ROOT, tuple(unknown))
    return caught.value.problems


def test_nothing_set_is_the_whole_system_for_trying_things_on():
    settings = parse({}, ROOT)
    assert settings.parts == ("legacy", "modern", "bridge")
    assert (settings.production, settings.api_auth, settings.min_capacity) == (False, "AWS_IAM", 0)
    assert list(settings.entities) == ["chefs"]


def test_every_setting_has_a_bad_value_in_these_tests():
    assert BAD.keys() == KINDS.keys()


@pytest.mark.parametrize("key", BAD)
def test_a_bad_value_is_answered_with_key_expectation_value_and_next_step(key):
    (problem,) = problems(**{key: BAD[key]})
    assert problem.startswith(f"streamback:{key}: expected ")
    assert f"got {BAD[key]!r}" in problem
    assert "pulumi config set " in problem
    assert f"streamback:{key}" in problem.partition("pulumi config set ")[2]


def test_every_mistake_is_reported_at_once():
    found = problems(unknown=["prodution"], apiAuth="X", minCapacity="x")
    assert [problem.partition(": ")[0] for problem in found] == [
        "streamback:prodution",
        "streamback:apiAuth",
        "streamback:minCapacity",
    ]


def test_a_part_without_those_before_it_is_refused_with_the_one_to_add():
    (problem,) = problems(parts='["legacy", "bridge"]')
    assert "pulumi config set --path 'streamback:parts[2]' modern" in problem


@pytest.mark.parametrize("parts", ['["modern"]', '["bridge"]', '["modern", "bridge"]', "[]", '["legacy", "legacy"]'])
def test_only_the_articles_order_can_be_deployed(parts):
    assert problems(parts=parts)[0].startswith("streamback:parts: expected ")


def test_the_parts_stand_in_the_articles_order_however_they_are_given():
    assert parse({"parts": '["modern", "legacy"]'}, ROOT).parts == ("legacy", "modern")


def test_a_minimum_over_the_maximum_is_refused():
    (problem,) = problems(minCapacity="4", maxCapacity="2")
    assert problem.startswith("streamback:minCapacity: expected at most maxCapacity, 2, got 4")


def test_production_keeps_logs_for_a_year_unless_it_says_otherwise():
    assert parse({"production": "true"}, ROOT).log_retention_days == 365
    assert parse({"production": "true", "logRetentionDays": "14"}, ROOT).log_retention_days == 14


def test_a_mistake_in_the_mapping_names_its_key_and_the_file(tmp_path):
    (tmp_path / "mine.toml").write_text("[chefs]\nlegacy = 3\n")
    found = problems(entitiesFile=str(tmp_path / "mine.toml"))
    assert any("chefs.legacy" in problem and "mine.toml" in problem for problem in found)


def test_a_missing_mapping_stops_the_program_and_is_named(run):
    done = run(entitiesFile="nowhere.toml")
    assert done.returncode
    assert "streamback:entitiesFile: nowhere.toml: cannot be read" in done.stderr


def test_a_misspelt_key_stops_the_program(run):
    done = run(prodution="true")
    assert done.returncode
    assert "streamback:prodution: expected one of the settings parts, production" in done.stderr
