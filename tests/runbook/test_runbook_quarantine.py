"""`runbook quarantine` on the shared sandbox: poison records parked by the deployed bridge, and batches given up."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from preflight_world import bridge_checks
from typer.testing import CliRunner

from functions.aws.quarantine import Quarantine
from functions.domain import names
from functions.domain.changes import Change, Kind
from functions.domain.errors import shown
from functions.domain.masking import MASKED, without_masked
from runbook.aws.failure_bucket import FailureBucket, prefix
from runbook.aws.stream import Seen
from runbook.commands.cli import app
from runbook.cutover import drain
from runbook.journal.journal import Phase
from runbook.journal.lock import held
from runbook.quarantine.actions import EntityQuarantine
from runbook.quarantine.both_sides import pairs
from runbook.quarantine.store import EntryStore
from sandbox.emulator import failures

TOO_LONG = "x" * 300
BASE = 5_000_000_000_000_000_000_000


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")


@pytest.fixture
def run(sandbox):
    """Runs `runbook quarantine …` for chefs and gives its exit code and its document."""

    def of(*arguments: str):
        command = ["quarantine", *arguments, "--entity", "chefs", "--json"]
        command += ["--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert result.stdout, result.exception
        return result.exit_code, json.loads(result.stdout)

    return of


@pytest.fixture
def world(context, chefs, sandbox):
    """Both sides of chefs, and where they stand; afterwards all is as it was."""
    made = World(context, chefs, sandbox)
    yield made
    made.tidy()


class World:
    def __init__(self, context, chefs, sandbox):
        self.context, self.chefs, self.sandbox = context, chefs, sandbox
        self.made: list[str] = []
        self.dynamodb = context.clients.dynamodb

    def key(self) -> str:
        self.made.append(f"q-{uuid.uuid4().hex[:8]}")
        return self.made[-1]

    def item(self, key, name, *, unseen=False):
        """Write an item; the bridge does not get to see an `unseen` one."""
        mark = {names.ORIGIN_ATTRIBUTE: {"S": names.ORIGIN_LEGACY}} if unseen else {}
        self.dynamodb.put_item(
            TableName=self.chefs.modern_table,
            Item={"ChefId": {"S": key}, "firstName": {"S": name}, "lastName": {"S": "Q"}, **mark},
        )

    def read(self, key):
        return self.dynamodb.get_item(
            TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}}, ConsistentRead=True
        ).get("Item", {})

    def name(self, key):
        return self.read(key).get("firstName", {}).get("S")

    def row(self, key):
        found = self.sql("SELECT cheffirst FROM chefdb.cheftable WHERE streamback_key = %s", key)
        return found[0][0] if found else None

    def sql(self, statement, *values):
        with self.sandbox.mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def control(self, **values):
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        self.sql(f"UPDATE chefdb.streamback_control SET {sets} WHERE entity = 'chefs'")

    def phase(self, phase: Phase):
        with held(self.context.journal, "chefs", "a test", "a test") as lease:
            self.context.journal.enter(lease.lock, "chefs", phase)

    def poisoned(self, row="old") -> str:
        """A record whose row is `row` and whose item has a value that no column takes; parked by the bridge."""
        key = self._with_row(row)
        self.item(key, TOO_LONG)
        until(lambda: self.entry(key))
        return key

    def parked(self) -> str:
        """The same without the wait for the bridge, by what it parks with; the item bears the mark of copy."""
        key = self._with_row("old")
        self.item(key, TOO_LONG, unseen=True)
        table, stream = self.context.target.quarantine_table, self.record(key, 0)["eventSourceARN"]
        change = Change(key=key, sequence=BASE, kind=Kind.UPSERT)
        entity = self.context.target.mapping["chefs"]
        Quarantine(self.dynamodb, table, "a test", stream).put(entity, change, "firstName: a test")
        return key

    def _with_row(self, name) -> str:
        key = self.key()
        if name is not None:
            self.sql(
                "INSERT INTO chefdb.cheftable (cheffirst, cheflast, streamback_key, streamback_sequence) "
                "VALUES (%s, 'Q', %s, 1)",
                name,
                key,
            )
        return key

    def entry(self, key):
        return next((e for e in EntryStore(self.context, self.chefs).entries() if e.key == key), None)

    def given_up(self, monkeypatch, *batch) -> str:
        """What the emulator writes for a batch that a mapping gives up; returns the object's name."""
        monkeypatch.setenv("GATEWAY_PORT", str(urlsplit(self.sandbox.outputs["endpointUrl"]).port))
        mapping = self.context.clients.functions.get_event_source_mapping(UUID=self.chefs.bridge_mapping_id)
        before = self.objects()
        failures.put(
            self.context.target.failure_bucket, json.loads(json.dumps(mapping, default=str)), list(batch),
            "RecordAgeExceeded", 7,
        )  # fmt: skip
        return (self.objects() - before).pop()

    def record(self, key, number, event="MODIFY", **image):
        data = {"Keys": {"ChefId": {"S": key}}, "SequenceNumber": str(BASE + number)}
        data["ApproximateCreationDateTime"] = 1_700_000_000.0
        if event != "REMOVE":
            data["NewImage"] = {"ChefId": {"S": key}, **image}
        stream = self.dynamodb.describe_table(TableName=self.chefs.modern_table)["Table"]["LatestStreamArn"]
        return {"eventName": event, "dynamodb": data, "eventSourceARN": stream}

    def objects(self) -> set[str]:
        found = self.context.clients.s3.list_objects_v2(Bucket=self.context.target.failure_bucket)
        return {each["Key"] for each in found.get("Contents", [])}

    def tidy(self):
        self.phase(Phase.LEGACY)
        self.control(fenced=0, legacy_stamp=0, generation=0)
        for key in self.made:
            self.dynamodb.delete_item(TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}})
            self.sql("DELETE FROM chefdb.cheftable WHERE streamback_key = %s", key)
        for entry in EntryStore(self.context, self.chefs).entries():
            EntryStore(self.context, self.chefs).remove([entry])
        self.sql("DELETE FROM chefdb.streamback_changes")
        for name in self.objects():
            self.context.clients.s3.delete_object(Bucket=self.context.target.failure_bucket, Key=name)


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)


def test_a_poison_record_is_listed_with_all_that_is_known_of_it(world, run):
    key = world.poisoned()
    code, told = run("list")
    (entry,) = told["entries"]
    assert code == 0
    assert (entry["key"], entry["kind"], entry["table"], entry["objects"]) == (key, "upsert", True, [])
    assert "firstName" in entry["reason"]
    assert int(entry["sequence"]) > 0
    assert entry["stream"].startswith("arn:aws:dynamodb")
    assert entry["at"].endswith("Z")


def test_show_puts_both_sides_side_by_side_and_tells_what_replay_would_do(world, run):
    key = world.parked()
    world.phase(Phase.MODERN)
    _, told = run("show", key)
    (entry,) = told["entries"]
    assert entry["action"] == "write_row"
    assert entry["fields"][0] == {"field": "firstName", "legacy": "old", "modern": TOO_LONG, "same": False}
    code, told = run("show", "no-such-key")
    assert (code, told["error"]["exit"]) == (4, 4)


def test_in_modern_what_fails_again_stays_with_its_new_reason(world, run, context):
    key = world.parked()
    world.phase(Phase.MODERN)
    context.clients.dynamodb.update_item(
        TableName=context.target.quarantine_table,
        Key={"entity": {"S": "chefs"}, "item_key": {"S": key}},
        UpdateExpression="SET reason = :old",
        ExpressionAttributeValues={":old": {"S": "an older reason"}},
    )
    code, told = run("replay", key, "--execute")
    assert (code, told["resolved"], told["stay"]) == (1, 0, 1)
    assert "firstName" in world.entry(key).reason
    assert world.row(key) == "old"


def test_in_modern_the_row_becomes_what_the_item_is(world, run):
    key = world.parked()
    world.item(key, "mended", unseen=True)
    world.phase(Phase.MODERN)
    code, plan = run("replay", key)
    assert (code, plan["executed"], plan["entries"][0]["action"]) == (0, False, "write_row")
    assert world.row(key) == "old"
    code, told = run("replay", key, "--execute")
    assert (code, told["resolved"], world.row(key), world.entry(key)) == (0, 1, "mended", None)
    world.item(key, "later")
    until(lambda: world.row(key) == "later")
    assert run("replay", "--all", "--execute") == (
        0,
        {"executed": True, "resolved": 0, "stay": 0, "entries": []},
    )


def test_in_modern_replay_passes_the_fence(world, run):
    key = world.poisoned(row=None)
    world.control(fenced=1, legacy_stamp=0, generation=1)
    world.phase(Phase.MODERN)
    world.item(key, "mended", unseen=True)
    assert run("replay", "--all", "--execute")[0] == 0
    assert world.row(key) == "mended"


def test_in_modern_an_item_that_is_gone_takes_its_row_along(world, run, chefs):
    key = world.parked()
    world.phase(Phase.MODERN)
    world.dynamodb.delete_item(TableName=chefs.modern_table, Key={"ChefId": {"S": key}})
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == (None, None)


def test_in_legacy_with_capture_the_key_goes_into_copy_s_queue(world, run):
    key = world.parked()
    world.control(legacy_stamp=1, generation=1)
    assert run("replay", key)[1]["entries"][0]["action"] == "queue"
    assert run("replay", key, "--execute")[0] == 0
    queue = world.sql("SELECT entity, lane, item_key FROM chefdb.streamback_changes")
    assert list(queue) == [("chefs", names.lane_of(key), key.encode())]
    assert (world.entry(key), world.name(key)) == (None, TOO_LONG)


def test_in_legacy_without_capture_the_item_is_written_from_the_row(world, run):
    key = world.parked()
    assert run("replay", key, "--execute")[0] == 0
    assert (world.name(key), world.row(key), world.entry(key)) == ("old", "old", None)
    assert world.read(key)[names.ORIGIN_ATTRIBUTE] == {"S": names.ORIGIN_LEGACY}


@pytest.mark.parametrize("period", [0, 1])
def test_in_legacy_a_record_that_legacy_never_had_is_still_taken_there(world, run, period):
    key = world.poisoned(row=None)
    world.control(legacy_stamp=period, generation=period)
    code, told = run("replay", key, "--execute")
    assert (code, told["stay"], world.name(key)) == (1, 1, TOO_LONG)
    world.item(key, "mended")
    until(lambda: world.row(key) == "mended")
    world.sql("DELETE FROM chefdb.cheftable WHERE streamback_key = %s", key)
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == ("mended", None)


def test_in_legacy_what_legacy_deleted_in_its_present_period_goes_from_dynamodb(world, run):
    key = world.poisoned(row=None)
    world.control(legacy_stamp=2, generation=2)
    world.sql(
        "INSERT INTO chefdb.streamback_deletes (entity, item_key, sequence, deleted_at, legacy_stamp) "
        "VALUES ('chefs', %s, 0, UTC_TIMESTAMP(6), 2)",
        key,
    )
    assert run("replay", key)[1]["entries"][0]["action"] == "queue_delete"
    assert run("replay", key, "--execute")[0] == 0
    assert [row[0] for row in world.sql("SELECT item_key FROM chefdb.streamback_changes")] == [key.encode()]


def test_in_legacy_without_capture_a_copied_item_without_a_row_is_deleted_unseen(world, run):
    key = world.poisoned(row=None)
    world.item(key, "copied", unseen=True)
    assert run("replay", key, "--execute")[0] == 0
    assert (world.read(key), world.entry(key)) == ({}, None)


@pytest.mark.parametrize("phase", [Phase.SWITCHING, Phase.RETURNING, Phase.COMPLETE])
def test_while_nobody_knows_the_source_of_truth_replay_is_refused(world, run, phase):
    key = world.parked()
    world.phase(phase)
    for arguments in (["replay", key], ["replay", key, "--execute"]):
        code, told = run(*arguments)
        assert code == 4
        assert phase.value in told["error"]["message"]
    assert run("show", key)[1]["entries"][0]["refused"]
    assert world.entry(key)


def test_another_operator_keeps_replay_and_drop_out(world, run, context):
    key = world.parked()
    with held(context.journal, "chefs", "somebody", "copy start"):
        assert run("replay", key, "--execute")[0] == run("drop", key, "--execute")[0] == 5
    assert world.entry(key)


@pytest.mark.parametrize("verb", ["show", "replay", "drop"])
def test_keys_or_all_must_be_said(run, verb):
    assert run(verb)[0] == run(verb, "a-key", "--all")[0] == 2


@pytest.mark.parametrize("row", ["old", None])
@pytest.mark.parametrize("verb", ["drop", "replay"])
def test_what_was_dropped_or_replayed_in_legacy_is_waited_for_by_no_way_back(world, run, row, verb):
    key = world.poisoned(row=row)
    seen = {key: Seen(sequence=world.entry(key).sequence, legacy=False, removed=False)}
    if verb == "replay" and row is None:  # else it would be taken to Aurora still
        world.dynamodb.delete_item(TableName=world.chefs.modern_table, Key={"ChefId": {"S": key}})
    assert run(verb, key, "--execute")[0] == 0
    assert (world.entry(key), world.row(key)) == (None, row)
    assert drain.unapplied(world.context, world.chefs, seen) == {}


def test_drop_shows_its_plan_and_then_forgets_and_tells_the_history(world, run, context):
    key = world.parked()
    code, plan = run("drop", key)
    assert (code, plan["executed"], plan["entries"][0]["key"]) == (0, False, key)
    assert world.entry(key)
    assert run("drop", key, "--execute")[1]["resolved"] == 1
    assert (world.entry(key), world.row(key), world.name(key)) == (None, "old", TOO_LONG)
    done, begun = context.journal.events("chefs", 2)
    assert (done.command, done.result, begun.result) == ("quarantine drop", "1 dropped, 0 stay", "dropping 1")
    assert key in begun.details["keys"][0]


def test_a_newer_failure_is_not_forgotten_with_the_one_that_was_read(world, context, chefs):
    key = world.poisoned()
    read = world.entry(key)
    world.item(key, f"{TOO_LONG}y")
    until(lambda: world.entry(key).sequence > read.sequence)
    store = EntryStore(context, chefs)
    assert store.remove([read]) == {key}
    store.keep(read, "an old reason", 0)
    assert "firstName" in world.entry(key).reason


def test_a_batch_given_up_is_an_entry_a_key_until_all_of_them_are_settled(world, run, monkeypatch, context, chefs):
    one, two, three = keys = [world.key() for _ in range(3)]
    for key in keys:
        world.item(key, f"now {key}", unseen=True)
    records = [world.record(key, number) for number, key in enumerate((one, one, two, three))]
    name = world.given_up(monkeypatch, *records)
    assert name.startswith(f"aws/lambda/{chefs.bridge_mapping_id}/shardId-")
    world.phase(Phase.MODERN)
    listed = {entry["key"]: entry for entry in run("list")[1]["entries"]}
    assert set(listed) == set(keys)
    assert listed[one]["sequence"] == str(BASE + 1)
    assert "RecordAgeExceeded after 7 tries" in listed[one]["reason"]
    assert (listed[one]["table"], listed[one]["objects"]) == (False, [name])

    assert run("replay", two, "--execute")[0] == 0
    assert (world.row(two), world.row(one)) == (f"now {two}", None)
    assert {entry["key"] for entry in run("list")[1]["entries"]} == {one, three}
    assert name in world.objects()
    assert run("replay", "--all", "--execute")[1]["resolved"] == 2
    assert [world.row(key) for key in keys] == [f"now {key}" for key in keys]
    assert name not in world.objects()
    found = {check.name: check.value for check in bridge_checks(context, chefs)}
    assert found["dead-lettered"] == found["quarantine"] == "empty"


def test_what_fails_again_of_a_batch_goes_on_in_the_table(world, run, monkeypatch):
    good, bad = world.key(), world.key()
    world.item(good, "good", unseen=True)
    world.item(bad, TOO_LONG, unseen=True)
    name = world.given_up(monkeypatch, world.record(good, 1), world.record(bad, 2))
    world.phase(Phase.MODERN)
    assert run("replay", "--all", "--execute")[0] == 1
    assert (world.row(good), name in world.objects()) == ("good", False)
    entry = world.entry(bad)
    assert (entry.sequence, entry.noted is not None, entry.objects) == (BASE + 2, True, ())
    assert "firstName" in entry.reason


def test_what_a_mapping_left_that_is_no_more_is_still_seen(world, run, monkeypatch, context, chefs):
    key = world.key()
    name = world.given_up(monkeypatch, world.record(key, 1))
    place = {"Bucket": context.target.failure_bucket}
    body = context.clients.s3.get_object(**place, Key=name)["Body"].read()
    former = name.replace(chefs.bridge_mapping_id, str(uuid.uuid4()))
    context.clients.s3.put_object(**place, Key=former, Body=body)
    context.clients.s3.delete_object(**place, Key=name)
    assert [entry["objects"] for entry in run("list")[1]["entries"]] == [[former]]
    others = EntryStore(context, context.target.entity("specimens")).entries()
    assert [entry for entry in others if former in entry.objects] == []
    found = {check.name: check.value for check in bridge_checks(context, chefs)}
    assert found["dead-lettered"] == "1 waiting"


def test_one_object_tells_whose_all_of_a_former_mapping_are(world, monkeypatch, context, chefs):
    name = world.given_up(monkeypatch, world.record(world.key(), 1))
    client, bucket = context.clients.s3, context.target.failure_bucket
    body = client.get_object(Bucket=bucket, Key=name)["Body"].read()
    client.delete_object(Bucket=bucket, Key=name)
    former = prefix(str(uuid.uuid4()))
    for which in ("b", "c", "d"):
        client.put_object(Bucket=bucket, Key=f"{former}{which}", Body=body)
    client.put_object(Bucket=bucket, Key=f"{former}a", Body=b"unreadable")
    specimens = context.target.entity("specimens")
    client.put_object(Bucket=bucket, Key=f"{prefix(specimens.bridge_mapping_id)}theirs", Body=b"{}")
    read = []
    client.meta.events.register("before-call.s3.GetObject", lambda **_: read.append(1))
    one, other = (FailureBucket(client, context.target, each) for each in (chefs, specimens))
    for _ in range(2):
        assert sorted(one.names()) == [f"{former}{which}" for which in "abcd"]
        assert other.names() == [f"{prefix(specimens.bridge_mapping_id)}theirs"]
    assert len(read) == 2 * len("ab")


def test_a_key_that_is_in_both_places_is_one_entry(world, run, monkeypatch):
    key = world.parked()
    name = world.given_up(monkeypatch, world.record(key, 1))
    (entry,) = run("list")[1]["entries"]
    assert (entry["table"], entry["objects"]) == (True, [name])
    assert run("drop", "--all", "--execute")[1]["resolved"] == 1
    assert (world.entry(key), name in world.objects()) == (None, False)


def test_probes_and_objects_without_records_are_told_and_can_be_removed(world, run, monkeypatch, context):
    image = {names.PROBE_ATTRIBUTE: {"S": "token"}}
    probed = world.given_up(monkeypatch, world.record(names.PROBE_KEY, 1, **image))
    odd = {"Bucket": context.target.failure_bucket, "Key": f"{prefix(world.chefs.bridge_mapping_id)}odd"}
    context.clients.s3.put_object(**odd, Body=b"{}")
    kinds = {entry["kind"]: entry["key"] for entry in run("list")[1]["entries"]}
    assert set(kinds) == {"heartbeat", "unreadable"}
    code, told = run("replay", "--all", "--execute")
    assert (code, told["resolved"], told["stay"]) == (1, 1, 1)
    assert world.objects() & {probed, odd["Key"]} == {odd["Key"]}
    assert run("drop", odd["Key"], "--execute")[0] == 0
    assert odd["Key"] not in world.objects()


def test_a_replay_that_is_killed_before_it_forgets_does_the_same_again(world, run, monkeypatch, context):
    key = world.parked()
    world.item(key, "mended", unseen=True)
    world.phase(Phase.MODERN)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EntryStore, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            EntityQuarantine(context, world.chefs).replay([key])
    assert (world.row(key), world.entry(key) is not None) == ("mended", True)
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == ("mended", None)


def test_a_masked_field_shows_no_value_and_no_reason_quotes_one(context, chefs):
    described = context.target.mapping["chefs"]
    fields = {name: replace(field, masked=True) for name, field in described.fields.items()}
    entity = replace(described, fields=fields)
    item = {"ChefId": {"S": "1"}, "firstName": {"S": "secret"}, "lastName": {"S": "x"}}
    (first, _) = pairs(entity, item, None)
    assert (first.legacy, first.modern, first.same) == ("(none)", MASKED, False)
    reason = "Incorrect string value: 'secret' for column 'cheffirst' at row 1"
    assert without_masked(entity, reason) == reason.replace("secret", "***")
    assert without_masked(described, reason) == reason
    for quoted in ("secret", "it's secret", "secret " * 20, 12):
        told = without_masked(entity, f"firstName: expected a string, got {shown(quoted)}, in the item 'k'")
        assert told.startswith("firstName: expected a string, got '***', in the item")


@pytest.mark.parametrize("arguments", [["replay"], ["replay", "--execute"], ["drop"], ["drop", "--execute"]])
def test_a_key_that_is_not_there_is_told_and_nothing_is_done(world, run, arguments):
    key = world.parked()
    code, told = run(arguments[0], key, "typo", *arguments[1:])
    assert (code, told["error"]["message"]) == (4, "not in quarantine: typo")
    assert world.entry(key)


def test_the_history_shows_the_keys_that_were_dropped(world, run, sandbox):
    key = world.parked()
    assert run("drop", key, "--execute")[0] == 0
    command = ["history", "--entity", "chefs", "--limit", "5", "--outputs", str(sandbox.location.outputs)]
    assert key in CliRunner().invoke(app, command, env={"COLUMNS": "250"}).stdout


def park_what_is_gone(world):
    """An entry of the other entity, whose key is on neither side."""
    table = world.context.target.quarantine_table
    Quarantine(world.dynamodb, table, "a test", "").park("specimens", "upsert", "gone-1", "a test")


@pytest.fixture
def everywhere(sandbox):
    """Runs `runbook quarantine …` for all entities; gives its exit code and what it prints."""

    def of(*arguments: str):
        command = ["quarantine", *arguments, "--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        return result.exit_code, result.stdout + result.stderr

    return of


def test_of_all_entities_one_without_entries_or_that_is_complete_is_left_out(world, everywhere):
    key = world.parked()
    code, told = everywhere("replay", "--all")
    assert (code, key in told) == (0, True)
    assert "specimens has nothing in quarantine" in told
    world.phase(Phase.COMPLETE)
    park_what_is_gone(world)
    code, told = everywhere("replay", "--all", "--execute")
    assert (code, "gone-1" in told) == (0, True), told
    assert "`runbook quarantine drop --all --entity chefs --execute`" in told
    assert everywhere("show", "--all")[0] == 0
    assert world.entry(key)


def test_what_was_done_for_one_entity_is_told_when_another_is_refused(world, everywhere):
    world.parked()
    world.phase(Phase.SWITCHING)
    park_what_is_gone(world)
    code, told = everywhere("replay", "--all", "--execute", "--json")
    document = json.loads(told)
    assert (code, document["resolved"], document["entries"][0]["key"]) == (4, 1, "gone-1")
    assert [(each["entity"], each["exit"]) for each in document["problems"]] == [("chefs", 4)]


def test_people_see_tables(world, sandbox):
    key = world.parked()
    for arguments in (["list"], ["show", key], ["replay", key], ["drop", "--all"]):
        command = ["quarantine", *arguments, "--entity", "chefs", "--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        assert key in result.stdout
    assert "--execute" in result.stdout


def test_the_remedies_of_status_name_the_commands(world, context, chefs):
    world.parked()
    (check,) = (c for c in bridge_checks(context, chefs) if c.name == "quarantine")
    assert "runbook quarantine list --entity chefs" in check.remedy
