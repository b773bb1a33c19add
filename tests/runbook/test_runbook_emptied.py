"""Phase legacy, and the DynamoDB table is emptied: with copy on, with copy removed, before copy ever started."""

from __future__ import annotations

import pytest
from afresh import delete_items
from writes_world import bring_back, first_name, switch, until, write

from functions.domain import mapping
from runbook import init, status
from runbook.aws.http import path
from runbook.checks import heartbeat
from runbook.copy import control
from runbook.copy.control import CopyLimits
from runbook.quarantine.actions import EntityQuarantine
from runbook.quarantine.entry import EntryKind
from runbook.smoke.own import Smoke, sample
from runbook.verify import run

ROWS = "SELECT id, cheffirst, cheflast, streamback_key FROM chefdb.cheftable ORDER BY id"
COUNT = 3
NEVER_COPIED = "specimens"


@pytest.fixture
def rows(database):
    """What legacy's table has now."""

    def read():
        with database.cursor() as cursor:
            cursor.execute(ROWS)
            return cursor.fetchall()

    return read


@pytest.fixture
def made(live, chefs):
    """Some records that legacy made and copy brought to DynamoDB; their keys."""
    keys = [write(live, f"legacy {n}", system="aurora") for n in range(COUNT)]
    until(lambda: all(first_name(live, "dynamo", key) for key in keys))
    return keys


def emptied(context, entity):
    """Delete every item, and wait until the bridge has received each delete."""
    delete_items(context, entity)
    assert heartbeat.send(context, entity).arrived


def test_with_copy_on_each_delete_is_a_conflict_and_a_replay_brings_the_item_back(live, chefs, made, rows):
    before, items = rows(), EntityQuarantine(live, chefs)
    emptied(live, chefs)
    until(lambda: {entry.key for entry in items.entries()} >= set(made))
    assert rows() == before
    assert all(entry.reason.startswith("conflict: legacy") for entry in items.entries())
    assert all(one.resolved for one in items.replay())
    until(lambda: all(first_name(live, "dynamo", key) for key in made))
    assert (rows(), items.entries()) == (before, [])
    assert run.run(live, chefs, run.VerifyOptions()).clean


@pytest.mark.long
def test_with_copy_removed_nothing_is_applied_or_quarantined_until_copy_starts_again(live, chefs, made, rows):
    before, items = rows(), EntityQuarantine(live, chefs)
    assert status.run(live, chefs, send_heartbeat=False, exact=False).connected
    control.release(live, chefs)
    try:
        emptied(live, chefs)
        assert (rows(), items.entries()) == (before, [])
        assert status.run(live, chefs, send_heartbeat=False, exact=False).connected is False
        failed = [step for step in Smoke(live, chefs).run() if step.ok is False]
        assert ["`runbook copy start --entity chefs`" in step.detail for step in failed] == [True]
    finally:
        control.start(live, chefs, CopyLimits(), again=False)
    assert status.run(live, chefs, send_heartbeat=False, exact=False).connected
    until(lambda: all(first_name(live, "dynamo", key) for key in made))
    until(lambda: run.run(live, chefs, run.VerifyOptions(grace=1)).clean)
    assert rows() == before
    switch(live, "cutover").execute()
    bring_back(live)  # it waits for no record that the disconnected bridge has passed over


def test_init_connects_a_bridge_that_was_disconnected(live, chefs):
    control.release(live, chefs)
    init.run(live)
    assert status.run(live, chefs, send_heartbeat=False, exact=False).connected
    control.start(live, chefs, CopyLimits(), again=False)


def test_before_copy_ever_started_no_row_of_legacy_is_touched(prepared):
    context, entity = prepared, prepared.target.entity(NEVER_COPIED)
    described, items = context.target.mapping[NEVER_COPIED], EntityQuarantine(context, entity)
    assert context.aurora.control(described).last_epoch == 0
    body = sample(described, ("of", "legacy"))
    key = context.api.request("POST", path("aurora", NEVER_COPIED), body).body["id"]
    row = context.api.get(path("aurora", NEVER_COPIED, key)).body
    record = mapping.Record(key, mapping.fields_from_body(described, body))
    item = mapping.item_from_record(described, record)  # as a script of the team's own copies it
    context.clients.dynamodb.put_item(TableName=entity.modern_table, Item=item)
    emptied(context, entity)
    until(lambda: [entry.kind for entry in items.entries()] == [EntryKind.DELETE])
    assert context.api.get(path("aurora", NEVER_COPIED, key)).body == row
    assert [one.resolved for one in items.replay()] == [True]
    assert context.api.get(path("dynamo", NEVER_COPIED, key)).body == row
    items.drop()
    emptied(context, entity)
    items.drop()
    assert context.api.request("DELETE", path("aurora", NEVER_COPIED, key)).status == 204
