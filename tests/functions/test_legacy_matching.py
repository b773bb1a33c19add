"""What the database calls equal is equal: no other record of any type is taken for a row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import values_of

from functions.domain import names, values
from functions.domain.mapping import Record
from functions.legacy.matching import Matching

TEXTS = ["", "a", "A", "a ", "ä", "e\u0301", "é", "🍕", "🍔", "0", "00", "0.0", None]
KEY = "7f000001-0000-4000-8000-00000000000a"


@pytest.fixture(scope="module")
def specimens(make_legacy):
    """A table with every type that the database compares."""
    made = make_legacy("specimens")
    fields = {name: field for name, field in made.entity.fields.items() if field.type != "json"}
    return replace(made, entity=replace(made.entity, fields=fields))


@pytest.fixture(scope="module")
def texts(make_own):
    return make_own("label VARCHAR(50) NULL", {"label": {"column": "label", "type": "string"}}, prepared=True)


def drawn(data, entity):
    given = {name: data.draw(values_of(field), name) for name, field in entity.fields.items()}
    return {name: values.from_json(entity.fields[name], value) for name, value in given.items()}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_row_is_equal_to_its_own_record_and_to_no_other(specimens, data):
    entity, matching = specimens.entity, Matching(specimens.entity, specimens.database)
    key = specimens.store.create(None, drawn(data, entity)).key
    stored = specimens.store.many([key])[key]
    assert matching.all_equal([stored])
    for name, value in drawn(data, entity).items():
        other = Record(key, {**stored.fields, name: value})
        if not values.same(entity.fields[name], value, stored.fields[name]):
            assert not matching.all_equal([other]), name


@pytest.mark.parametrize("text", TEXTS)
def test_texts_that_a_collation_takes_for_one_are_two(texts, text):
    matching = Matching(texts.entity, texts.database)
    key = texts.store.create(None, {"label": text}).key
    equal = [other for other in TEXTS if matching.all_equal([Record(key, {"label": other})])]
    assert equal == [text]


def test_one_difference_among_many_is_found(texts):
    matching = Matching(texts.entity, texts.database)
    made = [texts.store.create(None, {"label": f"{number}"}) for number in range(50)]
    assert matching.all_equal(made)
    assert not matching.all_equal([*made[:-1], Record(made[-1].key, {"label": "other"})])
    assert not matching.all_equal([*made[:-1], Record("999999", {"label": "49"})])
    assert matching.all_equal([])


def test_a_key_that_two_rows_have_is_for_who_reads_the_rows(texts):
    """Their numbers alone could make up for a record without a row."""
    matching = Matching(texts.entity, texts.database)
    one = texts.store.create(None, {"label": "twice"})
    texts.database.execute(
        f"INSERT INTO thing (label, {names.KEY_COLUMN}) VALUES ('twice', :key)", {"key": {"stringValue": one.key}}
    )
    assert not matching.all_equal([one])
    assert not matching.all_equal([one, Record("999999", {"label": "twice"})])


def test_a_row_that_modern_made_is_found_by_its_items_key(texts):
    texts.database.execute(
        f"INSERT INTO thing (label, {names.KEY_COLUMN}) VALUES ('made', :key)", {"key": {"stringValue": KEY}}
    )
    matching = Matching(texts.entity, texts.database)
    assert matching.all_equal([Record(KEY, {"label": "made"})])
    assert not matching.all_equal([Record(KEY, {"label": "Made"})])


def test_nothing_is_equal_without_our_columns(make_own):
    bare = make_own("label VARCHAR(50) NULL", {"label": {"column": "label", "type": "string"}})
    made = bare.store.create(None, {"label": "a"})
    assert not Matching(bare.entity, bare.database).all_equal([made])


def test_json_and_keys_of_text_are_for_who_reads_the_rows(make_legacy, specimens):
    assert Matching(specimens.entity, specimens.database).possible
    with_json = make_legacy("specimens").entity
    assert not Matching(with_json, specimens.database).possible
    by_name = replace(with_json, fields={}, legacy=replace(with_json.legacy, key_type="string"))
    assert not Matching(by_name, specimens.database).possible
