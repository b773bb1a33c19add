"""A table's stream is disabled and enabled: the way through to a rollback that loses nothing that was acknowledged."""

from __future__ import annotations

import json

import pytest
from afresh import AT_ONCE
from killed import killed_at
from new_streams import ENTITIES, NAME, Changes, Client, Streams, refused
from sweep import EVERY
from writes_world import FORCED, LEGACY, MODERN, control, first_name, stands, switch, until, write

from functions.domain.phase import Phase
from runbook import init, status
from runbook.aws.failure_bucket import prefix
from runbook.checks.check import green
from runbook.cutover import new_stream
from runbook.cutover.steps import SwitchRun
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.lock import held
from runbook.quarantine.actions import EntityQuarantine
from runbook.repair import Repair
from runbook.stack import Context
from runbook.verify import run
from runbook.verify.full import FullComparison
from sandbox import lifecycle

OPTIONS = run.VerifyOptions(grace=2.0)
ROWS = "SELECT id, streamback_key, streamback_stamp FROM chefdb.cheftable ORDER BY id"


@pytest.fixture(scope="module")
def system():
    """The sandbox, with copy running."""
    try:
        yield Streams(lifecycle.up(NAME, AT_ONCE, entities=ENTITIES, current=False))
    finally:
        lifecycle.down(NAME)


@pytest.fixture
def streams(system):
    """The same, everything on legacy and equal; and again afterwards."""
    system.back()
    yield system
    system.back()


def remedies(streams):
    """What `status` shows red of the stream, with what it says to do."""
    found = status.run(streams.context, streams.entity, send_heartbeat=False, exact=False).bridge
    return {one.name: one.remedy for one in found if one.ok is False and one.name in {"adopted stream", "new stream"}}


def adopted(streams):
    """What `init` says of the stream of chefs."""
    found = {one.name: one for one in init.run(streams.context)}["stream of chefs"]
    return found.result, found.detail


@pytest.mark.long
def test_the_whole_way_from_a_replaced_stream_to_a_rollback_with_clients_all_the_time(streams):
    made = [Changes(streams, name) for name in ("before", "unapplied", "while off", "after", "adopted", "verified")]
    for one in made:
        one.prepare()
    streams.to_modern()
    expected = dict(made[0].make())
    assert remedies(streams) == {}
    with Client(streams.context) as client:
        until(lambda: streams.shown("aurora", expected) == expected)
        streams.stop_bridge()
        expected |= made[1].make()
        streams.disable()
        expected |= made[2].make()
        assert "pulumi up --refresh" in remedies(streams)["adopted stream"]
        refused(streams.context, "stream is off")
        streams.enable()
        expected |= made[3].make()
        assert "pulumi up --refresh" in remedies(streams)["adopted stream"]
        assert adopted(streams)[0] == "skipped"
        refused(streams.context, "stack's outputs")
        streams.redeploy()
        assert "`runbook init`" in remedies(streams)["adopted stream"]
        refused(streams.context, "in the journal")
        result, detail = adopted(streams)
        assert result == "done"
        assert "changes that the old stream still held" in detail
        expected |= made[4].make()
        assert "verify --repair --execute" in remedies(streams)["new stream"]
        refused(streams.context, "new stream")
        with pytest.raises(PreconditionError, match="new stream since"):
            run.run_since(streams.context, streams.entity, OPTIONS, None)
        streams.repair()
        assert remedies(streams) == {}
        expected |= made[5].make()
        assert switch(streams.context, "rollback").execute().changed
    assert client.failures == []
    expected |= client.acknowledged
    assert stands(streams.context) == LEGACY
    assert streams.shown("aurora", expected) == expected
    until(lambda: streams.shown("dynamo", expected) == expected)
    assert run.run(streams.context, streams.entity, run.VerifyOptions()).clean


@pytest.mark.long
def test_a_second_replacement_is_adopted_and_verified_anew(streams):
    made = [Changes(streams, name) for name in ("first", "second", "third")]
    for one in made:
        one.prepare()
    streams.to_modern()
    expected = {}
    for one in made:
        streams.stop_bridge()
        expected |= one.make()
        streams.disable()
        streams.enable()
        if one is not made[0]:  # the first is replaced before it was deployed
            streams.redeploy()
            refused(streams.context, "in the journal")
            assert adopted(streams)[0] == "done"
            refused(streams.context, "new stream")
            streams.repair()
    assert adopted(streams)[0] == "unchanged"
    switch(streams.context, "rollback").execute()
    assert streams.shown("aurora", expected) == expected


@pytest.mark.sweep
@pytest.mark.long
def test_killed_before_any_request_of_the_adoption_the_same_command_again_ends_it(streams):
    changes = Changes(streams, "gap")
    changes.prepare()
    streams.to_modern()
    streams.stop_bridge()
    streams.disable()
    expected = changes.make()
    streams.enable()
    streams.redeploy()
    context, target, count = streams.context, streams.context.target, 1
    services = ("dynamodb", "rds_data", "functions", "streams")

    def adopt(own: Context) -> object:
        return new_stream.adopt(own, own.target.entity(streams.entity.name))

    while killed_at(count, lambda: Context.of(target), services, adopt):
        refused(context, "in the journal|interrupted|new stream")
        count += EVERY
    assert count > 10
    streams.repair()
    switch(context, "rollback").execute()
    assert streams.shown("aurora", expected) == expected


@pytest.mark.long
def test_what_comes_late_of_the_old_stream_is_refused_or_follows_the_item(streams):
    old, mapping = streams.entity.stream_arn, streams.entity.bridge_mapping_id
    key = write(streams.context, "before")
    streams.to_modern()
    until(lambda: first_name(streams.context, "aurora", key) == "before")
    streams.replace()
    write(streams.context, "now", key)
    adopted(streams)
    streams.repair()
    assert "UnknownStreamError" in streams.deliver(old, key, firstName="late")
    assert "UnknownStreamError" in streams.deliver(old, key, "REMOVE")
    record = {"eventName": "MODIFY", "eventSourceARN": old}
    record["dynamodb"] = {"Keys": {"ChefId": {"S": key}}, "SequenceNumber": "9" * 30}
    streams.context.clients.s3.put_object(
        Bucket=streams.context.target.failure_bucket,
        Key=f"{prefix(mapping)}late",
        Body=json.dumps({"payload": json.dumps({"Records": [record]}), "DDBStreamBatchInfo": {"streamArn": old}}),
    )
    resolved = EntityQuarantine(streams.context, streams.entity).replay()
    assert [one.resolved for one in resolved] == [True]
    assert first_name(streams.context, "aurora", key) == "now"
    write(streams.context, "later", key)
    until(lambda: first_name(streams.context, "aurora", key) == "later")


@pytest.mark.long
def test_a_comparison_that_began_before_the_adoption_does_not_count(streams, monkeypatch):
    streams.to_modern()
    streams.replace()
    whole = FullComparison.run

    def adopting(comparison, grace):
        found = whole(comparison, grace)
        adopted(streams)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(FullComparison, "run", adopting)
        assert run.run(streams.context, streams.entity, OPTIONS).clean
    refused(streams.context, "new stream")
    assert run.run(streams.context, streams.entity, run.VerifyOptions(grace=2.0, sample=0.5)).clean
    refused(streams.context, "new stream")
    assert run.run(streams.context, streams.entity, OPTIONS).clean
    assert switch(streams.context, "rollback").execute().changed


@pytest.mark.long
def test_repair_waits_for_the_adoption_and_another_operators_lock_keeps_it_out(streams):
    changes = Changes(streams, "gap")
    changes.prepare()
    streams.to_modern()
    streams.stop_bridge()
    streams.disable()
    changes.make()
    streams.enable()
    streams.redeploy()
    found = run.run(streams.context, streams.entity, OPTIONS)
    with pytest.raises(PreconditionError, match="in the journal"):
        Repair(streams.context, streams.entity).execute(found, OPTIONS)
    with (
        held(streams.context.journal, streams.entity.name, "another operator", "rollback"),
        pytest.raises(RefusedError, match="another operator"),
    ):
        init.run(streams.context)
    assert adopted(streams)[0] == "done"


def test_a_forced_rollback_finds_that_the_stream_is_switched_off_after_its_checks(streams, monkeypatch):
    key = write(streams.context, "before", system="aurora")
    streams.to_modern()
    enter = SwitchRun._enter

    def switched_off(run, to):
        if to.target == Phase.RETURNING:
            streams.stop_bridge()
            streams.disable()
            write(streams.context, "no stream shows it", key)
        enter(run, to)

    with monkeypatch.context() as patched:
        patched.setattr(SwitchRun, "_enter", switched_off)
        with pytest.raises(PreconditionError, match="stream is off"):
            switch(streams.context, "rollback", choices=FORCED).execute()
    assert stands(streams.context) == MODERN
    streams.back()
    assert streams.shown("aurora", [key]) == {key: "no stream shows it"}


@pytest.mark.long
def test_in_phase_legacy_no_row_becomes_legacys_and_a_cutover_needs_a_new_verify(streams):
    context = streams.context
    mine, theirs = write(context, "modern", system="dynamo"), write(context, "legacy", system="aurora")
    until(lambda: first_name(context, "aurora", mine) == "modern")
    until(lambda: first_name(context, "dynamo", theirs) == "legacy")
    assert run.run(context, streams.entity, OPTIONS).clean
    streams.replace()
    context, before = streams.context, rows(streams)
    assert adopted(streams)[0] == "done"
    assert rows(streams) == before
    assert context.aurora.queue(context.target.mapping["chefs"]).length(1) == 0
    write(context, "modern again", mine, system="dynamo")
    until(lambda: first_name(context, "aurora", mine) == "modern again")
    with pytest.raises(PreconditionError, match="new stream was adopted"):
        switch(context, "cutover").execute()
    streams.to_modern()
    assert green(status.run(context, streams.entity, send_heartbeat=True, exact=False).bridge)
    switch(context, "rollback").execute()


@pytest.mark.long
def test_after_a_forced_rollback_what_the_old_stream_held_reaches_aurora_by_the_adoption(streams):
    key, legacys = (write(streams.context, "before", system="aurora") for _ in range(2))
    until(lambda: first_name(streams.context, "dynamo", legacys))
    streams.to_modern()
    streams.stop_bridge()
    for one in (key, legacys):
        write(streams.context, "acknowledged", one)
    made = write(streams.context, "made")
    switch(streams.context, "rollback", choices=FORCED).execute()
    write(streams.context, "legacy wrote since", legacys)
    streams.replace()
    assert "applied 3 changes" in adopted(streams)[1]
    expected = {key: "acknowledged", made: "made", legacys: "legacy wrote since"}
    assert streams.shown("aurora", expected) == expected
    quarantined = EntityQuarantine(streams.context, streams.entity)
    assert [entry.key for entry in quarantined.entries()] == [legacys]
    quarantined.replay()
    until(lambda: streams.shown("dynamo", expected) == expected)
    assert control(streams.context).epoch > 0


def rows(streams):
    """Each row's keys and epoch."""
    with streams.sandbox.database.connect() as client, client.cursor() as cursor:
        cursor.execute(ROWS)
        return cursor.fetchall()
