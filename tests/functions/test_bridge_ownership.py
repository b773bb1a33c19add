"""Which rows the stream may change: while legacy is the source of truth, only those that modern made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bridge_world import Interruption, Watched
from legacy_world import BASE, record

from functions.bridge import ownership
from functions.bridge.apply import OWNED
from functions.bridge.ownership import OutdatedTablesError
from functions.domain import names
from functions.install import control_row, tables, tokens, triggers

SECOND = timedelta(seconds=1)
FIELDS = {"firstName": "Ana", "lastName": "Roš"}


@pytest.fixture(scope="module", params=["integer", "string"])
def table(request, make_legacy, bridge_user):
    """An entity before copy's first start, as the bridge sees it; legacy's own view is `table.owner`."""
    natural = {"key_type": "string", "key": "sku"} if request.param == "string" else {}
    made = make_legacy("chefs", **natural)
    bridge = bridge_user(made)
    bridge.owner = made
    return bridge


@pytest.fixture
def legacy(table):
    """It has a row of legacy's, `legacy.own`, and one that modern made, `made`."""
    table.owner.clear()
    table.quarantined.changes.clear()
    set_control(
        table,
        fenced=0,
        legacy_stamp=0,
        generation=0,
        legacy_since="NULL",
        modern_since="NULL",
        bridged_since="'1970-01-01'",
    )
    table.own = table.owner.store.create("own" if table.entity.legacy.key_type == "string" else None, FIELDS).key
    table.apply(record("made", BASE, firstName="modern"))
    return table


def set_control(legacy, **values):
    sets = ", ".join(f"{name} = {value}" for name, value in values.items())
    legacy.owner.database.execute(f"UPDATE {names.CONTROL_TABLE} SET {sets}")


def at(moment, *arguments, **attributes):
    made = record(*arguments, **attributes)
    made["dynamodb"]["ApproximateCreationDateTime"] = int(moment.timestamp())
    return made


def shown(legacy):
    return {key: fields["firstName"] for key, fields in legacy.everything().items()}


@pytest.mark.parametrize("event", ["MODIFY", "REMOVE"])
@pytest.mark.parametrize("epoch", [0, 1])
def test_in_phase_legacy_no_record_changes_a_row_that_legacy_made(legacy, event, epoch):
    set_control(legacy, legacy_stamp=epoch, generation=epoch)
    outcome = legacy.apply(record(legacy.own, BASE + 1, event, firstName="false"))
    assert shown(legacy)[legacy.own] == "Ana"
    assert (outcome.quarantined, legacy.quarantined.changes) == (1, {legacy.own: (OWNED, 0)})
    legacy.quarantined.changes.clear()
    assert legacy.apply(record(legacy.own, BASE + 1, event, firstName="false")).quarantined == 0  # delivered again
    assert not legacy.quarantined.changes


def test_in_phase_legacy_rows_that_modern_made_follow_their_items(legacy):
    legacy.apply(record("made", BASE + 1, "MODIFY", firstName="again"), record("new", BASE + 2, firstName="new"))
    assert shown(legacy) == {legacy.own: "Ana", "made": "again", "new": "new"}
    legacy.apply(record("made", BASE + 3, "REMOVE"))
    assert shown(legacy) == {legacy.own: "Ana", "new": "new"}
    assert not legacy.quarantined.changes


def test_in_phase_modern_every_row_follows_its_item_and_a_delete_by_ttl_is_a_delete(legacy):
    set_control(legacy, fenced=1)
    legacy.apply(record(legacy.own, BASE + 1, "MODIFY", firstName="modern"))
    assert shown(legacy) == {legacy.own: "modern", "made": "modern"}
    expired = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    legacy.apply({**record(legacy.own, BASE + 2, "REMOVE"), "userIdentity": expired})
    assert shown(legacy) == {"made": "modern"}


def test_a_record_from_before_a_forced_rollback_applies_and_a_later_one_is_a_conflict(legacy):
    since = datetime.now(UTC).replace(microsecond=0)
    set_control(legacy, legacy_stamp=2, generation=2, legacy_since=f"'{since:%Y-%m-%d %H:%M:%S}.5'")
    legacy.apply(at(since, legacy.own, BASE + 1, "MODIFY", firstName="late"))
    assert (shown(legacy)[legacy.own], legacy.quarantined.changes) == ("late", {})
    legacy.apply(at(since + SECOND, legacy.own, BASE + 2, "MODIFY", firstName="later"))
    assert (shown(legacy)[legacy.own], list(legacy.quarantined.changes)) == ("late", [legacy.own])


@pytest.mark.parametrize(("drained", "left"), [(True, "Ana"), (False, None)])
def test_a_delete_in_the_second_of_a_rollback_is_late_only_if_the_stream_was_not_drained(legacy, drained, left):
    database, entity = legacy.owner.database, legacy.entity
    set_control(legacy, fenced=1, generation=1)
    token = tokens.read(database, entity) + 1
    control_row.change(
        database, entity, control_row.ControlChange(fenced=False, epoch=2, token=token, drained=drained), 3
    )
    since = ownership.read(legacy.database, entity).legacy_since + drained * SECOND
    legacy.apply(at(since.replace(microsecond=0), legacy.own, BASE + 1, "REMOVE"))
    assert (shown(legacy).get(legacy.own), legacy.own in legacy.quarantined.changes) == (left, drained)


def test_a_disconnected_bridge_applies_and_quarantines_nothing_and_counts(legacy):
    token = tokens.read(legacy.owner.database, legacy.entity)
    control_row.disconnect(legacy.owner.server, legacy.entity, token)
    now = datetime.now(UTC)
    batch = [
        at(now, "made", BASE + 1, "REMOVE"),
        at(now, legacy.own, BASE + 2, "REMOVE"),
        at(now, "new", BASE + 3, firstName="new"),
        at(now, "long", BASE + 4, firstName="x" * 300),
    ]
    assert legacy.apply(*batch).disconnected == 4
    control_row.connect(legacy.owner.server, legacy.entity)
    assert legacy.apply(*batch).disconnected == 4  # they are from before
    assert (shown(legacy), legacy.quarantined.changes) == ({legacy.own: "Ana", "made": "modern"}, {})
    legacy.apply(at(datetime.now(UTC), "made", BASE + 5, "REMOVE"))
    assert shown(legacy) == {legacy.own: "Ana"}


def test_the_fence_notes_since_when_legacy_is_the_source_of_truth_once_an_epoch(legacy):
    def changed(**values):
        token = tokens.read(legacy.owner.database, legacy.entity) + 1
        to = control_row.ControlChange(token=token, **values)
        control_row.change(legacy.owner.database, legacy.entity, to, 3)
        return ownership.read(legacy.database, legacy.entity), token

    set_control(legacy, legacy_stamp=1, generation=1)
    raised, token = changed(fenced=True, epoch=0)
    assert (raised.modern, raised.legacy_since, raised.copy_idle) == (True, None, None)
    control_row.note_modern(legacy.owner.database, legacy.entity, token - 1)
    assert ownership.read(legacy.database, legacy.entity).copy_idle is None
    control_row.note_modern(legacy.owner.database, legacy.entity, token)
    noted = ownership.read(legacy.database, legacy.entity)
    assert noted.copy_idle is not None
    lowered, _ = changed(fenced=False, epoch=2)
    assert (lowered.modern, lowered.modern_since) == (False, noted.modern_since)
    assert lowered.copy_idle is not None
    assert lowered.copy_idle.until == lowered.legacy_since is not None
    up, _ = changed(fenced=True, epoch=0)
    assert (up.legacy_since, up.modern_since) == (lowered.legacy_since, None)
    undone, _ = changed(fenced=False, epoch=2)
    assert (undone.legacy_since, undone.copy_idle) == (lowered.legacy_since, None)


@pytest.mark.parametrize("step", range(1, 9))
@pytest.mark.parametrize("event", ["MODIFY", "REMOVE"])
def test_a_source_of_truth_that_changes_in_the_middle_of_a_batch_loses_no_change(legacy, event, step):
    database = Watched(legacy.database, Interruption(step, lambda: set_control(legacy, fenced=1)))
    legacy.deliver(record(legacy.own, BASE + 1, event, firstName="modern"), database=database)
    applied = {} if event == "REMOVE" else {legacy.own: "modern"}
    untouched = {legacy.own: "Ana"}
    expected = untouched if legacy.quarantined.changes else applied
    assert shown(legacy) == {**expected, "made": "modern"}


def test_a_control_table_of_an_older_version_is_named_and_init_adds_what_it_lacks(make_legacy):
    legacy = make_legacy("chefs")
    drops = ", ".join(f"DROP COLUMN {name}" for name in names.CONTROL_MOMENTS)
    legacy.server.execute(f"ALTER TABLE {control_row.table(legacy.entity)} {drops}")
    with pytest.raises(OutdatedTablesError, match="run `runbook init`"):
        legacy.apply(record("a", BASE, firstName="x"))
    with pytest.raises(OutdatedTablesError, match="run `runbook init`"):
        control_row.read(legacy.database, legacy.entity)
    for _ in range(2):
        tables.prepare(legacy.server, legacy.entity)
    legacy.apply(record("a", BASE, firstName="x"))
    assert shown(legacy) == {"a": "x"}


def test_a_row_of_modern_that_legacy_moves_to_another_key_is_legacys_and_its_old_key_is_free(make_legacy, bridge_user):
    made = make_legacy("chefs", key_type="string", key="sku")
    triggers.install(made.server, made.entity)
    bridge = bridge_user(made)
    bridge.apply(record("old", BASE, firstName="modern"))
    made.database.execute(f"UPDATE `{made.entity.legacy.table}` SET sku = 'moved' WHERE sku = 'old'")
    made.database.execute(f"DELETE FROM {names.DELETES_TABLE}")
    made.database.execute(f"UPDATE `{made.entity.legacy.table}` SET {names.EPOCH_COLUMN} = NULL")
    bridge.apply(record("moved", BASE + 1, "REMOVE"))
    assert list(bridge.quarantined.changes) == ["moved"]
    bridge.deliver(record("old", BASE + 2, firstName="again"))
    assert {key: fields["firstName"] for key, fields in bridge.everything().items()} == {
        "moved": "modern",
        "old": "again",
    }
