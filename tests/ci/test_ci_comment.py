"""A pull request's comment: what is lost comes first, switches and rights are marked, and a long one stays readable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ci.comment import LONGEST, ROWS, TAG, comment
from ci.events import Kind, Outcome, read

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE, MAPPING = "aws:dynamodb/table:Table", "aws:lambda/eventSourceMapping:EventSourceMapping"
STAGE, SCHEDULE = "aws:apigateway/stage:Stage", "aws:scheduler/schedule:Schedule"
POLICY, ALARM = "aws:iam/rolePolicy:RolePolicy", "aws:cloudwatch/metricAlarm:MetricAlarm"


def event(op, kind, name="it", **more):
    """One line of `pulumi preview`."""
    urn = f"urn:pulumi:dev::streamback::{kind}::{name}"
    return json.dumps(
        {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": kind, **more}, "planning": True}}
    )


def only(*lines):
    (step,) = read("dev", lines).steps
    return step


def row(*lines):
    """The row of the only resource that changes."""
    (found,) = (line for line in comment([read("dev", lines)]).splitlines() if "`it`" in line)
    return found


def rights(*actions):
    return {"inputs": {"policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions)}]})}}


def test_the_kept_preview_of_the_sandbox_gives_the_kept_comment():
    lines = (HERE / "preview.jsonl").read_text().splitlines()
    assert comment([read("sandbox", lines)]) == (HERE / "comment.md").read_text()


def test_the_docs_show_the_kept_comment():
    shown = (HERE / "comment.md").read_text().partition("\n\n### ")[2].partition("\n\n")[2]
    assert shown in (ROOT / "docs/pull_requests.md").read_text()


def test_a_replacement_in_three_events_is_one_step_with_all_that_differs():
    lines = [
        event("create-replacement", TABLE, keys=["name"], diffs=["name"]),
        event("replace", TABLE, detailedDiff={"tags.owner": {"diffKind": "add"}, "attributes[0].type": {}}),
        event("delete-replaced", TABLE),
    ]
    step = only(*lines)
    assert (step.kind, step.changed) == (Kind.REPLACE, ("name", "attributes", "tags"))


def test_what_is_lost_comes_first_then_what_to_look_at():
    lines = [
        event("create", ALARM, "a"),
        event("update", ALARM, "b"),
        event("update", POLICY, "c"),
        event("delete", ALARM, "d"),
        event("replace", TABLE, "e"),
    ]
    assert re.findall(r"`([a-e])`", comment([read("dev", lines)])) == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize("op", ["replace", "delete"])
def test_lost_data_is_marked(op):
    assert f"**{op}**" in row(event(op, TABLE))
    assert "**its data is lost**" in row(event(op, TABLE))
    assert "holds data" in row(event("update", TABLE))


@pytest.mark.parametrize(
    ("kind", "key"), [(STAGE, "variables"), (STAGE, "canarySettings"), (MAPPING, "enabled"), (SCHEDULE, "state")]
)
def test_a_switch_is_marked_when_it_changes_and_when_its_resource_is_replaced(kind, key):
    assert "**switch**" in row(event("update", kind, diffs=[key]))
    assert "**switch**" in row(event("replace", kind))
    assert "**switch**" not in row(event("update", kind, diffs=["tags"]))
    assert "**switch**" not in row(event("create", kind))


def test_a_right_is_marked_with_the_actions_that_come_and_go():
    line = event("update", POLICY, old=rights("s3:GetObject", "s3:PutObject"), new=rights("s3:PutObject", "s3:List"))
    assert "**right** +`s3:List` -`s3:GetObject`" in row(line)
    assert "**right** +`s3:List`" in row(event("create", POLICY, new=rights("s3:List")))


def test_a_right_that_the_preview_does_not_know_is_marked_all_the_same():
    unknown = {"inputs": {"policy": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}}
    assert row(event("update", POLICY, old=rights("s3:List"), new=unknown)).endswith("| **right** |")


def test_nothing_to_change_says_so():
    text = comment([read("dev", [event("same", TABLE), event("refresh", TABLE, "other")])])
    assert "**dev**: nothing to change, 2 unchanged" in text


def test_a_failed_preview_shows_why_and_no_plan():
    lines = [
        event("create", TABLE),
        json.dumps({"diagnosticEvent": {"severity": "error", "message": "<{%reset%}>no `table`<{%reset%}>"}}),
        json.dumps({"diagnosticEvent": {"severity": "warning", "message": "deprecated"}}),
        json.dumps(
            {
                "policyEvent": {
                    "enforcementLevel": "mandatory",
                    "policyName": "logs-end",
                    "resourceUrn": "urn:pulumi:dev::s::t::group",
                    "message": "set retention_in_days",
                }
            }
        ),
        "pulumi preview failed: see the log of this job.",
    ]
    text = comment([read("dev", lines)])
    assert "**dev**: the preview failed" in text
    assert "no 'table'" in text
    assert "logs-end: group: set retention_in_days" in text
    assert "see the log of this job" in text
    assert "deprecated" not in text
    assert "DynamoDB" not in text


def test_many_resources_are_counted_by_type():
    lines = [event("create", ALARM, f"alarm-{number:04}") for number in range(600)] + [event("delete", TABLE, "gone")]
    text = comment([read("dev", lines)])
    assert text.count("alarm-") == ROWS - 1
    assert "`gone`" in text
    assert f"<details><summary>{601 - ROWS} more</summary>" in text
    assert f"- {601 - ROWS} to create: cloudwatch MetricAlarm" in text


def test_the_comment_of_many_stacks_fits_into_one():
    lines = [event("update", POLICY, "p" * 60 + str(number), diffs=["policy"]) for number in range(90)]
    text = comment([read(f"stack-{number}", lines) for number in range(20)])
    assert len(text) <= LONGEST
    assert text.count("**stack-") == 20


def test_a_name_ends_neither_code_nor_cell():
    line = event("create", ALARM, "`|@all")
    assert "`'/@all`" in comment([read("dev", [line])])


def test_the_comment_begins_with_what_a_later_run_looks_for():
    assert comment([Outcome(stack="dev")]).startswith(TAG)
    assert TAG in (ROOT / ".github/workflows/comment.yml").read_text()


def test_the_command_fails_without_a_preview_and_is_silent_without_drift(tmp_path):
    def run(*options):
        command = [sys.executable, "-m", "ci.comment", str(tmp_path), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run()[0] == 1
    (tmp_path / "dev.jsonl").write_text(event("same", TABLE))
    assert run("--drift") == (0, "")
    (tmp_path / "dev.jsonl").write_text(event("update", TABLE))
    assert "bring back" in run("--drift")[1]
