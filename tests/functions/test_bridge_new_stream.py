"""A table's new stream: its numbers need not be comparable with the old ones, and either stream may be late."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from legacy_world import BASE, STREAM, record, set_control

from functions.aws.mysql_errors import TransientError
from functions.bridge import stream_guard
from functions.bridge.replay import Replay
from functions.bridge.stream_guard import Adoption, AdoptionRefusedError, TransactionOpenError, UnknownStreamError
from functions.domain import changes, names
from functions.install import triggers

NEXT, LAST = f"{STREAM}-next", f"{STREAM}-last"
MANY = 1000


def adoption(legacy, stream=NEXT, token=0):
    return Adoption(
        entity=legacy.entity, database=legacy.database, server=legacy.server, stream_arn=stream, token=token
    )


def first_names(legacy):
    return {key: fields["firstName"] for key, fields in legacy.everything().items()}


def left(legacy, table="cheftable"):
    """How many rows have a number of a stream."""
    column = names.SEQUENCE_COLUMN if table == "cheftable" else "sequence"
    sql = f"SELECT COUNT(*) FROM {table} WHERE {column} > 0"
    return legacy.database.query(sql)[0][0]["longValue"]


@pytest.fixture
def legacy(make_legacy, bridge_user):
    """A table of its own with streamback's triggers, as the bridge's user sees it."""
    made = make_legacy("chefs")
    triggers.install(made.server, made.entity)
    return bridge_user(made)


@pytest.fixture
def modern(legacy):
    """The same in phase modern."""
    set_control(legacy, fenced=1, legacy_stamp=0)
    return legacy


def as_client(legacy, sql):
    """A statement of a writer of legacy's own, which the fence and the triggers see."""
    legacy.server.execute(sql.replace("cheftable", f"{legacy.entity.legacy.database}.cheftable"))


def test_a_new_streams_records_are_refused_until_it_is_adopted_and_then_count_from_the_start(modern):
    modern.apply(record("a", BASE, firstName="old"), record("b", BASE, "REMOVE"))
    with pytest.raises(UnknownStreamError, match="runbook init"):
        stream_guard.check(modern.database, modern.entity, NEXT)
    assert not stream_guard.confirm(modern.server, modern.entity, NEXT)
    for _ in range(2):
        assert adoption(modern).run(None, MANY) is None
    stream_guard.check(modern.database, modern.entity, NEXT)
    modern.apply(record("a", 1, "MODIFY", firstName="new"), record("b", 2, firstName="new"))
    assert first_names(modern) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("rows", [2, 3, 8])
@pytest.mark.parametrize("key_type", ["integer", "string"])
def test_the_old_numbers_are_cleared_stretch_by_stretch_of_the_primary_key(
    make_legacy, bridge_user, monkeypatch, key_type, rows
):
    monkeypatch.setattr(stream_guard, "AT_ONCE", 3)
    natural = {"key": "sku"} if key_type == "string" else {}
    legacy = bridge_user(make_legacy("chefs", key_type=key_type, **natural))
    legacy.apply(*[record(f"ключ '{n}", BASE + n, firstName="x") for n in range(rows)])
    progress, numbers = None, [rows]
    while (progress := adoption(legacy).run(progress, 1)) is not None:
        progress = json.loads(json.dumps(progress))
        numbers.append(left(legacy))
        assert stream_guard.is_adopting(stream_guard.known(legacy.server, legacy.entity))
    expected = [max(0, rows - 3 * n) for n in range(len(numbers))]
    assert numbers == expected
    assert left(legacy) == left(legacy, names.DELETES_TABLE) == 0
    assert stream_guard.known(legacy.server, legacy.entity) == NEXT


def test_in_phase_legacy_neither_epochs_nor_the_queue_nor_legacys_deletes_are_touched(legacy):
    legacy.apply(record("a", BASE, firstName="modern"), record("b", BASE + 1, firstName="x"))
    as_client(legacy, "DELETE FROM cheftable WHERE streamback_key = 'b'")
    state = (
        "SELECT streamback_key, streamback_stamp FROM cheftable",
        f"SELECT item_key, change_id FROM {names.CHANGES_TABLE} ORDER BY change_id",
        f"SELECT item_key, legacy_stamp FROM {names.DELETES_TABLE} ORDER BY item_key",
    )
    before = [legacy.database.query(sql) for sql in state]
    adoption(legacy).run(None, MANY)
    assert [legacy.database.query(sql) for sql in state] == before
    outcome = legacy.apply(record("a", 1, "MODIFY", firstName="later"), record("b", 2, "MODIFY", firstName="late"))
    assert (first_names(legacy), outcome.quarantined) == ({"a": "later"}, 1)


@pytest.mark.parametrize("change", [{"firstName": "late"}, None])
def test_a_batch_of_the_old_stream_that_stood_still_changes_nothing_after_the_adoption(modern, change):
    modern.apply(record("kept", BASE, firstName="kept"))
    late = record("kept", BASE + 9, "MODIFY", **change) if change else record("kept", BASE + 9, "REMOVE")
    made = [record("new", BASE + 9, firstName="late"), record("gone", BASE + 9, "REMOVE")]
    beat = record(names.HEARTBEAT_KEY, BASE + 9, **{names.HEARTBEAT_ATTRIBUTE: "late"})
    applier = modern.applier(stream=STREAM)
    adoption(modern).run(None, MANY)
    with pytest.raises(TransientError):  # the batch is repeated, and then refused
        applier.apply(changes.from_stream(modern.entity, [late]))
    applier.apply(changes.from_stream(modern.entity, [*made, beat]))
    assert first_names(modern) == {"kept": "kept"}
    assert [left(modern), left(modern, names.DELETES_TABLE), left(modern, names.HEARTBEATS_TABLE)] == [0, 0, 0]
    with pytest.raises(UnknownStreamError):
        stream_guard.check(modern.database, modern.entity, STREAM)


def test_an_adoption_that_stood_still_clears_no_number_of_the_stream_it_adopts(modern, monkeypatch):
    monkeypatch.setattr(stream_guard, "AT_ONCE", 1)
    modern.apply(record("a", BASE, firstName="x"), record("b", BASE + 1, firstName="x"))
    progress = adoption(modern).run(None, 1)
    place = progress["after"]
    assert adoption(modern).run(None, MANY) is None
    modern.apply(record("a", 1, "MODIFY", firstName="new"), record("b", 2, "MODIFY", firstName="new"))
    modern.apply(record("c", 3, "REMOVE"))
    sleeper = adoption(modern)
    for late in (lambda: sleeper._clear_rows(None), lambda: sleeper._clear_rows(place), sleeper._clear_helpers):
        late()
    assert (left(modern), left(modern, names.DELETES_TABLE)) == (2, 1)
    assert sleeper.run(progress, MANY) is None


def test_an_adoption_is_refused_once_another_stream_is_known_or_a_newer_token_has_acted(modern):
    first = adoption(modern)
    assert adoption(modern, LAST).run(None, MANY) is None
    with pytest.raises(AdoptionRefusedError):
        first._begin(STREAM)
    modern.server.execute(f"UPDATE {modern.entity.legacy.database}.{names.TOKENS_TABLE} SET token = 5")
    with pytest.raises(AdoptionRefusedError):
        adoption(modern, token=4).run(None, MANY)
    assert stream_guard.known(modern.server, modern.entity) == LAST
    assert adoption(modern, token=5).run(None, MANY) is None


def test_a_replay_writes_nothing_while_an_adoption_is_not_over(modern):
    modern.apply(record("a", BASE, firstName="old"))
    adoption(modern)._begin(STREAM)
    item = {"ChefId": {"S": "a"}, "firstName": {"S": "now"}, "lastName": {"S": "x"}}
    replay = Replay(modern.entity, modern.database, lambda _: {"a": item})
    assert "runbook init" in replay.apply("a", BASE + 1, STREAM).reason
    replay.pass_over("a", BASE + 1, STREAM)
    assert (first_names(modern), replay.place("a").sequence) == ({"a": "old"}, BASE)


def test_numbers_that_legacys_triggers_carry_on_meanwhile_are_cleared_too(legacy, monkeypatch):
    monkeypatch.setattr(stream_guard, "AT_ONCE", 2)
    legacy.apply(*[record(f"{n}", BASE + n, firstName="x") for n in range(1, 6)])
    for n in (7, 8):  # tombstones of items with a counted key
        legacy.apply(record(str(n), BASE + 9, "REMOVE"))
    progress = adoption(legacy).run(None, 1)
    as_client(legacy, "DELETE FROM cheftable WHERE streamback_key = '5'")  # whose number is not cleared yet
    as_client(legacy, "INSERT INTO cheftable (id, cheffirst) VALUES (8, 'inherits')")
    while (progress := adoption(legacy).run(progress, 1)) is not None:
        pass
    assert (left(legacy), left(legacy, names.DELETES_TABLE)) == (0, 0)


def test_an_adoption_waits_for_transactions_that_may_still_see_old_numbers(modern, monkeypatch, database):
    monkeypatch.setattr(stream_guard, "TRANSACTION_LOOKS", 2)
    modern.apply(record("a", BASE, firstName="x"))
    with database.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT COUNT(*) FROM {modern.entity.legacy.database}.cheftable")
        with pytest.raises(TransactionOpenError):
            adoption(modern).run(None, MANY)
        assert stream_guard.is_adopting(stream_guard.known(modern.server, modern.entity))
        cursor.execute("COMMIT")
    assert adoption(modern).run(None, MANY) is None


def test_interrupted_at_any_statement_the_same_adoption_again_ends_it(modern):
    class Cut:
        def __init__(self, inner, left):
            self.inner, self.left = inner, left

        def execute(self, *arguments):
            self.left -= 1
            if self.left < 0:
                raise ConnectionError
            return self.inner.execute(*arguments)

        def query(self, *arguments):
            return self.inner.query(*arguments)

    cuts = 0
    modern.apply(record("a", BASE, firstName="x"), record("b", BASE, "REMOVE"))
    while True:
        try:
            replace(adoption(modern), database=Cut(modern.database, cuts)).run(None, MANY)
        except ConnectionError:
            cuts += 1
            with pytest.raises(UnknownStreamError):
                stream_guard.check(modern.database, modern.entity, STREAM)
        else:
            break
    assert cuts > 3
    assert (left(modern), left(modern, names.DELETES_TABLE)) == (0, 0)
    stream_guard.check(modern.database, modern.entity, NEXT)
