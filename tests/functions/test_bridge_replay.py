"""A replay writes the present item so that whatever is newer wins, before, during and after it."""

from __future__ import annotations

import pytest
from legacy_world import BASE, STREAM, record

from functions.bridge.replay import Replay
from functions.domain import changes

OTHER = "arn:aws:dynamodb:us-east-1:000000000000:table/chef/stream/before"
TOO_LONG = "x" * 300


@pytest.fixture
def known(legacy):
    """The legacy table, following `STREAM`, in phase modern."""
    legacy.database.execute("UPDATE streamback_control SET legacy_stamp = 0, generation = 0, fenced = 0")
    return legacy


def item(key: str, name: str) -> dict:
    return {"ChefId": {"S": key}, "firstName": {"S": name}, "lastName": {"S": "Roš"}}


def replay(legacy, key: str, noted: int, name: str | None, *, stream: str = STREAM, before=lambda: None):  # noqa: PLR0913  # what a test varies
    def read(keys):
        before()
        return legacy.read(keys) | {key: item(key, name) if name is not None else None}

    return Replay(legacy.entity, legacy.database, read).apply(key, noted, stream)


def names(legacy) -> dict[str, str]:
    return {key: fields["firstName"] for key, fields in legacy.everything().items()}


def sequence(legacy, key: str) -> int:
    return Replay(legacy.entity, legacy.database, legacy.read).place(key).sequence


def test_a_missing_row_is_made_under_the_quarantined_sequence(known):
    assert not replay(known, "a", BASE, "Ana").reason
    assert (names(known), sequence(known, "a")) == ({"a": "Ana"}, BASE)


def test_a_row_is_brought_to_the_item_and_later_records_still_apply(known):
    known.apply(record("a", BASE, firstName="old"))
    assert not replay(known, "a", BASE + 5, "present").reason
    assert names(known) == {"a": "present"}
    known.apply(record("a", BASE + 6, "MODIFY", firstName="later"))
    assert names(known) == {"a": "later"}


def test_what_comes_between_reading_and_writing_is_not_overwritten(known):
    known.apply(record("a", BASE, firstName="old"))

    def newer():
        known.apply(record("a", BASE + 9, "MODIFY", firstName="newer"))

    assert not replay(known, "a", BASE + 5, "read before", before=newer).reason
    assert names(known) == {"a": "newer"}


def test_an_old_record_delivered_again_does_not_undo_a_replay(known):
    replay(known, "a", BASE + 5, "present")
    known.apply(record("a", BASE + 4, "MODIFY", firstName="again"), record("a", BASE + 3, "REMOVE"))
    known.apply(record("a", BASE + 2, "REMOVE"))
    assert names(known) == {"a": "present"}


def test_an_item_that_is_gone_takes_its_row_along(known):
    known.apply(record("a", BASE, firstName="old"))
    assert not replay(known, "a", BASE + 5, None).reason
    known.apply(record("a", BASE + 4, "MODIFY", firstName="again"))
    assert names(known) == {}


def test_a_change_that_was_only_noted_as_seen_is_written(known):
    known.apply(record("a", BASE, firstName="old"), record("b", BASE, firstName="old"))
    known.apply(record("b", BASE + 5, "REMOVE"))
    known.database.execute(f"UPDATE {known.entity.legacy.table} SET streamback_sequence = {BASE + 5}")
    for key in ("a", "b"):
        assert not replay(known, key, BASE + 5, "present").reason
    assert names(known) == {"a": "present", "b": "present"}
    assert sequence(known, "a") == sequence(known, "b") == BASE + 5
    assert not replay(known, "a", BASE + 5, None).reason
    assert names(known) == {"b": "present"}


def test_a_superseded_entry_does_not_lower_what_the_row_knows(known):
    known.apply(record("a", BASE + 9, firstName="later"))
    assert not replay(known, "a", BASE + 5, "later").reason
    assert sequence(known, "a") == BASE + 9


def test_what_fails_again_gives_its_reason_and_leaves_the_row_as_it_was(known):
    known.apply(record("a", BASE, firstName="old"))
    for noted in (BASE, BASE + 5):
        verdict = replay(known, "a", noted, TOO_LONG)
        assert "firstName" in verdict.reason
        assert (names(known), sequence(known, "a")) == ({"a": "old"}, BASE)


def test_the_database_s_own_error_is_reported_with_its_number(known):
    table = known.entity.legacy.table
    known.server.execute(f"ALTER TABLE `{known.entity.legacy.database}`.{table} MODIFY cheffirst VARCHAR(10)")
    try:
        assert replay(known, "a", BASE, "x" * 20).code == 1406
    finally:
        known.server.execute(f"ALTER TABLE `{known.entity.legacy.database}`.{table} MODIFY cheffirst VARCHAR(255)")


def test_a_sequence_of_another_stream_shuts_nothing_of_the_present_one_out(known):
    assert not replay(known, "a", BASE + 1000, "present", stream=OTHER).reason
    known.apply(record("a", BASE, "MODIFY", firstName="later"))
    assert names(known) == {"a": "later"}


def test_doing_it_again_changes_nothing(known):
    known.apply(record("a", BASE, firstName="old"))
    for _ in range(3):
        assert not replay(known, "a", BASE + 5, "present").reason
    assert (names(known), sequence(known, "a")) == ({"a": "present"}, BASE + 5)


def test_an_old_change_that_is_given_up_late_does_not_quarantine_a_key_that_was_corrected_since(known):
    [old] = changes.from_stream(known.entity, [record("a", BASE, firstName="refused")])
    assert known.applier().give_up(old, "six tries failed", 31999).quarantined == 1
    known.quarantined.changes.clear()
    known.apply(record("a", BASE + 1, "MODIFY", firstName="corrected"))
    assert known.applier().give_up(old, "six tries failed", 31999).quarantined == 0
    assert known.quarantined.changes == {}
