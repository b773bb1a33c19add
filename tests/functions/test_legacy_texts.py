"""Columns that change or refuse what is written: CHAR, BINARY, ENUM, TEXT and JSON, with the settings that fit them."""

from __future__ import annotations

import base64

import pytest
from legacy_world import record

from functions.domain import entities, mapping
from functions.domain.errors import InvalidFieldError, UnmappableError
from functions.install import schema_check

ITEM = {"ThingId": {"S": "k"}}


def problems(legacy):
    return schema_check.problems(legacy.server, legacy.entity)


@pytest.fixture(scope="module")
def things(make_own):
    fields = {
        "code": {"column": "code", "type": "string", "max_length": 10, "fixed": True},
        "hash": {"column": "hash", "type": "bytes", "max_length": 4, "fixed": True},
        "size": {"column": "size", "type": "string", "choices": ["small", "l'arge"]},
    }
    return make_own("code CHAR(10), hash BINARY(4), size ENUM('small', 'l''arge')", fields, prepared=True)


def test_settings_that_fit_the_columns_are_accepted_and_values_come_back_as_they_went_in(things):
    assert problems(things) == []
    body = {"code": " a b", "hash": base64.b64encode(b"a\x00\x00\x00").decode(), "size": "l'arge"}
    made = things.store.create(None, mapping.fields_from_body(things.entity, body))
    assert things.store.get(made.key) == made


@pytest.mark.parametrize(
    ("field", "sent", "attribute"),
    [
        ("code", "a ", {"S": "a "}),
        ("hash", "AQ==", {"B": b"\x01"}),
        ("hash", "AQIDBAU=", {"B": b"\x01\x02\x03\x04\x05"}),
        ("size", "SMALL", {"S": "SMALL"}),
        ("size", "1", {"S": "1"}),
    ],
)
def test_what_the_column_would_change_is_refused_from_each_writer(things, field, sent, attribute):
    with pytest.raises(InvalidFieldError) as invalid:
        mapping.fields_from_body(things.entity, {field: sent})
    with pytest.raises(UnmappableError) as unmappable:
        mapping.record_from_item(things.entity, {**ITEM, field: attribute})
    assert invalid.value.field == unmappable.value.field == field
    written = record("k", 1, ThingId="k", **{field: attribute})
    written["dynamodb"]["Keys"] = ITEM
    things.apply(written)
    assert things.quarantined.changes.pop("k")[0].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("column", "described", "key", "write"),
    [
        ("CHAR(10)", {"type": "string"}, "fixed", "fixed = true, max_length = 10"),
        ("BINARY(4)", {"type": "bytes"}, "fixed", "fixed = true, max_length = 4"),
        ("BINARY(4)", {"type": "bytes", "max_length": 3, "fixed": True}, "max_length", "max_length = 4"),
        ("CHAR(10)", {"type": "string", "max_length": 11, "fixed": True}, "max_length", "max_length = 10"),
        ("ENUM('a', 'ß')", {"type": "string"}, "choices", 'choices = ["a", "ß"], or fewer of them'),
        (
            "ENUM('a', 'b')",
            {"type": "string", "choices": ["a", "c"]},
            "choices",
            'choices = ["a", "b"], or fewer of them',
        ),
        ("TEXT", {"type": "string", "max_length": 65_535}, "max_length", "max_length = 16383"),
        ("TINYTEXT", {"type": "string", "max_length": 64}, "max_length", "max_length = 63"),
        ("TEXT CHARACTER SET latin1", {"type": "string", "max_length": 65_536}, "max_length", "max_length = 65535"),
        ("BLOB", {"type": "bytes", "max_length": 65_536}, "max_length", "max_length = 65535"),
    ],
)
def test_a_column_that_changes_or_cuts_values_is_refused_with_the_setting_to_write(
    make_own, column, described, key, write
):
    (problem,) = problems(make_own(f"x {column} NULL", {"x": {"column": "x", **described}}))
    assert problem.startswith(f"things.fields.x.{key}: ")
    assert problem.endswith(f"write {write}")


@pytest.mark.parametrize(
    ("column", "most"),
    [
        ("TEXT", 16_383),
        ("TINYTEXT", 63),
        ("TEXT CHARACTER SET latin1", 65_535),
        ("TEXT CHARACTER SET utf8mb3", 21_845),
        ("MEDIUMTEXT", 2**24 - 1),
        ("VARCHAR(20)", 20),
    ],
)
def test_a_text_column_holds_the_longest_text_that_is_accepted(make_own, column, most):
    legacy = make_own(f"x {column} NULL", {"x": {"column": "x", "type": "string", "max_length": most}})
    assert problems(legacy) == []
    widest = {"latin1": "ß", "utf8mb3": "€"}.get(column.rpartition(" ")[2], "👩")
    text = widest * min(most, mapping.ITEM_LIMIT // 4)
    made = legacy.store.create(None, {"x": text})
    assert legacy.store.get(made.key).fields["x"] == text


@pytest.fixture(scope="module")
def documents(make_own):
    return make_own("doc JSON NOT NULL", {"doc": {"column": "doc", "type": "json", "required": True}}, prepared=True)


def test_a_json_null_in_a_column_that_is_never_null_is_a_value(documents):
    assert problems(documents) == []
    documents.database.execute("INSERT INTO thing (id, doc) VALUES (1, 'null')")
    found = documents.store.get("1")
    assert found.fields == {"doc": None} == mapping.fields_from_body(documents.entity, {"doc": None})
    item = mapping.item_from_record(documents.entity, found)
    assert mapping.record_from_item(documents.entity, item) == found
    assert documents.store.create(None, found.fields).fields == found.fields
    assert documents.database.query("SELECT COUNT(*) FROM thing WHERE CAST(doc AS CHAR) = 'null'")[0][0] == {
        "longValue": 2
    }
    with pytest.raises(InvalidFieldError, match="is required"):
        mapping.fields_from_body(documents.entity, {})
    with pytest.raises(UnmappableError, match="is required"):
        mapping.record_from_item(documents.entity, ITEM)


def test_a_json_null_beside_null_is_refused_unless_the_field_reads_both_as_null(make_own):
    described = {"column": "doc", "type": "json"}
    legacy = make_own("doc JSON NULL", {"doc": described})
    legacy.database.execute("INSERT INTO thing (id, doc) VALUES (1, 'null'), (2, NULL), (3, '[null]')")
    with pytest.raises(UnmappableError, match="JSON null"):
        legacy.store.get("1")
    assert [legacy.store.get(key).fields["doc"] for key in ("2", "3")] == [None, [None]]
    raw = {"legacy": vars(legacy.entity.legacy), "modern": vars(legacy.entity.modern)}
    both = entities.parse({"things": {**raw, "fields": {"doc": {**described, "json_null": "null"}}}})["things"]
    assert type(legacy.store)(both, legacy.database).get("1").fields == {"doc": None}
