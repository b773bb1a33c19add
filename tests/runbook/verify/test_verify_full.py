"""The full comparison: resumes after an interruption, retries transient errors, stops soon, and ends early."""

from __future__ import annotations

import datetime as dt
import json
import time
from itertools import repeat
from types import SimpleNamespace

import pytest
from journal_states import force_phase
from typer.testing import CliRunner

from functions.aws import retry as retrying
from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import TransientError
from functions.domain import names, origin
from functions.domain.phase import Phase
from runbook.commands.cli import app
from runbook.commands.verify import SHOW, _words
from runbook.errors import FailedError
from runbook.journal.lock import LEASE, this_process
from runbook.verify import checkpoint, full, run
from runbook.verify import compare as comparing
from runbook.verify.compare import BothSides, Difference, DifferenceKind
from runbook.verify.concurrency import RateLimiter, StoppedError

RECORDS = 60
OPTIONS = run.VerifyOptions(segments=1, grace=0)


@pytest.fixture(scope="module")
def even(context, chefs, sandbox):
    """The same records on both sides, past the bridge; their keys."""
    keys = [f"w-{number:03}" for number in range(RECORDS)]
    rows = [(key, f"chef {key}", "W") for key in keys]
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        sql = "INSERT INTO chefdb.cheftable (streamback_key, cheffirst, cheflast) VALUES (%s, %s, %s)"
        cursor.executemany(sql, rows)
    for key in keys:
        put(context, chefs, key)
    assert run.run(context, chefs, OPTIONS).clean
    return keys


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 5)
    monkeypatch.setattr(comparing, "KEY_PAGE", 5)
    monkeypatch.setattr(full, "SAVE_SECONDS", 0)


@pytest.fixture
def extra(context, chefs, even):
    """Items that have no row; taken away again."""
    keys = [f"x-{number:03}" for number in range(RECORDS)]
    for key in keys:
        put(context, chefs, key)
    yield keys
    for key in keys:
        context.clients.dynamodb.delete_item(TableName=chefs.modern_table, Key={"ChefId": {"S": key}})


def put(context, chefs, key, first=""):
    fields = {"firstName": {"S": first or f"chef {key}"}, "lastName": {"S": "W"}}
    mark = origin.mark(key, None)
    context.clients.dynamodb.put_item(TableName=chefs.modern_table, Item={"ChefId": {"S": key}, **fields, **mark})


def record(context):
    return context.journal.find_record("chefs", checkpoint.RECORD)


class Interrupted:
    """Lets some pages of items be compared, then fails; counts the items."""

    def __init__(self, monkeypatch, pages=10**6):
        self.pages, self.items, self._compare = pages, 0, BothSides.compare
        monkeypatch.setattr(BothSides, "compare", lambda sides, items: self.compare(sides, items))  # noqa: PLW0108  # a bound method takes no other self

    def compare(self, sides, items):
        if not self.pages:
            raise FailedError("the operator's machine is gone")
        self.pages -= 1
        self.items += len(items)
        return self._compare(sides, items)


@pytest.fixture
def interrupted(context, chefs, even, monkeypatch):
    """A run that failed after three pages; returns its note in the journal."""
    with monkeypatch.context() as patch:
        Interrupted(patch, pages=3)
        with pytest.raises(FailedError):
            run.run(context, chefs, run.VerifyOptions(segments=1, grace=0, anew=True))
    return record(context)


def test_an_interrupted_run_is_resumed(context, chefs, interrupted, monkeypatch):
    assert (interrupted["progress"]["items"], interrupted["process"]) == (15, "")
    counted = Interrupted(monkeypatch)
    found = run.run(context, chefs, OPTIONS)
    assert (found.clean, found.resumed, found.started_at) == (True, True, interrupted["started_at"])
    assert (found.items, found.rows, found.compared, found.equal) == (RECORDS,) * 4
    assert counted.items == RECORDS - 15
    assert context.journal.find_record("chefs", names.VERIFIED_RECORD)["started_at"] == found.started_at
    assert not run.run(context, chefs, OPTIONS).resumed


def test_a_run_interrupted_among_the_rows_reads_no_item_again(context, chefs, even, monkeypatch):
    followed = []

    def fail(sides, keys, **_):
        followed.append(keys)
        raise FailedError("the operator's machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(full.FullComparison, "_unknown", fail)
        with pytest.raises(FailedError):
            run.run(context, chefs, run.VerifyOptions(segments=1, anew=True))
    counted = Interrupted(monkeypatch)
    found = run.run(context, chefs, OPTIONS)
    assert (found.clean, found.resumed, found.rows, counted.items) == (True, True, RECORDS, 0)


def test_what_differed_before_the_interruption_is_compared_again(context, chefs, even, monkeypatch):
    first = next(iter(BothSides.scan(run._sides(context, chefs, OPTIONS), 0, 1)))[0][0]["ChefId"]["S"]
    put(context, chefs, first, "else")
    with monkeypatch.context() as patch:
        Interrupted(patch, pages=3)
        with pytest.raises(FailedError):
            run.run(context, chefs, run.VerifyOptions(segments=1, grace=0, anew=True))
    (difference,) = run.run(context, chefs, OPTIONS).differences
    put(context, chefs, first)
    assert (difference.key, difference.kind) == (first, "fields")


def test_a_resumed_run_finds_a_row_without_an_item(context, chefs, interrupted, sandbox):
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO chefdb.cheftable (streamback_key, cheffirst) VALUES ('alone', 'x')")
        found = run.run(context, chefs, OPTIONS)
        cursor.execute("DELETE FROM chefdb.cheftable WHERE streamback_key = 'alone'")
    assert found.resumed
    assert [(each.key, each.kind) for each in found.differences] == [("alone", "only in legacy")]


@pytest.mark.parametrize(
    "options",
    [
        run.VerifyOptions(segments=1, grace=0, anew=True),
        run.VerifyOptions(segments=2, grace=0),
        run.VerifyOptions(segments=1, grace=0, sample=0.5),
    ],
)
def test_with_other_options_it_begins_anew(context, chefs, interrupted, options):
    found = run.run(context, chefs, options)
    assert not found.resumed
    assert found.started_at > interrupted["started_at"]


def test_a_run_that_began_long_ago_or_is_under_way_is_not_resumed(context, chefs, interrupted):
    values = {name: value for name, value in interrupted.items() if name not in {"entity", "record"}}
    long_ago = (dt.datetime.now(dt.UTC) - checkpoint.KEPT).isoformat()
    for change in ({"started_at": long_ago}, {"process": this_process()}):
        context.journal.put_record("chefs", checkpoint.RECORD, {**values, **change})
        assert not run.run(context, chefs, OPTIONS).resumed


def test_a_run_whose_process_is_dead_or_silent_is_resumed(context, chefs, interrupted):
    values = {name: value for name, value in interrupted.items() if name not in {"entity", "record"}}
    machine = this_process().rsplit("|", 2)[0]
    silent = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=LEASE + 1)).isoformat()
    for change in (
        {"process": f"{machine}|{2**22 + 1}|1"},  # above Linux's highest pid
        {"process": this_process(), "saved_at": silent},
    ):
        context.journal.put_record("chefs", checkpoint.RECORD, {**values, **change})
        assert run.run(context, chefs, OPTIONS).resumed


def test_a_run_that_finds_very_many_differences_ends_early_and_says_so(context, chefs, extra, sandbox, monkeypatch):
    monkeypatch.setattr(full, "MOST", 10)
    found = run.run(context, chefs, OPTIONS)
    assert (found.more, found.clean) == (True, False)
    assert 5 < len(found.differences) <= 15
    command = ["verify", "--entity", "chefs", "--settle", "0", "--outputs", str(sandbox.location.outputs)]
    said = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert said.exit_code == 3
    assert "There are more" in said.stdout
    said = CliRunner().invoke(app, [*command, "--json"])
    (one,) = json.loads(said.stdout)["entities"]
    assert (said.exit_code, one["more"], one["clean"]) == (3, True, False)


def test_many_that_differ_only_at_first_do_not_end_it(context, chefs, even, monkeypatch):
    monkeypatch.setattr(full, "MOST", 10)
    wrong = [Difference(key=key, kind=DifferenceKind.FIELDS) for key in even]
    monkeypatch.setattr(BothSides, "compare", lambda *_: wrong[:5])
    found = run.run(context, chefs, OPTIONS)
    assert (found.clean, found.more, found.items, found.rows) == (True, False, RECORDS, RECORDS)


def test_a_transient_error_of_aurora_is_retried(context, chefs, even, monkeypatch):
    query, asked = DataApi.query, []

    def shaky(api, *arguments):
        asked.append(1)
        if len(asked) % 3 == 0:
            raise TransientError("the database is waking")
        return query(api, *arguments)

    monkeypatch.setattr(retrying, "waits", lambda *_: repeat(0.001))
    monkeypatch.setattr(DataApi, "query", shaky)
    found = run.run(context, chefs, OPTIONS)
    assert (found.clean, found.equal) == (True, RECORDS)
    monkeypatch.setattr(DataApi, "query", lambda *_: (_ for _ in ()).throw(TransientError("it is down")))
    with pytest.raises(FailedError, match="does not answer"):
        run.compare_keys(context, chefs, even[:1], 0)


def test_the_first_error_stops_every_segment(context, chefs, even, monkeypatch):
    pages = []

    def compare(sides, _items):
        pages.append(1)
        if len(pages) == 1:
            raise FailedError("broken")
        assert sides.stop.wait(60)
        return []

    monkeypatch.setattr(comparing, "PAGE", 1)
    monkeypatch.setattr(BothSides, "compare", compare)
    with pytest.raises(FailedError, match="broken"):
        run.run(context, chefs, run.VerifyOptions(segments=4, anew=True))
    assert len(pages) <= 4


def test_keys_that_dynamodb_leaves_out_are_asked_for_again(context, chefs, monkeypatch):
    answers = [([], ["a", "b"]), ([], ["a", "b"]), (["a"], ["b"]), (["b"], [])]

    def batch_get_item(**given):
        asked.append([key["ChefId"]["S"] for key in given["RequestItems"]["t"]["Keys"]])
        found, left = answers[len(asked) - 1]
        keys = [{"ChefId": {"S": key}} for key in left]
        items = [{"ChefId": {"S": key}} for key in found]
        return {"Responses": {"t": items}, "UnprocessedKeys": {"t": {"Keys": keys}} if left else {}}

    asked: list[list[str]] = []
    monkeypatch.setattr("functions.aws.dynamodb.waits", lambda *_: repeat(0.001))
    client = SimpleNamespace(batch_get_item=batch_get_item)
    sides = BothSides(context.target.mapping["chefs"], client, "t", None, RateLimiter())
    assert sorted(sides.items(["a", "b"])) == ["a", "b"]
    assert asked == [["a", "b"], ["a", "b"], ["a", "b"], ["b"]]


def test_without_progress_a_throttle_ends_it(context, monkeypatch):
    monkeypatch.setattr("functions.aws.dynamodb.waits", lambda *_: repeat(0.001))
    monkeypatch.setattr(comparing, "THROTTLE_TIMEOUT", 0.01)
    keys = [{"ChefId": {"S": "a"}}]
    answer = {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": keys}}}
    client = SimpleNamespace(batch_get_item=lambda **_: answer)
    sides = BothSides(context.target.mapping["chefs"], client, "t", None, RateLimiter(), 0)
    with pytest.raises(FailedError, match="throttles"):
        sides.items(["a"])


def test_stopping_ends_a_wait_of_the_rate_limiter(context):
    sides = run._sides(context, context.target.entity("chefs"), run.VerifyOptions(rate=0.001))
    sides.stop.set()
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(StoppedError):
            sides._take(1)
    assert time.monotonic() - began < 500


def test_all_entities_leaves_out_a_complete_one_and_says_so(context, even, sandbox):
    command = ["verify", "--allow-empty", "--settle", "0", "--outputs", str(sandbox.location.outputs)]
    force_phase(context, "chefs", Phase.COMPLETE)
    said = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    alone = CliRunner().invoke(app, [*command, "--entity", "chefs"])
    force_phase(context, "chefs", Phase.LEGACY)
    assert (said.exit_code, alone.exit_code) == (0, 4), said.output
    assert "chefs is complete" in said.stdout
    assert ([one["entity"] for one in document["entities"]], list(document["skipped"])) == (["specimens"], ["chefs"])


def test_the_command_to_run_next_repeats_every_option():
    options = run.VerifyOptions(segments=8, rate=500, grace=3, sample=0.5)
    assert " ".join(_words(["chefs"], None, options, 5)) == (
        "verify --repair --entity chefs --sample 0.5 --settle 3 --segments 8 --rate 500 --show 5"
    )
    assert " ".join(_words(None, "last", run.VerifyOptions(), SHOW)) == "verify --repair --changed-since last"
