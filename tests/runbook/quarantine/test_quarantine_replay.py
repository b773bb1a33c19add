"""`runbook quarantine replay` brings both sides together by the phase, on the shared sandbox."""

from __future__ import annotations

from dataclasses import replace

import pytest
from quarantine_world import TOO_LONG, until

from functions.domain import names, origin
from functions.domain.phase import Phase
from runbook.aws.stream import Seen
from runbook.cutover import drain
from runbook.errors import LockLostError
from runbook.journal.lock import held
from runbook.quarantine.actions import EntityQuarantine
from runbook.quarantine.resolve import Resolver
from runbook.quarantine.store import EntryStore


def test_in_modern_what_fails_again_stays_with_its_new_reason(world, run, context):
    key = world.quarantined()
    world.phase(Phase.MODERN)
    context.clients.dynamodb.update_item(
        TableName=context.target.quarantine_table,
        Key={"entity": {"S": "chefs"}, "item_key": {"S": key}},
        UpdateExpression="SET reason = :old",
        ExpressionAttributeValues={":old": {"S": "an older reason"}},
    )
    code, said = run("replay", key, "--execute")
    assert (code, said["resolved"], said["stay"]) == (1, 0, 1)
    assert "firstName" in world.entry(key).reason
    assert world.row(key) == "old"


def test_in_modern_the_row_becomes_what_the_item_is(world, run):
    key = world.quarantined()
    world.item(key, "corrected", unseen=True)
    world.phase(Phase.MODERN)
    code, plan = run("replay", key)
    assert (code, plan["executed"], plan["entries"][0]["action"]) == (0, False, "write_row")
    assert world.row(key) == "old"
    code, said = run("replay", key, "--execute")
    assert (code, said["resolved"], world.row(key), world.entry(key)) == (0, 1, "corrected", None)
    world.item(key, "later")
    until(lambda: world.row(key) == "later")
    assert run("replay", "--all", "--execute") == (0, {"executed": True, "resolved": 0, "stay": 0, "entries": []})


def test_in_modern_replay_passes_the_fence(world, run):
    key = world.poisoned(row=None)
    world.control(fenced=1, legacy_stamp=0, generation=1)
    world.phase(Phase.MODERN)
    world.item(key, "corrected", unseen=True)
    assert run("replay", "--all", "--execute")[0] == 0
    assert world.row(key) == "corrected"


def test_in_modern_the_row_of_a_deleted_item_is_deleted(world, run, chefs):
    key = world.quarantined()
    world.phase(Phase.MODERN)
    world.dynamodb.delete_item(TableName=chefs.modern_table, Key={"ChefId": {"S": key}})
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == (None, None)


def test_in_legacy_with_capture_the_key_goes_into_the_change_queue(world, run):
    key = world.quarantined()
    world.control(legacy_stamp=1, generation=1)
    assert run("replay", key)[1]["entries"][0]["action"] == "queue"
    assert run("replay", key, "--execute")[0] == 0
    queue = world.sql("SELECT entity, lane, item_key FROM chefdb.streamback_changes")
    assert list(queue) == [("chefs", names.lane_of(key), key.encode())]
    assert (world.entry(key), world.name(key)) == (None, TOO_LONG)


def test_in_legacy_without_capture_the_item_is_written_from_the_row(world, run):
    key = world.quarantined()
    assert run("replay", key, "--execute")[0] == 0
    assert (world.name(key), world.row(key), world.entry(key)) == ("old", "old", None)
    assert origin.is_marked(key, world.read(key))


@pytest.mark.parametrize("epoch", [0, 1])
def test_in_legacy_a_record_that_legacy_never_had_is_written_to_aurora(world, run, epoch):
    key = world.poisoned(row=None)
    world.control(legacy_stamp=epoch, generation=epoch)
    code, said = run("replay", key, "--execute")
    assert (code, said["stay"], world.name(key)) == (1, 1, TOO_LONG)
    world.item(key, "corrected")
    until(lambda: world.row(key) == "corrected")
    world.sql("DELETE FROM chefdb.cheftable WHERE streamback_key = %s", key)
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == ("corrected", None)


def test_in_legacy_what_legacy_deleted_in_this_epoch_is_deleted_from_dynamodb(world, run):
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
def test_replay_is_refused_while_the_source_of_truth_is_not_decided(world, run, phase):
    key = world.quarantined()
    world.phase(phase)
    for arguments in (["replay", key], ["replay", key, "--execute"]):
        code, said = run(*arguments)
        assert code == 4
        assert phase.value in said["error"]["message"]
    assert run("show", key)[1]["entries"][0]["refused"]
    assert world.entry(key)


@pytest.mark.parametrize("row", ["old", None])
@pytest.mark.parametrize("verb", ["drop", "replay"])
def test_no_rollback_waits_for_what_was_dropped_or_replayed_in_legacy(world, run, row, verb):
    key = world.poisoned(row=row)
    seen = {key: Seen(sequence=world.entry(key).sequence, legacy=False, removed=False)}
    if verb == "replay" and row is None:  # else it would be taken to Aurora still
        world.dynamodb.delete_item(TableName=world.chefs.modern_table, Key={"ChefId": {"S": key}})
    assert run(verb, key, "--execute")[0] == 0
    assert (world.entry(key), world.row(key)) == (None, row)
    assert drain.unapplied(world.context, world.chefs, seen) == {}


def test_a_newer_failure_is_not_removed_with_the_one_that_was_read(world, context, chefs):
    key = world.poisoned()
    read = world.entry(key)
    world.item(key, f"{TOO_LONG}y")
    until(lambda: world.entry(key).sequence > read.sequence)
    store = EntryStore(context, chefs)
    assert store.remove([read]) == {key}
    store.keep(read, "an old reason", 0)
    assert "firstName" in world.entry(key).reason


def test_a_replay_that_is_killed_before_it_removes_the_entry_can_be_repeated(world, run, monkeypatch, context):
    key = world.quarantined()
    world.item(key, "corrected", unseen=True)
    world.phase(Phase.MODERN)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EntryStore, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            EntityQuarantine(context, world.chefs).replay([key])
    assert (world.row(key), world.entry(key) is not None) == ("corrected", True)
    assert run("replay", key, "--execute")[0] == 0
    assert (world.row(key), world.entry(key)) == ("corrected", None)


def test_a_replay_that_slept_writes_neither_the_item_nor_the_queue_once_another_operator_has_the_lock(
    world, context, chefs
):
    """It decided in phase legacy; meanwhile another operator may have made modern the source of truth."""
    key = world.quarantined()
    store = EntryStore(context, chefs)
    with (  # noqa: PT012  # the block ends by it
        pytest.raises(LockLostError, match="overtaken"),
        held(context.journal, "chefs", "a test", "quarantine replay") as lease,
    ):
        without_capture = Resolver(context, chefs, store, Phase.LEGACY, lease)
        world.control(legacy_stamp=1, generation=1)
        with_capture = Resolver(context, chefs, store, Phase.LEGACY, lease)
        world.control(legacy_stamp=0, fenced=1)
        other = replace(lease.lock, id="another's", until=lease.lock.until + 60)
        assert context.journal.take(other, "chefs", lease.lock.id, 0)
        for resolver in (without_capture, with_capture):
            with pytest.raises(LockLostError):
                resolver.resolve(world.entry(key))
        context.journal.release(other, "chefs")
    assert world.name(key) == TOO_LONG
    assert not world.sql("SELECT item_key FROM chefdb.streamback_changes")
