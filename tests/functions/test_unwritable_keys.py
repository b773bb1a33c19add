"""A key that the legacy column's character set cannot write has no row: not found, or in quarantine, never an error."""

from __future__ import annotations

import pytest
from legacy_world import BASE, STREAM, record

from functions.api.store import NotFoundError
from functions.aws.mysql_errors import PermanentError
from functions.bridge.replay import Replay

CHARSETS = ("latin1", "utf8mb3", "ascii")
PIZZA = "🍕"


@pytest.fixture(scope="module", params=CHARSETS)
def natural(request, make_legacy):
    """Chefs with natural keys in a narrow character set."""
    legacy = make_legacy("chefs", key_type="string")
    table, key = legacy.entity.legacy.table, legacy.entity.legacy.key
    legacy.server.execute(
        f"ALTER TABLE `{legacy.entity.legacy.database}`.`{table}` "
        f"MODIFY `{key}` VARCHAR(100) CHARACTER SET {request.param} COLLATE {request.param}_bin NOT NULL"
    )
    return legacy


@pytest.fixture
def legacy(natural):
    natural.clear()
    natural.database.execute("UPDATE streamback_control SET fenced = 1")  # modern is the source of truth
    return natural


def test_it_is_not_found_by_any_request(legacy):
    for act in (
        lambda: legacy.store.get(PIZZA),
        lambda: legacy.store.delete(PIZZA),
        lambda: legacy.store.replace(PIZZA, {"firstName": "a", "lastName": "b"}),
    ):
        with pytest.raises(NotFoundError):
            act()


def test_it_hides_no_neighbour_when_many_are_looked_up(legacy):
    made = [legacy.store.create(key, {"firstName": key, "lastName": ""}) for key in ("a", "b", "c")]
    found = legacy.store.many(["a", PIZZA, "b", "🍔", "c"])
    assert list(found.values()) == made


def test_a_record_with_it_cannot_be_made(legacy):
    with pytest.raises(PermanentError):
        legacy.store.create(PIZZA, {"firstName": "a", "lastName": "b"})


def test_the_bridge_quarantines_it_and_applies_its_neighbours(legacy):
    legacy.apply(record("a", BASE, firstName="old"), record("gone", BASE + 1, firstName="x"))
    legacy.apply(
        record("a", BASE + 2, "MODIFY", firstName="new"),
        record(PIZZA, BASE + 3, firstName="pizza"),
        record("gone", BASE + 4, "REMOVE"),
        record("b", BASE + 5, firstName="made"),
        record("🍔", BASE + 6, "REMOVE"),
    )
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a": "new", "b": "made"}
    assert list(legacy.quarantined.changes) == [PIZZA]


def test_a_replay_says_why_it_still_cannot_be_written(legacy):
    item = {"ChefId": {"S": PIZZA}, "firstName": {"S": "pizza"}}
    verdict = Replay(legacy.entity, legacy.database, lambda _: {PIZZA: item}).apply(PIZZA, BASE, STREAM)
    assert verdict.code
    assert legacy.everything() == {}
