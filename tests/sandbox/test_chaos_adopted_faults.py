"""Each fault of an adopted system does what its name says to the shop, is noted, and is put right as the docs say."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.brownfield import api
from sandbox.chaos.commands import Runbook
from sandbox.chaos.faults import Attack, adopted, calls
from sandbox.chaos.faults.deploy_over import deploy_over
from sandbox.chaos.faults.drop_permission import drop_permission
from sandbox.chaos.faults.new_stream import new_stream
from sandbox.chaos.migrated import AdoptedShop
from sandbox.chaos.scenario import Deed
from sandbox.emulator.behaviour.unsure_calls import PATH
from sandbox.load import Load

pytestmark = pytest.mark.long
ADOPT = ("adopt", "--entity", "orders", "--execute")


@pytest.fixture(scope="module")
def shop():
    return AdoptedShop()


@pytest.fixture(scope="module")
def arena(shop):
    name = f"test-{os.getpid()}-adopted"
    try:
        arena = shop.arena(shop.bring_up(name, 20, Path(), 1), lambda _: None)
        shop.prepare(arena, 20)
        Runbook(arena).until_done(ADOPT)
        shop.act(Deed.DEPLOY, arena)
        Runbook(arena).until_done(("init",))
        yield arena
    finally:
        lifecycle.down(name)


@pytest.fixture
def attack(arena):
    arena.diary.clear()
    arena.problems.clear()
    yield Attack(arena, Runbook(arena), random.Random(1), ADOPT, lambda: False)
    assert arena.problems == []


def served(arena):
    return api.serves_legacy(adopted.account(attack_of(arena)), arena.target.api_id)


def attack_of(arena):
    return Attack(arena, Runbook(arena), random.Random(1), ADOPT, lambda: False)


def test_a_deployment_of_another_tool_is_found_and_put_right(arena, attack):
    assert served(arena) == []
    seen = []
    attack.rng.uniform = lambda *_: seen.extend(served(arena)) or 0.0
    deploy_over(attack)
    assert seen
    assert served(arena) == []
    assert len(arena.strays) == 1


def test_a_permission_that_another_tool_removed_is_found_and_added_again(arena, attack):
    drop_permission(attack)
    assert len(arena.closed) == 1
    assert any("lost its right" in line for line in arena.diary)
    with Load(arena.target, "orders", writes_per_s=5, reads_per_s=10, fields=arena.fields) as load:
        while load.counts["reads"] < 10 or load.counts["writes"] < 5:
            pass
        history = load.stop()
    assert history.failures == []


def test_a_difference_that_preflight_does_not_name_is_a_problem(arena, attack, monkeypatch):
    monkeypatch.setattr(adopted, "AS_DEPLOYED", ("status",))
    adopted.adopt_again(attack, lambda: ["GET /v2/orders"])
    assert [problem for problem in arena.problems if "preflight is green" in problem]
    arena.problems.clear()


@pytest.mark.parametrize("name", ["_by_team", "_by_adopt", "_with_another_view"])
def test_a_stream_that_the_team_switched_is_adopted(arena, attack, name):
    before = arena.deployed.stream_arn
    attack.rng.choice = lambda ways: next(way for way in ways if way.__name__ == name)
    new_stream(attack)
    assert arena.deployed.stream_arn != before
    assert Runbook(arena).once(("preflight", "--quick", "--entity", "orders")).code == 0


def test_each_pattern_of_adopting_meets_a_call_and_what_is_left_is_found(arena, shop, attack):
    names = {f"adoption {number}": pattern for number, pattern in enumerate(calls.ADOPTION.values())}
    Runbook(arena).until_done(("copy", "stop", "--remove-triggers", "--entity", "orders"))
    for name, pattern in names.items():
        calls.emulator.ask(arena, PATH, {"name": name, "pattern": pattern, "seconds": 60.0})
    Runbook(arena).until_done(("adopt", "undo", "--settle", "0", "--execute"))
    shop.act(Deed.DEPLOY_WITHOUT, arena)
    Runbook(arena).until_done(("adopt", "undo", "--settle", "0", "--execute"))
    shop.act(Deed.COMPARE, arena)
    found = {each.partition(" of ")[0] for each in arena.problems}
    assert found == {"table in Aurora", "stage", "deployments"}  # by init, and by the other tool's deployment
    arena.problems.clear()
    Runbook(arena).until_done(ADOPT)
    hits = [calls.emulator.ask(arena, PATH, {"name": name})["hit"] for name in names]
    assert all(hits), dict(zip(calls.ADOPTION, hits, strict=True))
