"""`kill -9` of the runbook around each change of a switch, and of the bridge and its call, with bridge = "replay".

The same command again ends as one clean run, and the legacy function's audit has every change that modern accepted.
"""

from __future__ import annotations

import math
import time
import uuid

import pytest
from afresh import until
from journal_states import force_phase
from killed import changes_of, killed_around, killed_at, turning_points
from replayed_shop import INSIST_SECONDS, WRITER, replayed_shop
from sweep import BEFORE_FIRST, EVERY

from functions.domain.phase import Phase
from runbook import init
from runbook.aws import lambda_calls
from runbook.aws.api_gateway import Routes, Side
from runbook.checks import heartbeat
from runbook.cutover.command import Completion
from runbook.cutover.steps import Choices
from runbook.journal.lock import held
from runbook.stack import Context
from sandbox.brownfield.system import ENTITY

pytestmark = [pytest.mark.sweep, pytest.mark.long]  # a world of its own
COMPLETING = Choices(propagation_wait=0.0, warm=0, timeout=INSIST_SECONDS)
BATCH = 40  # items, so that the bridge can be met at its work
JOURNAL_WRITE = "before-send.dynamodb.TransactWriteItems"
TRIES = 20


@pytest.fixture(scope="module")
def shop():
    yield from replayed_shop("killed-replay")


@pytest.fixture
def world(shop):
    """The permits of a bridge that was killed are waited for, but not for minutes."""
    with shop.brief_permits():
        yield shop


@pytest.fixture
def sure_heartbeat(monkeypatch):
    """The heartbeat is sent before anything begins; it has tests of its own, and takes a second."""
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


def points(changes):
    """Around each change that decides where traffic goes, and before one in EVERY of the journal's."""
    journal = [(at, False) for at, kind in enumerate(changes) if kind == "journal"]
    return [*turning_points(changes), *journal[::EVERY]]


def met_at_work(world, note):
    """Kill the bridge, and the function that it calls, while they bring a batch of items; the keys of the batch."""
    for _ in range(TRIES):
        keys = [f"{note}-{uuid.uuid4().hex[:8]}" for _ in range(BATCH)]
        world.put(keys, note)
        until(lambda keys=keys: world.permits() or set(keys) <= set(world.rows()))
        if world.permits():
            world.kill_workers(world.entity.bridge_function, WRITER)
            return keys
    raise AssertionError("the bridge was always done before it was met")


def brought(world, keys):
    """Wait until all that was begun is done."""
    until(lambda: set(keys) <= set(world.rows()) and world.bridge_works() and not world.permits())


def more_at_work(world, note, phase):
    """In phase modern, a batch that the bridge brings while the command begins; its keys."""
    keys = [f"{note}-{uuid.uuid4().hex[:8]}" for _ in range(BATCH)] if phase == Phase.MODERN else []
    world.put(keys, note)
    return keys


def demand_clean(world, phase, keys, note):
    """All is as after one clean run."""
    state = world.context.journal.state(ENTITY)
    assert (state.phase, state.operation, state.lock) == (phase, None, None)
    until(lambda: set(keys) <= set(world.rows()))
    audited = {key for key in keys if (note in [said for _, said in world.audit(key)])}
    assert audited == set(keys)
    until(world.equal)
    assert not world.permits()


@pytest.mark.parametrize("verb", ["cutover", "rollback"])
def test_killed_around_any_change_the_same_command_again_ends_as_one_clean_run(world, sure_heartbeat, verb):
    there, back = (Phase.MODERN, Phase.LEGACY) if verb == "cutover" else (Phase.LEGACY, Phase.MODERN)
    world.go(back)
    until(world.bridge_works)
    one = world.switch(verb)
    changes = changes_of(one.context, one.execute)
    assert {"phase", "fence", "journal"} <= set(changes)
    for number, point in enumerate(points(changes)):
        world.go(Phase.MODERN)
        note = f"{verb}-{number}"
        keys = met_at_work(world, note)
        world.go(back)
        brought(world, keys)
        keys += more_at_work(world, note, back)
        more, one = world.made(f"{note}, by a client"), world.switch(verb)
        assert killed_around(*point, one.context, one.execute), f"{point}: it was not killed"
        world.kill_workers(world.entity.bridge_function, WRITER)
        world.insist(world.switch(verb).execute)
        demand_clean(world, there, keys, note)
        assert world.rows()[more] == f"{note}, by a client"


def complete(context):
    Completion(context, context.target.entity(ENTITY), COMPLETING).execute()


def modern_again(world):
    """On modern with the bridge, as before `complete`: without the switches, which have tests of their own."""
    context, entity = world.context, world.entity
    if world.phase == Phase.COMPLETE:
        with held(context.journal, ENTITY, "a test", "x") as lease:
            force_phase(context, ENTITY, Phase.MODERN)
            token = lease.next_token()
        init.run(context)
        event = {"action": "capture", "entity": ENTITY, "token": token}
        context.invoke(context.target.bridge_install_function, event)
        # The new columns have no sequence of before, so what came before is passed over.
        since = "bridged_since = UTC_TIMESTAMP(6)"
        world.sql(f"UPDATE shop.streamback_control SET fenced = 1, legacy_stamp = 0, generation = 1, {since}")
        passed = math.ceil(time.time())
        until(lambda: time.time() > passed)  # the stream's times have seconds
        lambda_calls.switch_mapping(context.clients.functions, entity.bridge_mapping_id, enabled=True)
    with held(context.journal, ENTITY, "a test", "x") as lease:
        context.journal.write(lease.lock, ENTITY, {"reads": 100})
    context.routing.route(entity, Routes(reads=Side.MODERN, writes=Side.GATE))


def test_complete_that_is_killed_at_any_boundary_ends_as_one_clean_run(world, sure_heartbeat, monkeypatch):
    monkeypatch.setattr(Completion, "checks", lambda *_: [])  # they have tests of their own
    world.go(Phase.MODERN)
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        modern_again(world)
        note = f"complete-{count}"
        keys = met_at_work(world, note)
        brought(world, keys)
        keys += more_at_work(world, note, Phase.MODERN)
        target = world.context.target
        killed = killed_at(count, lambda: Context.of(target), ["dynamodb"], complete, JOURNAL_WRITE)  # noqa: B023
        world.kill_workers(world.entity.bridge_function, WRITER)
        world.insist(lambda: complete(world.context))
        state = world.context.journal.state(ENTITY)
        assert (state.phase, state.operation, state.lock) == (Phase.COMPLETE, None, None), f"killed at {count}"
        assert set(keys) <= set(world.rows()), f"killed at {count}"
        assert all(note in [said for _, said in world.audit(key)] for key in keys), f"killed at {count}"
    assert count > 10
