"""bridge = "replay" on the adopted shop, end to end: what its function refuses, and a change of kind under load."""

from __future__ import annotations

import threading
import uuid

import pytest
from afresh import until
from replayed_shop import replayed_shop

from functions.domain.phase import Phase

TOO_MUCH = 5000  # cents; more than the rule allows


@pytest.fixture(scope="module")
def world():
    yield from replayed_shop("replay")


@pytest.fixture
def modern(world):
    """Writes are on modern, and the function has no rule."""
    world.rule(None)
    world.go(Phase.MODERN)
    return world


@pytest.fixture
def ruled(modern):
    """The legacy function refuses what modern accepts."""
    modern.rule(1000)
    yield modern
    modern.rule(None)


def refused(world, note):
    """The key of an order that a client has made, and that the legacy function has refused."""
    key, other = world.made(note, total_cents=TOO_MUCH), world.made(f"{note}, beside it")
    until(lambda: world.entry(key))
    until(lambda: other in world.rows())
    assert "422" in world.entry(key).reason
    assert "total_too_high" in world.entry(key).reason
    return key


def test_a_record_that_the_function_refuses_is_brought_by_it_once_the_cause_is_gone(ruled):
    key = refused(ruled, "replayed")
    code, said = ruled.cli("quarantine", "replay", key, "--execute")
    assert (code, said["resolved"], said["stay"]) == (1, 0, 1)
    assert "422" in ruled.entry(key).reason
    assert key not in ruled.rows()
    ruled.rule(None)
    assert ruled.cli("quarantine", "replay", key, "--execute")[0] == 0
    assert ruled.rows()[key] == "replayed"
    assert ruled.audit(key) == [("created", "replayed")]
    assert ruled.entry(key) is None
    assert not ruled.permits()
    ruled.changed(key, "later")
    until(lambda: ruled.rows()[key] == "later")
    assert ruled.audit(key)[1:] == [("replaced", "later")]


def test_a_record_that_a_client_corrects_is_brought_once_and_its_entry_can_be_replayed(ruled):
    key = refused(ruled, "too much")
    ruled.changed(key, "corrected")
    until(lambda: ruled.rows().get(key) == "corrected")
    assert ruled.cli("quarantine", "replay", key, "--execute")[0] == 0
    assert ruled.audit(key) == [("created", "corrected")]
    assert ruled.entry(key) is None


def test_a_refused_order_that_a_client_removes_leaves_nothing(ruled):
    key = refused(ruled, "removed")
    ruled.removed(key)
    assert ruled.cli("quarantine", "replay", key, "--execute")[0] == 0
    assert key not in ruled.rows()
    assert ruled.audit(key) == []
    assert not ruled.permits()


def test_a_dropped_record_is_left_out_and_holds_up_no_rollback(ruled):
    key = refused(ruled, "dropped")
    assert ruled.cli("quarantine", "drop", key, "--execute")[0] == 0
    assert (ruled.entry(key), key in ruled.rows(), ruled.audit(key)) == (None, False, [])
    ruled.go(Phase.LEGACY)
    assert key not in ruled.rows()
    ruled.context.clients.dynamodb.delete_item(TableName=ruled.entity.modern_table, Key={"pk": {"S": key}})
    until(ruled.equal)


class Writers:
    """Clients that make, replace and remove orders all the time, each with keys of its own."""

    def __init__(self, world, clients=3):
        self._world, self._over = world, threading.Event()
        self.notes, self.failed = {}, []
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for each in self._threads:
            each.join()

    def _run(self):
        try:
            while not self._over.wait(0.1):
                notes = [uuid.uuid4().hex for _ in range(3)]
                key = self._world.made(notes[0])
                self.notes[key] = notes[:1]
                for note in notes[1:]:
                    self._world.changed(key, note)
                    self.notes[key].append(note)
        except AssertionError as error:
            self.failed.append(error)

    def more(self, orders=4):
        """Wait until they have made some more."""
        wanted = len(self.notes) + orders
        until(lambda: len(self.notes) >= wanted or self.failed)
        assert not self.failed, [str(each) for each in self.failed]


def brought(world, notes):
    """Wait until Aurora has the last note of each order."""
    wanted = {key: some[-1] for key, some in notes.items()}
    until(lambda: wanted.items() <= world.rows().items())


@pytest.mark.long
def test_from_replay_to_direct_and_back_under_load_no_write_is_lost(modern):
    world = modern
    with Writers(world) as load:
        load.more()
        world.deploy(replay=False)
        load.more()
        by_sql = set(load.notes)
        world.runbook("copy", "start", "--entity", "orders")  # the triggers of this kind
        load.more()
        world.deploy(replay=True)
        load.more(2)  # which wait in the stream
        code, said = world.cli("preflight", "--quick")
        assert code == 4
        assert "streamback's triggers" in [one["name"] for one in said["entities"]["orders"] if not one["ok"]]
        world.runbook("init")
        world.runbook("copy", "start", "--entity", "orders")
        after = set(load.notes)
        load.more()
    brought(world, load.notes)
    assert by_sql < after
    for key in set(load.notes) - after:
        notes = [note for _, note in world.audit(key)]
        assert list(dict.fromkeys(notes)) == load.notes[key]
    until(world.equal)
    assert not world.permits()
    world.go(Phase.LEGACY)
    assert {key: some[-1] for key, some in load.notes.items()}.items() <= world.rows().items()
