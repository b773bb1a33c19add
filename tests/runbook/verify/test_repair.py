"""`runbook verify --repair`: the side that the phase says is wrong becomes what the other is, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid

import pytest
from journal_states import long_at_the_gate
from typer.testing import CliRunner
from writes_world import until

from functions.aws.data_api import DataApi
from functions.domain import names, origin
from functions.domain.phase import Phase
from runbook import repair
from runbook.checks import bridge
from runbook.checks import copy as copy_checks
from runbook.checks.check import Check
from runbook.commands import history
from runbook.commands.cli import app
from runbook.cutover import drain
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import Choices, OperationKind
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.lock import held
from runbook.quarantine.resolve import Action, Resolver
from runbook.repair import Repair
from runbook.verify import run

TIMEOUT = 60.0
OPTIONS = run.VerifyOptions(grace=0.3)
WITH_GRACE = run.VerifyOptions(grace=TIMEOUT)
QUICK = Choices(propagation_wait=0.0, warm=1, reads_stay=True)


@pytest.fixture(scope="module")
def context(copying):
    assert run.run(copying, copying.target.entity("chefs"), WITH_GRACE).clean
    return copying


@pytest.fixture
def world(context, chefs):
    """Both sides, to be written past bridge and copy; clean again afterwards."""
    made = World(context, chefs)
    yield made
    made.tidy()


@pytest.fixture
def modern(context, world):
    """Writes are modern's, until the end of the test."""
    long_at_the_gate(context, world.chefs.name)
    Switch(context, world.chefs, OperationKind.CUTOVER, Scope.WRITES, QUICK).execute()
    yield world
    world.tidy()
    Switch(context, world.chefs, OperationKind.ROLLBACK, Scope.WRITES, QUICK).execute()


class World:
    def __init__(self, context, chefs):
        self.context, self.chefs = context, chefs
        self.repair = Repair(context, chefs)
        self.keys: list[str] = []
        target = context.target
        self.bridge = DataApi(context.clients.rds_data, target.cluster_arn, target.bridge_secret_arn, "chefdb")

    def both(self, name="same") -> str:
        """A record on both sides, by the ordinary ways of the phase."""
        system = "dynamo" if self.context.journal.state("chefs").phase == Phase.MODERN else "aurora"
        body = {"firstName": name, "lastName": "R"}
        key = self.context.api.request("POST", f"/{system}/chefs", body).body["id"]
        self.keys.append(key)
        until(lambda: self.name(key) == name and self.row(key) == name)
        return key

    def item(self, key, name, *, seen=False):
        mark = {} if seen else origin.mark(key, None)
        item = {"ChefId": {"S": key}, "firstName": {"S": name}, "lastName": {"S": "R"}, **mark}
        self.context.clients.dynamodb.put_item(TableName=self.chefs.modern_table, Item=item)

    def item_only(self, name="lonely", **how) -> str:
        self.keys.append(f"r-{uuid.uuid4().hex[:8]}")
        self.item(self.keys[-1], name, **how)
        return self.keys[-1]

    def row_only(self, name="lonely") -> str:
        self.keys.append(f"r-{uuid.uuid4().hex[:8]}")
        columns = "cheffirst, cheflast, streamback_key"
        self.sql(f"INSERT INTO cheftable ({columns}) VALUES ('{name}', 'R', '{self.keys[-1]}')")
        return self.keys[-1]

    def sql(self, statement):
        """As the bridge's user: no trigger says copy."""
        self.bridge.execute(statement)

    def set_row(self, key, name):
        self.sql(f"UPDATE cheftable SET cheffirst = '{name}' WHERE {self._is(key)}")

    def _is(self, key):
        return f"id = {key} AND streamback_key IS NULL" if key.isdecimal() else f"streamback_key = '{key}'"

    def row(self, key):
        rows = self.bridge.query(f"SELECT cheffirst FROM cheftable WHERE {self._is(key)}")
        return rows[0][0]["stringValue"] if rows else None

    def name(self, key):
        found = self.context.clients.dynamodb.get_item(
            TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}}, ConsistentRead=True
        )
        return found.get("Item", {}).get("firstName", {}).get("S")

    def found(self):
        return run.run(self.context, self.chefs, OPTIONS)

    def tidy(self):
        queue = self.context.aurora.queue(self.context.target.mapping["chefs"])
        until(lambda: queue.length(1) == 0)  # or copy would bring back what it has just read
        for key in self.keys:  # the row first, or the bridge would take the item's end for a conflict
            self.sql(f"DELETE FROM cheftable WHERE {self._is(key)}")
            self.item_gone(key)
        follower = self.context.follower(self.chefs, wanted=set(self.keys))
        follower.reach(TIMEOUT)
        left = follower.take()
        until(lambda: not drain.unapplied(self.context, self.chefs, left))
        assert run.run(self.context, self.chefs, WITH_GRACE).clean

    def item_gone(self, key):
        self.context.clients.dynamodb.delete_item(TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}})


def test_in_phase_legacy_the_plan_names_the_item_as_wrong_and_changes_nothing(world):
    key = world.both()
    world.item(key, "wrong")
    (intent,) = world.repair.plan(world.found().differences)
    assert (intent.wrong, intent.action, intent.difference.fields[0].modern) == ("item", Action.QUEUE, "wrong")
    assert (world.row(key), world.name(key)) == ("same", "wrong")


def test_in_phase_legacy_copy_makes_the_items_what_the_rows_are(context, world):
    changed, alone, lonely = world.both(), world.row_only(), world.item_only()
    world.item(changed, "wrong")
    found = world.found()
    assert {each.key for each in found.differences} == {changed, alone, lonely}
    done = world.repair.execute(found, WITH_GRACE)
    assert not done.left
    assert [world.name(key) for key in (changed, alone, lonely)] == ["same", "lonely", None]
    assert [world.row(key) for key in (changed, alone, lonely)] == ["same", "lonely", None]


def test_a_record_created_in_dynamodb_that_legacy_never_had_is_not_thrown_away(context, world):
    key = world.both()
    world.sql(f"DELETE FROM cheftable WHERE {world._is(key)}")
    lost = world.item_only("acknowledged", seen=True)
    until(lambda: world.row(lost))
    world.sql(f"DELETE FROM cheftable WHERE {world._is(lost)}")
    found = world.found()
    assert {each.difference.key: each.wrong for each in world.repair.plan(found.differences)} == {
        key: "item",  # copy wrote it, so legacy had it
        lost: "row",
    }
    assert not world.repair.execute(found, WITH_GRACE).left
    assert (world.row(lost), world.name(key)) == ("acknowledged", None)


def test_in_phase_modern_the_rows_become_what_the_items_are(context, modern):
    changed, gone, lost = modern.both(), modern.both(), modern.both()
    modern.set_row(changed, "wrong")
    alone = modern.row_only()
    modern.sql(f"DELETE FROM cheftable WHERE {modern._is(lost)}")
    lonely = modern.item_only(seen=True)
    until(lambda: modern.row(lonely) == "lonely")
    modern.sql(f"DELETE FROM cheftable WHERE {modern._is(lonely)}")
    found = modern.found()
    assert {each.difference.key: each.wrong for each in modern.repair.plan(found.differences)} == dict.fromkeys(
        (changed, alone, lost, lonely), "row"
    )
    assert not modern.repair.execute(found, OPTIONS).left
    assert [modern.row(key) for key in (changed, alone, lost, lonely)] == ["same", None, "same", "lonely"]
    assert [modern.name(key) for key in (changed, alone, lost, lonely)] == ["same", None, "same", "lonely"]
    assert (modern.row(gone), modern.name(gone)) == ("same", "same")


@pytest.mark.long
def test_what_is_made_good_is_waited_for_by_no_rollback_and_newer_changes_still_win(context, modern):
    key = modern.both()
    modern.sql(f"DELETE FROM cheftable WHERE {modern._is(key)}")  # a change that the bridge has lost
    follower = context.follower(modern.chefs, wanted={key})
    follower.reach(TIMEOUT)
    seen = follower.take()
    assert set(drain.unapplied(context, modern.chefs, seen)) == {key}
    assert not modern.repair.execute(modern.found(), OPTIONS).left
    assert drain.unapplied(context, modern.chefs, seen) == {}
    context.api.request("PUT", f"/dynamo/chefs/{key}", {"firstName": "newer"})
    until(lambda: modern.row(key) == "newer")


def test_what_changes_while_it_is_repaired_ends_as_the_source_of_truth_has_it(context, modern):
    keys = [modern.both() for _ in range(6)]
    for key in keys:
        modern.set_row(key, "wrong")
    found, stop = modern.found(), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            for key in keys:
                context.api.request("PUT", f"/dynamo/chefs/{key}", {"firstName": f"change {number}"})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        modern.repair.execute(found, OPTIONS)
    finally:
        stop.set()
        writer.join()
    until(lambda: all(modern.row(key) == modern.name(key) for key in keys))


@pytest.mark.long
def test_an_item_that_fits_no_row_stays_a_difference_and_is_not_quarantined(context, modern):
    key = modern.item_only("x" * 300, seen=True)
    entry = {"TableName": context.target.quarantine_table, "Key": {"entity": {"S": "chefs"}, "item_key": {"S": key}}}
    until(lambda: "Item" in context.clients.dynamodb.get_item(**entry))  # the bridge's
    context.clients.dynamodb.delete_item(**entry)
    done = modern.repair.execute(modern.found(), OPTIONS)
    (outcome,) = done.resolutions
    assert (outcome.key, outcome.resolved) == (key, False)
    assert "firstName" in outcome.says
    assert [each.key for each in done.left] == [key]
    assert "Item" not in context.clients.dynamodb.get_item(**entry)


def test_what_is_the_same_by_then_is_left_alone(context, world, monkeypatch):
    key = world.both()
    world.item(key, "wrong")
    found = world.found()
    world.item(key, "same")
    monkeypatch.setattr(Resolver, "resolve", None)
    assert not world.repair.execute(found, OPTIONS).resolutions


@pytest.mark.long
def test_an_interrupted_repair_says_so_and_the_next_run_does_the_rest(context, world, monkeypatch):
    keys = [world.both() for _ in range(5)]
    for key in keys:
        world.item(key, "wrong")
    real, turns = Resolver.resolve, iter(range(100))

    def resolve(self, entry):
        if next(turns) == 2:
            raise KeyboardInterrupt
        return real(self, entry)

    monkeypatch.setattr(Resolver, "resolve", resolve)
    with pytest.raises(KeyboardInterrupt):
        world.repair.execute(world.found(), OPTIONS)
    newest = history.newest(context, [world.chefs], 1)[0]
    assert (newest.command, newest.result) == (repair.COMMAND, "stopped")
    monkeypatch.setattr(Resolver, "resolve", real)
    assert not world.repair.execute(world.found(), WITH_GRACE).left
    assert {world.name(key) for key in keys} == {"same"}


@pytest.mark.long
def test_killed_in_the_middle_it_can_be_run_again_at_once(context, sandbox, world):
    keys = [world.both() for _ in range(30)]
    for key in keys:
        world.item(key, "wrong")
    words = ["verify", "--repair", "--execute", "--entity", "chefs", "--settle", "0.3"]
    words += ["--outputs", str(sandbox.location.outputs)]
    command = [sys.executable, "-c", "from runbook.commands.cli import app; app()", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def started():
        newest = history.newest(context, [world.chefs], 1)[0]
        return (newest.command, newest.result) == (repair.COMMAND, "started")

    until(started)
    process.kill()
    process.wait()
    again = CliRunner().invoke(app, [*words[:-4], "--settle", "3", *words[-2:]])
    assert again.exit_code == 0, again.output
    assert {world.name(key) for key in keys} == {"same"}


@pytest.mark.long
def test_repaired_after_a_full_comparison_both_sides_count_as_equal(context, world):
    key = world.both()
    world.item(key, "wrong")
    found = world.found()
    assert not copy_checks.checks(context, world.chefs)[-1].ok
    world.repair.execute(found, WITH_GRACE)
    assert copy_checks.checks(context, world.chefs)[-1].ok
    record = context.journal.find_record("chefs", names.VERIFIED_RECORD)
    assert (record["started_at"], record["clean"]) == (found.started_at, True)


@pytest.mark.long
def test_repaired_after_a_comparison_of_changes_the_last_full_one_counts_again(context, world):
    key = world.both()
    assert run.run(context, world.chefs, WITH_GRACE).clean
    world.item(key, "wrong")
    found = run.run_since(context, world.chefs, OPTIONS, None)
    assert not copy_checks.checks(context, world.chefs)[-1].ok
    world.repair.execute(found, WITH_GRACE)
    record = context.journal.find_record("chefs", names.VERIFIED_RECORD)
    assert (record["started_at"], record["clean"]) == (found.started_at, True)


@pytest.mark.parametrize("phase", [Phase.SWITCHING, Phase.RETURNING, Phase.COMPLETE])
def test_repair_is_refused_while_the_source_of_truth_is_not_decided(context, world, monkeypatch, phase):
    state = context.journal.state("chefs")
    monkeypatch.setattr(context.journal, "state", lambda _: type(state)(**{**vars(state), "phase": phase}))
    with pytest.raises(PreconditionError):
        world.repair.plan([])


def test_repair_is_refused_while_the_bridge_is_broken_or_another_operator_has_the_lock(context, world, monkeypatch):
    world.item(key := world.both(), "wrong")
    found = world.found()
    with held(context.journal, "chefs", "another", "copy"), pytest.raises(RefusedError):
        world.repair.execute(found, OPTIONS)
    red = Check(name="mapping", ok=False, value="Disabled", limit="Enabled")
    monkeypatch.setattr(bridge, "mapping", lambda *_: [red])
    with pytest.raises(PreconditionError, match="mapping is Disabled"):
        world.repair.execute(found, OPTIONS)
    assert world.name(key) == "wrong"


def test_the_command_plans_first_and_acts_with_execute(sandbox, world):
    key = world.both()
    world.item(key, "wrong")
    words = ["verify", "--repair", "--entity", "chefs", "--settle", "0.5"]
    words += ["--outputs", str(sandbox.location.outputs)]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert said.exit_code == 3
    assert "let copy write the item from the row" in said.stdout
    assert "--execute" in said.stderr
    result = CliRunner().invoke(app, [*words, "--json"])
    (entity,) = json.loads(result.stdout)["entities"]
    assert (result.exit_code, entity["repair"]["executed"]) == (3, False)
    assert [(each["key"], each["wrong"]) for each in entity["repair"]["records"]] == [(key, "item")]
    result = CliRunner().invoke(app, [*words, "--settle", "5", "--execute", "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["clean"], document["entities"][0]["clean"]) == (0, True, True)
    assert world.name(key) == "same"
    again = CliRunner().invoke(app, [*words, "--execute"], env={"COLUMNS": "200"})
    assert again.exit_code == 0


@pytest.mark.long
def test_under_load_in_phase_legacy_nothing_is_a_false_alarm(context, world):
    stop = threading.Event()
    made: list[str] = [world.both() for _ in range(5)]

    def write():
        while not stop.is_set():
            for key in made:
                context.api.request("PUT", f"/aurora/chefs/{key}", {"firstName": uuid.uuid4().hex})
            extra = context.api.request("POST", "/aurora/chefs", {"firstName": "short"}).body["id"]
            context.api.request("DELETE", f"/aurora/chefs/{extra}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            assert run.run(context, world.chefs, WITH_GRACE).clean
            assert run.run_since(context, world.chefs, WITH_GRACE, None).clean
    finally:
        stop.set()
        writer.join()
