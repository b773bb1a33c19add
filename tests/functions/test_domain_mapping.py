"""A record keeps its value through every shape: JSON, item, stream record, row."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import values_of

from functions.domain import entities, mapping
from functions.domain.errors import InvalidFieldError, UnmappableError

ENTITY = entities.load(Path(__file__).parents[1] / "entities.toml")["specimens"]


def bodies() -> st.SearchStrategy:
    fields = {}
    for name, field in ENTITY.fields.items():
        values = values_of(field)
        if field.type == "bytes":
            values = values.map(lambda value: base64.b64encode(value).decode())
        fields[name] = values if field.required else values | st.none()
    return st.fixed_dictionaries(fields)


@given(body=bodies())
@settings(max_examples=100, deadline=None)
def test_a_record_survives_the_way_through_json_and_item(body):
    record = mapping.Record("k", mapping.fields_from_body(ENTITY, body))
    item = mapping.item_from_record(ENTITY, record)
    assert mapping.record_from_item(ENTITY, item) == record
    sent = json.loads(json.dumps(mapping.body_from_record(ENTITY, record)), parse_float=Decimal)
    sent.pop("id")
    assert mapping.fields_from_body(ENTITY, sent) == record.fields


@given(body=bodies())
@settings(max_examples=60, deadline=None)
def test_a_stream_record_with_its_bytes_in_base64_is_the_same_record(body):
    record = mapping.Record("k", mapping.fields_from_body(ENTITY, body))
    item = mapping.item_from_record(ENTITY, record)
    as_sent = json.loads(json.dumps(item, default=lambda value: base64.b64encode(value).decode()))
    assert mapping.record_from_item(ENTITY, as_sent) == record


NUMBERS = [5.329737474810639e16, -(2**63), 2**64 - 1, 1.0, -0.0, 1e20, 10**20, 0.1, 2**53 + 1, Decimal("12.50")]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_in_json_has_one_spelling_on_both_sides_and_stays_the_number_that_it_is(number):
    body = {"label": "a", "price": "1", "found": "2026-01-31T10:00:00Z", "traits": [number]}
    record = mapping.Record("k", mapping.fields_from_body(ENTITY, body))
    assert mapping.record_from_item(ENTITY, mapping.item_from_record(ENTITY, record)) == record
    assert Decimal(repr(record.fields["traits"][0])) == Decimal(str(number))


@pytest.mark.parametrize("number", ["18446744073709551616", "0.12345678901234567891", "1e-400", "-9223372036854775809"])
def test_a_number_in_json_that_a_column_would_change_is_refused_from_each_side(number):
    body = {"label": "a", "price": "1", "found": "2026-01-31T10:00:00Z"}
    with pytest.raises(InvalidFieldError) as raised:
        mapping.fields_from_body(ENTITY, {**body, "traits": [Decimal(number)]})
    assert raised.value.field == "traits"
    item = mapping.item_from_record(ENTITY, mapping.Record("k", mapping.fields_from_body(ENTITY, body)))
    with pytest.raises(UnmappableError) as unmappable:
        mapping.record_from_item(ENTITY, {**item, "traits": {"L": [{"N": number}]}}, limited=False)
    assert unmappable.value.field == "traits"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", 7),
        ("label", "x" * 101),
        ("label", "\ud800"),
        ("label", None),
        ("legs", "four"),
        ("legs", 2**63),
        ("legs", True),
        ("legs", Decimal("1e999999999")),
        ("legs", Decimal("4.5")),
        ("weight", "1e400"),
        ("weight", "0.0000001"),
        ("weight", "100000000000000"),
        ("weight", "NaN"),
        ("extinct", "yes"),
        ("found", "2026-01-31"),
        ("found", "2026-01-31T10:00:00"),
        ("barcode", -1),
        ("barcode", 2**64),
        ("drawer", 128),
        ("shelf", "a "),
        ("checksum", "AQ=="),
        ("state", "lost"),
        ("found", 5),
        ("found", "2026-01-31T10:00:00.1234567Z"),
        ("found", "2026-01-31T10:00:00+02:00:00.5"),
        ("found", "9999-12-31T23:59:59-02:00"),
        ("birthday", "31.1.2026"),
        ("genome", "not base64!"),
        ("traits", {"": 1}),
        ("traits", {"a": [1e200]}),
        ("unknown", 1),
    ],
)
def test_a_bad_value_is_refused_by_its_fields_name(field, value):
    body = {"label": "a", "price": "1", "found": "2026-01-31T10:00:00Z", field: value}
    with pytest.raises(InvalidFieldError) as raised:
        mapping.fields_from_body(ENTITY, body)
    assert raised.value.field == field


def test_what_is_missing_takes_its_default_and_what_is_null_does_not():
    body = {"label": "a", "price": "1.50", "found": "2026-01-31T12:00:00+02:00", "extinct": None}
    fields = mapping.fields_from_body(ENTITY, body)
    assert (fields["legs"], fields["extinct"], fields["notes"]) == (4, None, None)
    assert fields["found"] == "2026-01-31T10:00:00.000000Z"
    assert fields["price"] == Decimal("1.5")


def test_an_item_without_an_attribute_means_the_default_and_an_unknown_attribute_is_left_out():
    item = {"SpecimenId": {"S": "k"}, "label": {"S": "a"}, "price": {"N": "1"}, "other": {"S": "x"}}
    record = mapping.record_from_item(ENTITY, {**item, "found": {"S": "2026-01-31T10:00:00Z"}})
    assert record.fields["legs"] == 4
    assert "other" not in record.fields
    with pytest.raises(UnmappableError) as raised:
        mapping.record_from_item(ENTITY, item)
    assert raised.value.field == "found"


def test_the_size_of_an_item_is_counted_as_dynamodb_counts_it():
    assert mapping.item_size({"k": {"S": "ab"}, "n": {"N": "12"}, "l": {"L": [{"S": "a"}]}}) == 3 + 4 + 1 + 3 + 2


@pytest.mark.parametrize(
    ("key", "fixed", "problem"),
    [
        ("a b", True, ""),
        ("b ", False, ""),
        ("b ", True, "expected no space at the end, which its column drops"),
        ("", False, "expected text of 1 to 255 bytes"),
        ("é" * 128, False, "expected text of 1 to 255 bytes"),
        ("\ud800", False, "expected text of 1 to 255 bytes"),
    ],
)
def test_a_key_that_one_system_cannot_keep_has_a_reason(key, fixed, problem):
    legacy = {"database": "d", "table": "t", "key": "id", "key_type": "string", "key_fixed": fixed}
    fields = {"name": {"column": "name", "type": "string"}}
    raw = {"things": {"legacy": legacy, "modern": {"table": "things", "key": "Id"}, "fields": fields}}
    assert mapping.key_problem(entities.parse(raw)["things"], key) == problem
