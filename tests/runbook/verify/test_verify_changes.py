"""`runbook verify --changed-since`: compares what changed, and nothing else; and what the journal keeps of it."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid

import pytest
from typer.testing import CliRunner
from writes_world import until

from functions.domain import names, origin
from functions.domain.phase import Phase
from runbook.aws.aurora import Aurora
from runbook.checks import copy as copy_checks
from runbook.commands.cli import app
from runbook.commands.verify import moment
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.errors import PreconditionError, UsageError
from runbook.journal import verified
from runbook.verify import incremental, run
from runbook.verify.full import KeySet

TIMEOUT = 60.0
OPTIONS = run.VerifyOptions(grace=0.2)
WITH_GRACE = run.VerifyOptions(grace=TIMEOUT)
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def context(copying):
    return copying


@pytest.fixture
def clean(context, chefs):
    """Both sides were found equal; returns when that began."""
    assert run.run(context, chefs, WITH_GRACE).clean
    return record(context)["started_at"]


@pytest.fixture
def unseen(context, chefs):
    """Writes items past the bridge and past copy, and removes them."""
    made: list[str] = []

    def put(name):
        made.append(f"v-{uuid.uuid4().hex[:8]}")
        mark = {**origin.mark(made[-1], None), "firstName": {"S": name}}
        context.clients.dynamodb.put_item(TableName=chefs.modern_table, Item={"ChefId": {"S": made[-1]}, **mark})
        return made[-1]

    yield put
    for key in made:
        context.clients.dynamodb.delete_item(TableName=chefs.modern_table, Key={"ChefId": {"S": key}})


def record(context):
    return context.journal.find_record("chefs", names.VERIFIED_RECORD)


def write(context, name, key="", system="aurora"):
    where = f"/{system}/chefs" + (f"/{key}" if key else "")
    answer = context.api.request("PUT" if key else "POST", where, {"firstName": name})
    assert answer.status in {200, 201}, answer
    return answer.body["id"]


def ago(**span):
    return dt.datetime.now(dt.UTC) - dt.timedelta(**span)


def test_what_changed_on_either_side_is_compared_and_nothing_else(context, chefs, clean):
    one, other = write(context, "by legacy"), write(context, "by modern", system="dynamo")
    keys = incremental.changed_keys(context, chefs, dt.datetime.fromisoformat(clean), TIMEOUT)
    assert {one, other} <= set(keys)
    assert len(keys) == len(set(keys))
    found = run.run_since(context, chefs, WITH_GRACE, None)
    assert (found.clean, found.items, found.rows, found.compared) == (True, None, None, len(keys))


def test_a_difference_among_what_changed_is_reported(context, chefs, clean, unseen):
    key = unseen("unknown to legacy")
    (difference,) = run.run_since(context, chefs, OPTIONS, None).differences
    assert (difference.key, difference.kind) == (key, "only in modern")


def test_what_copy_has_not_written_yet_counts_as_changed(context, chefs, clean):
    control.stop(context, chefs)
    try:
        key = write(context, "waits in the queue")
        assert key in incremental.changed_keys(context, chefs, ago(seconds=1), TIMEOUT)
    finally:
        control.start(context, chefs, CopyLimits(), again=False)
    queue = context.aurora.queue(context.target.mapping[chefs.name])
    until(lambda: queue.length(1) == 0)
    assert run.run_since(context, chefs, WITH_GRACE, None).clean


def test_a_clean_comparison_of_changes_replaces_the_full_one_that_it_continues(context, chefs, clean):
    write(context, "changed")
    found = run.run_since(context, chefs, WITH_GRACE, None)
    assert found.base == clean
    assert record(context)["started_at"] == found.started_at > clean
    assert record(context)["clean"]


def test_differences_make_the_record_unclean_and_leave_its_beginning(context, chefs, clean, unseen):
    unseen("differs")
    run.run_since(context, chefs, OPTIONS, None)
    assert (record(context)["clean"], record(context)["started_at"]) == (False, clean)
    assert not copy_checks.checks(context, chefs)[-1].ok


def test_one_of_a_shorter_time_proves_nothing_and_is_not_kept(context, chefs, clean):
    time.sleep(0.01)
    found = run.run_since(context, chefs, WITH_GRACE, dt.datetime.now(dt.UTC))
    assert (found.clean, found.base, record(context)["started_at"]) == (True, "", clean)


def test_a_clean_sample_is_not_kept_and_one_that_differs_is(context, chefs, clean, unseen):
    run.run(context, chefs, run.VerifyOptions(grace=0.2, sample=0.5))
    assert record(context)["started_at"] == clean
    while not run._in_sample(unseen("differs"), 0.5):
        pass
    run.run(context, chefs, run.VerifyOptions(grace=0.2, sample=0.5))
    assert (record(context)["clean"], record(context)["sample"]) == (False, 0.5)


def test_an_older_full_comparison_that_ends_later_does_not_replace_a_newer(context, chefs, clean):
    older = "2020-01-01T00:00:00.000000Z"
    verified.note(context.journal, "chefs", started_at=older, sample=1.0, compared=1, differences=0, streams=0)
    assert record(context)["started_at"] == clean


def test_more_than_a_day_is_refused_with_what_to_do(context, chefs):
    with pytest.raises(PreconditionError, match=r"keeps 24 h, and that is 25\.0 h ago") as refused:
        run.run_since(context, chefs, OPTIONS, ago(hours=25))
    assert "runbook verify" in refused.value.remedy
    with pytest.raises(PreconditionError, match="in the future"):
        run.run_since(context, chefs, OPTIONS, ago(hours=-1))


def test_a_moment_before_the_stream_began_is_refused(context, chefs):
    with pytest.raises(PreconditionError, match="the stream of chefs began at"):
        run.run_since(context, chefs, OPTIONS, ago(hours=23.9))


def test_without_a_full_comparison_there_is_no_last(context, monkeypatch):
    monkeypatch.setattr(verified, "last", lambda *_: None)
    with pytest.raises(PreconditionError, match="had no full comparison"):
        run.run_since(context, context.target.entity("chefs"), OPTIONS, None)


def test_changes_of_legacy_are_unknown_before_copy_has_read_every_row(context, chefs, clean):
    control.stop(context, chefs)
    until(lambda: control._lanes_ended(context, chefs))  # one that still works would read the rest of the rows
    changes = {"backfilled": False}
    assert context.journal.change_record("chefs", names.COPY_RECORD, changes, {"backfilled": True})
    try:
        with pytest.raises(PreconditionError, match="copy has not read every row"):
            run.run_since(context, chefs, OPTIONS, None)
    finally:
        context.journal.change_record("chefs", names.COPY_RECORD, {"backfilled": True}, changes)
        control.start(context, chefs, CopyLimits(), again=False)


def test_in_phase_modern_no_copy_is_asked_for(context, chefs, clean, monkeypatch):
    state = context.journal.state("chefs")
    modern = type(state)(**{**vars(state), "phase": Phase.MODERN})
    monkeypatch.setattr(context.journal, "state", lambda _: modern)
    monkeypatch.setattr(Aurora, "control", None)
    assert run.run_since(context, chefs, WITH_GRACE, None).clean


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("last", None),
        ("90m", NOW - dt.timedelta(minutes=90)),
        ("1.5h", NOW - dt.timedelta(hours=1.5)),
        ("30s", NOW - dt.timedelta(seconds=30)),
        ("2026-01-31T11:00", NOW - dt.timedelta(hours=1)),
        ("2026-01-31T12:00+02:00", NOW - dt.timedelta(hours=2)),
        ("2026-01-31T11:00:00Z", NOW - dt.timedelta(hours=1)),
    ],
)
def test_moments_are_times_ages_or_the_last(text, meant):
    assert moment(text, NOW) == meant


def test_what_is_no_moment_is_a_usage_error():
    with pytest.raises(UsageError, match="expected a time"):
        moment("yesterday", NOW)


@pytest.mark.parametrize(
    "words", [("--execute",), ("--changed-since", "last", "--sample", "0.5"), ("--changed-since", "yesterday")]
)
def test_options_that_do_not_go_together_are_usage_errors(sandbox, words):
    outputs = ("--outputs", str(sandbox.location.outputs))
    assert CliRunner().invoke(app, ["verify", "--entity", "chefs", *words, *outputs]).exit_code == 2


def test_the_command_reports_a_difference_with_exit_code_3_and_one_document(sandbox, clean, unseen):
    key = unseen("differs")
    words = ["verify", "--entity", "chefs", "--changed-since", "last", "--settle", "0.2"]
    words += ["--outputs", str(sandbox.location.outputs)]
    result = CliRunner().invoke(app, [*words, "--json"])
    found = json.loads(result.stdout)
    assert (result.exit_code, found["clean"]) == (3, False)
    (entity,) = found["entities"]
    assert [each["key"] for each in entity["differences"]] == [key]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert said.exit_code == 3
    assert "only in modern" in said.stdout
    assert "those that changed since" in said.stdout


def test_a_key_set_knows_what_was_added():
    keys = KeySet()
    for number in range(10_000):
        keys.add(f"key {number}")
    assert all(f"key {number}" in keys for number in range(10_000))
    assert not any(f"other {number}" in keys for number in range(10_000))
