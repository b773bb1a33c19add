"""The settings: what each takes, and what is said when it cannot be taken."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from delivered import DELIVERY

from components.settings import SETTINGS, SettingsError, parse

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
    "permissionsBoundaryArn": "boundary",
    "adopt": "cluster",
    "adoptedCheckMinutes": "1441",
    "repository": "recipes",
    "oidcProviderArn": "arn:aws:iam::111122223333:oidc-provider/example.com",
    "operators": '["arn:aws:iam::111122223333:role/*"]',
    "readers": '"arn:aws:iam::111122223333:role/cooks"',
    "stateBucket": "s3://state",
    "stateKeyArn": "alias/state",
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
    assert BAD.keys() == SETTINGS.keys()


@pytest.mark.parametrize("key", BAD)
def test_a_bad_value_is_answered_with_key_expectation_value_and_next_step(key):
    (problem,) = problems(**{key: BAD[key]})
    assert problem.startswith(f"streamback:{key}: expected ")
    assert f"got {BAD[key]!r}" in problem
    assert parse({**(DELIVERY if key in DELIVERY or key == "oidcProviderArn" else {}), **executed(problem)}, ROOT)


def executed(problem):
    """What the command at the end of a problem leaves in the stack's configuration, as Pulumi hands it to a program."""
    words = shlex.split(re.findall(r"`pulumi config ([^`]+)`", problem)[-1])
    command, options = words[0], [word for word in words[1:] if not word.startswith("--")]
    pairs = [option.partition("=")[::2] for option in options] if command == "set-all" else [options]
    if "--path" not in words:
        return {key.removeprefix("streamback:"): value for key, value in pairs}
    key = re.split(r"[.\[]", pairs[0][0])[0]
    values = [value for _, value in pairs]
    inside = values if "[" in pairs[0][0] else {path.partition(".")[2]: value for path, value in pairs}
    return {key.removeprefix("streamback:"): json.dumps(inside)}


def test_a_command_can_be_executed_for_every_kind_of_value():
    commands = {type(each.kind): each.kind.command(f"streamback:{key}") for key, each in SETTINGS.items()}
    kinds = {"AdoptionKind", "Flag", "ListOf", "Number", "OneOf", "Pair", "Tags", "Text", "Texts"}
    assert {kind.__name__ for kind in commands} == kinds
    for key, each in SETTINGS.items():
        command = each.kind.command(f"streamback:{key}")
        ((given, text),) = executed(f"`pulumi config {command}`").items()
        assert given == key
        each.kind.read(text)  # raises where it does not fit


def test_what_is_for_the_roles_of_a_repository_needs_one():
    for key in ("operators", "stateBucket"):
        (problem,) = problems(**{key: DELIVERY[key]})
        assert problem.startswith(f"streamback:{key}: expected nothing, or `repository` beside it, got ")
        assert "`pulumi config set streamback:repository OWNER/NAME`" in problem


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
