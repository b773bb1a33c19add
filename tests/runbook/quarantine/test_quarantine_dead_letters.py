"""Dead-lettered batches are entries of the quarantine until each of their keys is resolved."""

from __future__ import annotations

import uuid

from quarantine_world import BASE, TOO_LONG
from writes_world import bridge_checks

from functions.domain import names
from functions.domain.phase import Phase
from runbook.aws.failure_bucket import DeadLetterObjects, prefix
from runbook.quarantine.store import EntryStore


def test_a_dead_lettered_batch_has_one_entry_a_key_until_all_are_resolved(world, run, monkeypatch, context, chefs):
    one, two, three = keys = [world.key() for _ in range(3)]
    for key in keys:
        world.item(key, f"now {key}", unseen=True)
    records = [world.record(key, number) for number, key in enumerate((one, one, two, three))]
    name = world.dead_lettered(monkeypatch, *records)
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


def test_a_key_of_a_batch_that_fails_again_moves_to_the_table(world, run, monkeypatch):
    good, bad = world.key(), world.key()
    world.item(good, "good", unseen=True)
    world.item(bad, TOO_LONG, unseen=True)
    name = world.dead_lettered(monkeypatch, world.record(good, 1), world.record(bad, 2))
    world.phase(Phase.MODERN)
    assert run("replay", "--all", "--execute")[0] == 1
    assert (world.row(good), name in world.objects()) == ("good", False)
    entry = world.entry(bad)
    assert (entry.sequence, entry.noted is not None, entry.objects) == (BASE + 2, True, ())
    assert "firstName" in entry.reason


def test_an_object_of_a_mapping_that_no_longer_exists_is_listed(world, run, monkeypatch, context, chefs):
    key = world.key()
    name = world.dead_lettered(monkeypatch, world.record(key, 1))
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


def test_one_object_shows_whose_all_objects_of_a_former_mapping_are(world, monkeypatch, context, chefs):
    name = world.dead_lettered(monkeypatch, world.record(world.key(), 1))
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
    one, other = (DeadLetterObjects(client, context.target, each) for each in (chefs, specimens))
    for _ in range(2):
        assert sorted(one.names()) == [f"{former}{which}" for which in "abcd"]
        assert other.names() == [f"{prefix(specimens.bridge_mapping_id)}theirs"]
    assert len(read) == 2 * len("ab")


def test_a_key_that_is_in_both_places_is_one_entry(world, run, monkeypatch):
    key = world.quarantined()
    name = world.dead_lettered(monkeypatch, world.record(key, 1))
    (entry,) = run("list")[1]["entries"]
    assert (entry["table"], entry["objects"]) == (True, [name])
    assert run("drop", "--all", "--execute")[1]["resolved"] == 1
    assert (world.entry(key), name in world.objects()) == (None, False)


def test_heartbeats_and_objects_without_records_are_listed_and_can_be_removed(world, run, monkeypatch, context):
    image = {names.HEARTBEAT_ATTRIBUTE: {"S": "token"}}
    heartbeat = world.dead_lettered(monkeypatch, world.record(names.HEARTBEAT_KEY, 1, **image))
    odd = {"Bucket": context.target.failure_bucket, "Key": f"{prefix(world.chefs.bridge_mapping_id)}odd"}
    context.clients.s3.put_object(**odd, Body=b"{}")
    kinds = {entry["kind"]: entry["key"] for entry in run("list")[1]["entries"]}
    assert set(kinds) == {"heartbeat", "unreadable"}
    code, said = run("replay", "--all", "--execute")
    assert (code, said["resolved"], said["stay"]) == (1, 1, 1)
    assert world.objects() & {heartbeat, odd["Key"]} == {odd["Key"]}
    assert run("drop", odd["Key"], "--execute")[0] == 0
    assert odd["Key"] not in world.objects()
