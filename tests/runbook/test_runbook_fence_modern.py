"""`rollback --fence-modern`: the modern table refuses writers that do not ask the gate, and its policy comes back."""

from __future__ import annotations

import dataclasses
import json

import pytest
from fenced_modern import FENCED, READER, Stranger, arn, policy, put_policy, rolled_back, set_seconds
from killed import changes_of, killed_around
from unsure_calls import UnsureCalls
from writes_world import ENTITY, LEGACY, MODERN, bring_back, first_name, stands, switch, write

from functions.domain import names
from runbook.aws import fence_policy
from runbook.aws.table_policy import LONGEST_BYTES
from runbook.checks import deployment
from runbook.cutover import drain, modern_fence
from runbook.errors import PreconditionError
from runbook.verify import run as verify


@pytest.fixture
def modern(live, chefs):
    """The entity in phase modern, without a policy on its table; quick policies."""
    set_seconds(live, applies=0.6, blocked=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modern_fence, "BLOCKED_SECONDS", 0.0)
        switch(live, "cutover").execute()
        yield chefs
    set_seconds(live, applies=0.0, blocked=0.0)
    bring_back(live)
    live.clients.dynamodb.delete_resource_policy(ResourceArn=arn(live, chefs))
    set_seconds(live, applies=1.0, blocked=15.0)


def _kept(context):
    """What the journal has of a fence that may be up."""
    found = context.journal.find_record(ENTITY, names.TABLE_POLICY_RECORD) or {}
    return found.get("fence")


def test_every_late_write_that_was_acknowledged_is_in_aurora_and_none_is_after_the_drain(live, modern, monkeypatch):
    stranger, drained = Stranger(live, modern), []
    drain_of = drain.StreamDrain.drain

    def noted(self):
        drained.append((len(stranger.acknowledged), stranger.write(), policy(live, modern)))
        drain_of(self)
        drained.append((len(stranger.acknowledged), stranger.write(), policy(live, modern)))

    monkeypatch.setattr(drain.StreamDrain, "drain", noted)
    before = put_policy(live, modern)
    with stranger.writing():
        rolled_back(live)
    assert drained[0] == drained[1], "the policy was in force before the drain began, and when it ended"
    acknowledged, wrote, during = drained[0]
    assert not wrote
    assert READER in json.loads(during)["Statement"], "the owner's statements stay"
    assert list(stranger.acknowledged)[:acknowledged], "it wrote until the policy was in force"
    assert (stands(live), policy(live, modern), _kept(live)) == (LEGACY, before, None)
    early = dict(list(stranger.acknowledged.items())[:acknowledged])
    assert {key: first_name(live, "aurora", key) for key in early} == early
    assert stranger.write(), "writes are let in again"


def test_a_table_without_a_policy_has_none_afterwards(live, modern):
    rolled_back(live)
    assert (stands(live), policy(live, modern), _kept(live)) == (LEGACY, None, None)
    assert verify.run(live, modern, verify.VerifyOptions()).clean


@pytest.mark.long
def test_a_rollback_that_fails_behind_the_policy_puts_it_back(live, modern, monkeypatch):
    before, stranger = put_policy(live, modern), Stranger(live, modern)

    def fails(_):
        raise PreconditionError("forced", "by the test")

    monkeypatch.setattr(drain.StreamDrain, "drain", fails)
    with pytest.raises(PreconditionError, match="forced"):
        rolled_back(live)
    assert (stands(live), policy(live, modern), _kept(live)) == (MODERN, before, None)
    assert stranger.write()


@pytest.mark.long
def test_a_policy_that_does_not_take_effect_in_time_undoes_the_rollback(live, modern):
    set_seconds(live, applies=4.0, blocked=0.5)
    before = policy(live, modern)
    with pytest.raises(PreconditionError, match="does not apply the table's policy in time"):
        rolled_back(live, dataclasses.replace(FENCED, hold=1.5))
    assert (stands(live), policy(live, modern), _kept(live)) == (MODERN, before, None)


@pytest.mark.long
def test_what_others_change_meanwhile_stays(live, modern, monkeypatch):
    put_policy(live, modern)
    set_seconds(live, applies=0.2, blocked=0.0)
    drain_of, others = drain.StreamDrain.drain, {**READER, "Sid": "Others"}

    def changed(self):
        now = json.loads(policy(live, modern))
        text = json.dumps({**now, "Statement": [*now["Statement"], others]})
        live.clients.dynamodb.put_resource_policy(ResourceArn=arn(live, modern), Policy=text)
        drain_of(self)

    monkeypatch.setattr(drain.StreamDrain, "drain", changed)
    rolled_back(live)
    assert json.loads(policy(live, modern))["Statement"] == [READER, others]


@pytest.mark.long
def test_a_policy_that_others_put_before_ours_is_not_overwritten(live, modern, monkeypatch):
    set_seconds(live, applies=0.2, blocked=0.0)
    raise_ = modern_fence.ModernFence.raise_

    def overtaken(self, deadline):
        put_policy(live, modern)
        raise_(self, deadline)

    monkeypatch.setattr(modern_fence.ModernFence, "raise_", overtaken)
    with pytest.raises(PreconditionError, match="changed by others"):
        rolled_back(live)
    assert json.loads(policy(live, modern))["Statement"] == READER
    assert (stands(live), _kept(live)) == (MODERN, None)


def test_a_policy_that_is_too_long_is_refused_before_clients_are_held(live, modern):
    bare = json.dumps({"Version": "2012-10-17", "Id": "", "Statement": READER})
    text = bare.replace('"Id": ""', f'"Id": "{"x" * (LONGEST_BYTES - len(bare))}"')
    set_seconds(live, applies=0.0, blocked=0.0)
    live.clients.dynamodb.put_resource_policy(ResourceArn=arn(live, modern), Policy=text)
    with pytest.raises(PreconditionError, match="at most 20,480 fit"):
        rolled_back(live)
    assert (stands(live), policy(live, modern), _kept(live)) == (MODERN, text, None)


def test_a_fence_that_came_late_is_found_and_removed(live, modern):
    set_seconds(live, applies=0.0, blocked=0.0)
    before = put_policy(live, modern)
    role = live.clients.functions.get_function_configuration(FunctionName=live.target.copy_function)["Role"]
    late = fence_policy.fenced(before, arn(live, modern), role, live.clients.sts.get_caller_identity()["Arn"])
    live.clients.dynamodb.put_resource_policy(ResourceArn=arn(live, modern), Policy=late)

    def found():
        return next(c for c in deployment.checks(live, modern, live.journal.state(ENTITY)) if c.name == "table policy")

    assert (found().ok, "cutover writes" in found().remedy) == (False, True)
    assert not switch(live, "cutover").execute().changed
    assert found().ok
    assert json.loads(policy(live, modern))["Statement"] == [READER]


def _killed_around(context, entity, point):
    """Cut over, be killed at a point of the rollback, roll back again; the policy is there byte for byte."""
    switch(context, "cutover").execute()
    set_seconds(context, applies=0.0, blocked=0.0)
    before = put_policy(context, entity)
    set_seconds(context, applies=0.2, blocked=0.5)
    key = write(context, f"{point}")
    assert killed_around(*point, context, lambda: rolled_back(context)), f"{point}: it was not killed"
    rolled_back(context)
    assert (stands(context), policy(context, entity), _kept(context)) == (LEGACY, before, None), point
    assert first_name(context, "aurora", key) == f"{point}"


def _changes(context, entity):
    set_seconds(context, applies=0.0, blocked=0.0)
    put_policy(context, entity)
    set_seconds(context, applies=0.2, blocked=0.5)
    changes = changes_of(context, lambda: rolled_back(context))
    assert changes.count("policy") == 2
    return changes


@pytest.mark.long
def test_killed_right_after_the_policy_was_put_the_same_command_ends_as_one_clean_run(live, modern):
    changes = _changes(live, modern)
    _killed_around(live, modern, (changes.index("policy"), True))


@pytest.mark.long
def test_killed_at_any_boundary_the_policy_comes_back_byte_for_byte(live, modern):
    changes = _changes(live, modern)
    kinds = [at for at, kind in enumerate(changes) if kind in {"policy", "journal", "phase", "fence"}]
    for point in [(at, after) for at in kinds for after in ((False, True) if changes[at] == "policy" else (False,))]:
        _killed_around(live, modern, point)


@pytest.mark.long
def test_a_put_whose_answer_is_lost_is_found_although_dynamodb_blocks_its_repetition(live, modern):
    set_seconds(live, applies=0.0, blocked=0.0)
    before = put_policy(live, modern)
    set_seconds(live, applies=0.6, blocked=4.0)
    with UnsureCalls(live.clients.dynamodb, "PutResourcePolicy") as unsure:
        rolled_back(live)
    assert unsure.requests > 1
    assert (stands(live), policy(live, modern), _kept(live)) == (LEGACY, before, None)


@pytest.mark.long
def test_a_put_that_arrives_after_the_rollback_was_undone_is_refused(live, modern):
    set_seconds(live, applies=0.0, blocked=0.0)
    before = put_policy(live, modern)
    set_seconds(live, applies=0.2, blocked=0.5)

    def never_answered():
        raise RuntimeError("the connection is gone")

    with UnsureCalls(live.clients.dynamodb, "PutResourcePolicy", late=True, meanwhile=never_answered) as unsure:
        with pytest.raises(PreconditionError, match="the connection is gone"):
            rolled_back(live)
        set_seconds(live, applies=0.0, blocked=0.0)
        assert unsure.deliver() == [400]
    assert (stands(live), policy(live, modern), _kept(live)) == (MODERN, before, None)
