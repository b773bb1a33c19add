"""AWS's quotas: what would not fit is refused before anything is made, with the number, the quota and AWS's page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components import quotas
from components.settings import parse
from functions.domain import entities

ROOT = Path(__file__).parents[2]
FIELD = {"column": "a", "type": "string", "max_length": 9}


def settings(count, length=8, **changes):
    """A stack of so many entities, whose names have so many characters."""
    raw = {
        f"e{number:0{length - 1}}": {
            "legacy": {"database": "d", "table": f"t{number}", "key": "id"},
            "modern": {"table": f"tab{number}", "key": "Id"},
            "fields": {"a": FIELD},
        }
        for number in range(count)
    }
    return replace(parse({}, ROOT), entities=entities.parse(raw), **changes)


def refused(text, *parts):
    assert [part for part in (*parts, quotas.DOCS) if part not in text] == []


def test_what_fits_is_not_refused():
    assert quotas.problems(parse({}, ROOT), "dev") == []
    assert quotas.problems(settings(35), "a-stack-of-20-letter") == []


@pytest.mark.parametrize("name", ["a-stack-of-21-letters", "Dev", "1st", "dev_1", "dev-", "dev--1", "d.e"])
def test_a_stacks_name_that_is_no_name_of_a_bucket_and_a_cluster_is_refused(name):
    (problem,) = quotas.problems(parse({}, ROOT), name)
    refused(problem, "at most 20 characters", repr(name), "`pulumi stack init NAME`")


def test_the_name_of_an_entity_has_what_the_stacks_leaves_of_a_functions():
    assert quotas.problems(settings(1, 27), "dev") == []
    (problem,) = quotas.problems(settings(1, 28), "dev")
    refused(problem, "at most 56 characters", "got 57")
    assert quotas.problems(settings(1, 28, parts=("legacy",)), "dev") == []


def test_more_resources_than_a_rest_api_may_have_are_refused_unless_aws_has_raised_the_quota():
    assert quotas.problems(settings(49), "dev") == []
    (problem,) = quotas.problems(settings(50), "dev")
    refused(problem, "at most 300 resources", "got 303 for 50 entities", "streamback:apiResourcesQuota")
    assert quotas.problems(settings(50, api_resources_quota=303), "dev") == []


def test_more_stage_variables_than_a_stage_may_have_are_refused():
    (problem,) = quotas.problems(settings(51, parts=("legacy",), api_resources_quota=999), "dev")
    refused(problem, "at most 100 stage variables", "got 102 for 51 entities")


def test_an_environment_of_more_than_4_kb_is_refused_with_its_function():
    assert quotas.problems(settings(30, 20), "dev") == []
    found = quotas.problems(settings(45, 20), "dev")
    refused(found[-1], "streamback-dev-gate-writes", "at most 4,096 bytes", "for 45 entities")


def test_the_estimate_of_an_environment_is_no_less_than_what_the_program_describes(describe, tmp_path):
    made = describe(entitiesFile=str(Path(__file__).parents[1] / "entities.toml"))
    for function, variable in (("copy-worker", "TABLES"), ("gate-writes", "MODERN_WRITE_FUNCTIONS")):
        variables = made.one("function:Function", function)["inputs"]["environment"]["variables"]
        rest = sum(len(name) + len(value) for name, value in variables.items()) - len(variables[variable])
        assert rest < quotas.OTHER_BYTES / 2  # the ARNs and names of this test are short
        assert isinstance(json.loads(variables[variable]), dict)


def test_the_program_is_refused_before_it_makes_anything(run, tmp_path):
    raw = settings(50).entities.raw
    lines = [
        f'[{name}]\nlegacy = {{ database = "d", table = "{each["legacy"]["table"]}", key = "id" }}\n'
        f'modern = {{ table = "{each["modern"]["table"]}", key = "Id" }}\n'
        f'[{name}.fields]\na = {{ column = "a", type = "string", max_length = 9 }}\n'
        for name, each in raw.items()
    ]
    (tmp_path / "many.toml").write_text("".join(lines))
    done = run(entitiesFile=str(tmp_path / "many.toml"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "got 303 for 50 entities" in done.stderr


def test_a_zone_without_aurora_is_refused_with_those_that_have_it(describe, run):
    made = describe(availabilityZones='["us-east-1b", "us-east-1a"]')
    zones = [each["inputs"]["availabilityZone"] for each in made.of("subnet:Subnet")]
    assert zones == ["us-east-1b", "us-east-1a"]
    for zone in ("us-east-1c", "us-west-2a"):  # one without Aurora, one that the region has not
        done = run(availabilityZones=f'["us-east-1a", "{zone}"]')
        assert (done.returncode, done.stdout) == (1, "")
        refused(done.stderr, "streamback:availabilityZones", "of us-east-1a, us-east-1b; got us-east-1a, " + zone)
