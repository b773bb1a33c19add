"""`kill -9` before each change of `adopt` and of `adopt undo`: the same command again ends as one clean run."""

from __future__ import annotations

import pytest
from adopted_world import READS, WRITES, World, adopt, kinds, undo
from killed import kill_self, killed
from sweep import EVERY

CHANGING = ("Create", "Delete", "Update", "Put", "Add", "Remove", "Transact")
STEP = 2 * EVERY - 1  # all in a sweep


@pytest.fixture(scope="module")
def world(sandbox):
    return World(sandbox)


def _clients(context):
    clients = context.clients
    return [clients.apigateway, clients.functions, clients.dynamodb]


def _watch(context, see):
    def changed(event_name, **_):
        if event_name.rpartition(".")[2].startswith(CHANGING):
            see()

    for client in _clients(context):
        client.meta.events.register("before-send.*", changed)


def _changes(command):
    """How many changes a whole run makes."""
    seen = []
    _watch(command.context, lambda: seen.append(1))
    command.execute()
    return len(seen)


def _killed_at(number, make):
    """Run in a child that is killed before its `number`-th change, which is after the one before."""
    left = [number]

    def see():
        left[0] -= 1
        if left[0] == 0:
            kill_self()

    def run():
        command = make()
        _watch(command.context, see)
        command.execute()

    return killed(run)


def _answers(world):
    return {world.call(each) for each in (*READS, *WRITES)}


@pytest.mark.sweep
@pytest.mark.parametrize("direction", ["adopt", "undo"])
def test_killed_before_any_change_the_same_command_again_ends_as_one_clean_run(world, direction):
    def make():
        return adopt(world) if direction == "adopt" else undo(world)

    before = world.artefacts()
    adopt(world).execute()
    undo(world).execute()
    if direction == "undo":
        adopt(world).execute()
    count = _changes(make())
    assert count > len(READS) + len(WRITES)
    for number in range(2, count + 1, STEP):
        if direction == "adopt":
            undo(world).execute()
            assert world.artefacts() == before, number - STEP
        else:
            adopt(world).execute()
        assert _killed_at(number, make), f"{number}: it was not killed"
        assert _answers(world) == {(200, "reads"), (200, "writes")}, number
        make().execute()
        assert kinds(make().plan()) == [], number
        if direction == "undo":
            assert world.artefacts() == before, number
        else:
            assert _answers(world) == {(200, "reads"), (200, "writes")}
    if direction == "adopt":
        undo(world).execute()
    assert world.artefacts() == before
