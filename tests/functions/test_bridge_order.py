"""However a stream is delivered, the rows end as after one clean pass (property tests on the real MariaDB)."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from bridge_world import Direct, deliveries, histories, truth
from hypothesis import given
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES, record, set_control
from strategies import strings

from functions.api.store import NotFoundError
from functions.aws.mysql_errors import TransientError
from functions.domain import changes, entities
from functions.install import schema_check


@pytest.mark.sweep
@given(data=st.data())
@EXAMPLES
def test_duplicates_reordering_and_replays_end_in_the_rows_of_one_clean_pass(bridged, data):
    history, batches = data.draw(deliveries(bridged.keys, strings, bridged.most))
    bridged.clear()
    for batch in batches:
        bridged.deliver(batch)
    assert bridged.shown() == truth(history)
    assert not bridged.quarantined


@pytest.mark.sweep
@given(data=st.data())
@EXAMPLES
def test_the_clean_pass_shows_the_last_image_of_every_living_key(bridged, data):
    history = data.draw(histories(bridged.keys, strings, bridged.most))
    bridged.clear()
    for step in history:
        bridged.deliver([step])
    assert bridged.shown() == truth(history)


def test_two_runs_of_the_same_batch_at_once_end_in_one_row_a_key(legacy):
    batch = [record(f"k{number}", BASE + number, firstName="x") for number in range(200)]

    def run():
        for _ in range(20):
            try:
                legacy.apply(*batch)
            except TransientError:
                continue  # Lambda delivers the batch again
            return

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(legacy.everything()) == 200


def test_updates_of_existing_rows_burn_no_auto_increment_ids(legacy):
    legacy.apply(*[record(f"k{number}", BASE + number, firstName="x") for number in range(50)])
    before = int(legacy.store.create(None, {"firstName": "a", "lastName": "b"}).key)
    for turn in range(1, 5):
        legacy.apply(
            *[record(f"k{number}", BASE + 100 * turn + number, "MODIFY", firstName="y") for number in range(50)]
        )
        legacy.apply(*[record(f"k{number}", BASE + number, firstName="x") for number in range(50)])
    assert int(legacy.store.create(None, {"firstName": "a", "lastName": "b"}).key) == before + 1


def test_a_row_that_began_in_legacy_is_updated_and_deleted_in_its_place(modern):
    legacy = modern
    made = legacy.store.create(None, {"firstName": "Ana", "lastName": "Roš"})
    legacy.apply(record(made.key, BASE, "MODIFY", firstName="Anja"))
    assert legacy.everything() == {made.key: {"firstName": "Anja", "lastName": "Ramsay"}}
    legacy.apply(record(made.key, BASE + 1, "REMOVE"))
    assert legacy.everything() == {}


def test_names_of_255_of_the_widest_characters_arrive(legacy):
    names = ["👩" * 255, "\U0010ffff" * 255, "'" * 255, "\\" * 255, "\x00" * 255, "é\u0301" * 127, ""]
    legacy.apply(*[record(f"k{number}", BASE + number, firstName=name) for number, name in enumerate(names)])
    shown = legacy.everything()
    assert [shown[f"k{number}"]["firstName"] for number in range(len(names))] == names
    assert not legacy.quarantined.changes


def test_a_batch_of_items_of_400_kb_arrives(make_legacy):
    legacy = make_legacy("specimens")
    large = {"notes": {"S": "\x01é𒀀" * 55_000}, "label": {"S": "x"}, "price": {"N": "1"}}
    batch = []
    for number in range(12):
        each = record("", BASE + number, **large, found={"S": "2026-01-31T10:00:00Z"})
        data = each["dynamodb"]
        data["Keys"] = {"SpecimenId": {"S": f"k{number}"}}
        data["NewImage"] = {**data["NewImage"], **data["Keys"]}
        batch.append(each)
    assert legacy.apply(*batch).upserts == 12
    assert legacy.store.get("k7").fields["notes"] == large["notes"]["S"]


def test_what_a_delete_frees_an_insert_of_the_same_batch_may_take(make_legacy):
    legacy = make_legacy("chefs")
    legacy.server.execute(f"ALTER TABLE `{legacy.entity.legacy.database}`.cheftable ADD UNIQUE (cheffirst)")
    legacy.apply(record("a", BASE, firstName="one"), record("b", BASE + 1, firstName="two"))
    legacy.apply(
        record("a", BASE + 2, "REMOVE"),
        record("c", BASE + 5, firstName="two"),
        record("b", BASE + 4, "MODIFY", firstName="one"),
    )
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"b": "one", "c": "two"}
    assert not legacy.quarantined.changes


def test_a_record_that_can_never_be_applied_is_quarantined_with_its_reason_and_its_neighbours_arrive(make_legacy):
    legacy = make_legacy("chefs")
    legacy.server.execute(
        f"ALTER TABLE `{legacy.entity.legacy.database}`.cheftable MODIFY cheffirst VARCHAR(20)"
    )  # narrower than the mapping says, so only the database can refuse
    batch = [record(f"k{number}", BASE + number, firstName="x") for number in range(1000)]
    batch[517] = record("k517", BASE + 517, firstName="x" * 21)
    outcome = legacy.apply(*batch)
    assert (outcome.upserts, outcome.quarantined) == (999, 1)
    reason, code = legacy.quarantined.changes["k517"]
    assert code == 1406
    assert "cheffirst" in reason


def test_a_unique_index_of_the_owner_is_never_answered_by_overwriting_another_row(make_legacy):
    legacy = make_legacy("chefs")
    legacy.server.execute(f"ALTER TABLE `{legacy.entity.legacy.database}`.cheftable ADD UNIQUE (cheffirst)")
    legacy.apply(record("a", BASE, firstName="only"))
    legacy.apply(record("b", BASE + 1, firstName="only"), record("c", BASE + 2, firstName="other"))
    assert set(legacy.everything()) == {"a", "c"}
    assert legacy.quarantined.changes["b"][1] == 1062


def test_an_update_that_the_owners_unique_index_refuses_is_quarantined_and_its_row_stays(make_legacy):
    legacy = make_legacy("chefs")
    legacy.server.execute(f"ALTER TABLE `{legacy.entity.legacy.database}`.cheftable ADD UNIQUE (cheffirst)")
    legacy.apply(record("a", BASE, firstName="taken"), record("b", BASE + 1, firstName="free"))
    outcome = legacy.apply(
        record("b", BASE + 2, "MODIFY", firstName="taken"), record("c", BASE + 3, firstName="ERROR 1213")
    )
    assert (outcome.upserts, outcome.quarantined) == (1, 1)
    assert legacy.everything()["b"]["firstName"] == "free"
    outcome = legacy.apply(record("d", BASE + 4, firstName="ERROR 1213"))  # a text that MySQL quotes
    assert outcome.quarantined == 1
    assert {key: code for key, (_, code) in legacy.quarantined.changes.items()} == {"b": 1062, "d": 1062}


def test_natural_keys_converge_too(make_legacy):
    legacy = make_legacy("chefs", key_type="string", key="sku")
    legacy.apply(record("SKU 1", BASE, firstName="x"), record("sku 1", BASE + 1, firstName="y"))
    legacy.apply(record("SKU 1", BASE + 2, "REMOVE"))
    legacy.apply(record("SKU 1", BASE, firstName="x"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"sku 1": "y"}


def test_a_heartbeat_never_touches_the_entitys_table(legacy):
    heartbeat = record("streamback-probe", BASE, streamback_probe="token")
    legacy.apply(heartbeat, record("streamback-probe", BASE + 1, "REMOVE"))
    rows = legacy.database.query("SELECT token FROM streamback_probes WHERE entity = 'chefs'")
    assert legacy.everything() == {}
    assert rows[0][0].get("stringValue") == "token"


def test_a_record_that_does_not_fit_the_mapping_is_quarantined_and_the_rest_goes_on(legacy):
    outcome = legacy.apply(
        record("long", BASE, firstName="x" * 256),
        record("typed", BASE + 1, firstName={"N": "1"}),
        record("k" * 256, BASE + 2, firstName="x"),
        record("good", BASE + 3, firstName="x"),
    )
    assert (outcome.upserts, outcome.quarantined) == (1, 3)
    assert "256" in legacy.quarantined.changes["long"][0]


def test_a_batch_is_coalesced_to_the_last_change_of_each_key():
    entity = entities.load(Path(__file__).parents[1] / "entities.toml")["chefs"]
    batch = [record("a", 1, firstName="x"), record("a", 3, "REMOVE"), record("a", 2, "MODIFY", firstName="y")]
    assert [(change.key, change.kind) for change in changes.from_stream(entity, batch)] == [("a", "delete")]


def test_a_record_that_does_not_fit_is_not_quarantined_again_once_a_newer_one_was_applied(legacy):
    legacy.clear()
    legacy.apply(record("corrected", BASE, firstName="x" * 256))
    assert "corrected" in legacy.quarantined.changes
    legacy.apply(record("corrected", BASE + 1, "MODIFY", firstName="short"))
    legacy.quarantined.changes.clear()
    legacy.apply(record("corrected", BASE, firstName="x" * 256))
    assert not legacy.quarantined.changes
    assert legacy.everything()["corrected"]["firstName"] == "short"


@pytest.mark.parametrize("kind", ["integer", "string"])
@pytest.mark.parametrize("table", ["c", "d", "q", "s"])
def test_a_table_with_the_name_of_an_alias_follows_its_items(make_legacy, kind, table):
    legacy = make_legacy("chefs", key_type=kind, table=table)
    legacy.apply(record("a", BASE, firstName="first"), record("b", BASE + 1, firstName="kept"))
    legacy.apply(record("a", BASE + 2, "MODIFY", firstName="second"))
    legacy.apply(record("b", BASE + 3, "REMOVE"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a": "second"}
    assert legacy.applier().apply(changes.from_stream(legacy.entity, [record("a", BASE + 1)])).stale == 1


def test_a_key_that_two_rows_answer_to_holds_up_no_batch(modern):
    """Legacy gave a number to a row that is already the key of one that modern made."""
    modern.clear()
    modern.apply(record("7", BASE, firstName="modern's"))
    modern.database.execute("INSERT INTO cheftable (id, cheffirst, cheflast) VALUES (7, 'legacy''s', 'x')")
    done = modern.apply(record("7", BASE + 1, "MODIFY", firstName="changed"), record("b", BASE + 2, firstName="b"))
    assert done.upserts == 2
    assert modern.everything()["b"]["firstName"] == "b"
    modern.apply(record("7", BASE + 3, "REMOVE"))
    assert not modern.quarantined.changes


PADDED = {
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": False,
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci": False,
    "CHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": True,
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=() if fixed else pytest.mark.long) for kind, fixed in PADDED.items()],
)
def padded(request, make_legacy):
    """A table whose natural key takes some different keys for one."""
    legacy = make_legacy("chefs", key_type="string", key_fixed=PADDED[request.param])
    place = f"`{legacy.entity.legacy.database}`.`{legacy.entity.legacy.table}`"
    legacy.server.execute(f"ALTER TABLE {place} MODIFY `{legacy.entity.legacy.key}` {request.param} NOT NULL")
    set_control(legacy, legacy_stamp=0, generation=2, fenced=1)
    return legacy


@pytest.mark.sweep
@given(delivered=deliveries(("b", "b ", "B"), strings))
@EXAMPLES
def test_a_key_that_is_taken_for_another_holds_up_no_batch_and_gets_no_row_of_the_other(padded, delivered):
    history, batches = delivered
    direct = Direct(padded)
    direct.clear()
    for batch in batches:
        direct.once(batch)
    for key, name in direct.shown().items():
        assert name in [step.name for step in history if step.key == key]


def test_a_delete_is_done_though_an_older_write_gives_its_row_to_another_key(padded):
    padded.clear()
    padded.apply(record("b", BASE, firstName="b"))
    padded.apply(record("b ", BASE + 1, firstName="b and a space"), record("b", BASE + 2, "REMOVE"))
    found = {key: fields["firstName"] for key, fields in padded.everything().items()}
    assert found == ({} if padded.entity.legacy.key_fixed else {"b ": "b and a space"})


@pytest.mark.parametrize("other", ["b ", "B"])
def test_the_api_finds_a_row_by_its_own_key_only(padded, other):
    padded.clear()
    padded.apply(record("b", BASE, firstName="b"))
    store, fields = padded.store, padded.everything()["b"]
    for act in (store.get, store.delete, lambda key: store.replace(key, fields)):
        with pytest.raises(NotFoundError):
            act(other)
    assert store.get("b").fields == fields
    assert other not in store.many([other])
    assert store.missing([other, "b"]) == [other]


def test_a_key_that_is_a_char_must_be_described_as_one(make_legacy):
    legacy = make_legacy("chefs", key_type="string")
    place = f"`{legacy.entity.legacy.database}`.`{legacy.entity.legacy.table}`"
    legacy.server.execute(f"ALTER TABLE {place} MODIFY `{legacy.entity.legacy.key}` CHAR(40) NOT NULL")
    (problem,) = schema_check.problems(legacy.server, legacy.entity)
    assert problem.endswith("is a CHAR, which drops spaces at the end; write key_fixed = true")


def test_a_key_that_its_column_changes_is_in_quarantine_and_its_delete_takes_no_other_row(make_legacy):
    legacy = make_legacy("chefs", key_type="string", key_fixed=True)
    legacy.apply(record("b", BASE, firstName="b"), record("b ", BASE + 1, firstName="b and a space"))
    assert legacy.quarantined.changes["b "][0] == "the key: expected no space at the end, which its column drops"
    legacy.apply(record("b ", BASE + 2, "REMOVE"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"b": "b"}
