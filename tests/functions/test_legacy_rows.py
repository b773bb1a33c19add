"""Rows through the Data API: every type, every size, with and without streamback's columns."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from sweep import LONG
from test_domain_mapping import bodies

from functions.api.store import NotFoundError
from functions.domain import entities, mapping
from functions.install import schema_check, tables


@pytest.fixture(scope="module")
def specimens(make_legacy):
    return make_legacy("specimens")


@pytest.mark.sweep
@given(body=bodies())
@settings(max_examples=60 if LONG else 20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_record_of_every_type_comes_back_from_the_database_as_it_went_in(specimens, body):
    fields = mapping.fields_from_body(specimens.entity, body)
    made = specimens.store.create(None, fields)
    assert specimens.store.get(made.key) == made
    assert specimens.store.replace(made.key, fields) == made


def test_a_record_of_400_kb_can_be_read_back_and_listed(specimens):
    fields = mapping.fields_from_body(
        specimens.entity, {"label": "big", "price": "1", "found": "2026-01-31T10:00:00Z", "notes": "ü\x01" * 130_000}
    )
    made = specimens.store.create(None, {**fields, "genome": bytes(range(256)) * 300})
    assert specimens.store.get(made.key) == made
    assert made in specimens.store.page(1000, str(int(made.key) - 1)).records


def test_a_listing_shows_every_record_once_whatever_their_sizes(make_legacy):
    legacy = make_legacy("specimens")
    base = {"label": "x", "price": "1", "found": "2026-01-31T10:00:00Z"}
    sizes = [0, 9_000, 9_000, 200_000, 1, 300_000, 300_000, *[9_500] * 40, 350_000, 0]
    made = []
    for size in sizes:
        fields = mapping.fields_from_body(legacy.entity, {**base, "notes": "\x02" * size})
        made.append(legacy.store.create(None, fields))
    found, after = [], ""
    while True:
        page = legacy.store.page(20, after)
        found += page.records
        after = page.after
        if not after:
            break
    assert found == made


def test_many_records_are_found_by_key_and_missing_ones_left_out(legacy):
    made = [legacy.store.create(None, {"firstName": f"{number}", "lastName": ""}) for number in range(5)]
    found = legacy.store.many([*[record.key for record in made], "absent", "999999"])
    assert list(found.values()) == made


@pytest.mark.parametrize("key", ["0", "01", "+1", "1 ", "9" * 40, "", "ключ", "1.0"])
def test_a_key_that_is_no_row_is_not_found(legacy, key):
    legacy.store.create(None, {"firstName": "a", "lastName": "b"})
    with pytest.raises(NotFoundError):
        legacy.store.get(key)
    with pytest.raises(NotFoundError):
        legacy.store.delete(key)


def test_the_legacy_code_sees_the_table_it_always_saw(make_legacy):
    legacy = make_legacy("chefs")
    legacy.database.execute("INSERT INTO cheftable VALUES (7, 'Ana', 'Roš')")
    assert len(legacy.database.query("SELECT * FROM cheftable")[0]) == 3


def test_the_store_works_on_a_table_without_the_bridges_columns(make_legacy):
    legacy = make_legacy("chefs")
    legacy.database.execute("ALTER TABLE cheftable DROP COLUMN streamback_key, DROP COLUMN streamback_sequence")
    made = legacy.store.create(None, {"firstName": "Ana", "lastName": "Roš"})
    assert legacy.store.replace(made.key, {"firstName": "Anja", "lastName": "Roš"}) == legacy.store.get(made.key)
    assert len(legacy.store.page(10, "").records) == 1
    legacy.store.delete(made.key)


def test_preparing_twice_changes_nothing(legacy):
    before = legacy.database.query("SHOW CREATE TABLE cheftable")
    tables.prepare(legacy.server, legacy.entity)
    assert legacy.database.query("SHOW CREATE TABLE cheftable") == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"column": "nothere"}, "chefs.fields.firstName.column"),
        ({"type": "integer", "max_length": None, "default": None}, "chefs.fields.firstName.type"),
        ({"max_length": 300}, "chefs.fields.firstName.max_length"),
        ({"max_length": None}, "chefs.fields.firstName.max_length"),
        ({"type": "datetime", "max_length": None, "default": None}, "chefs.fields.firstName.type"),
    ],
)
def test_a_mapping_that_does_not_fit_the_table_is_refused_by_its_key(legacy, change, key):
    field = {"column": "cheffirst", "type": "string", "max_length": 255, **change}
    first = {name: value for name, value in field.items() if value is not None}
    raw = {
        "legacy": {**vars(legacy.entity.legacy)},
        "modern": {"table": "chef", "key": "ChefId"},
        "fields": {"firstName": first, "lastName": {"column": "cheflast", "type": "string", "max_length": 255}},
    }
    found = schema_check.problems(legacy.server, entities.parse({"chefs": raw})["chefs"])
    assert [problem.split(": ")[0] for problem in found] == [key]


def test_bytes_and_documents_reach_a_client_as_json(specimens):
    body = {
        "label": "x",
        "price": "2.50",
        "found": "2026-01-31T10:00:00Z",
        "genome": base64.b64encode(b"\x00\xff").decode(),
    }
    made = specimens.store.create(
        None, mapping.fields_from_body(specimens.entity, {**body, "traits": {"a": [1, None]}})
    )
    shown = json.loads(json.dumps(mapping.body_from_record(specimens.entity, specimens.store.get(made.key))))
    assert (shown["genome"], shown["traits"], shown["price"]) == (body["genome"], {"a": [1, None]}, "2.5")


def test_a_natural_key_that_the_client_leaves_out_is_made(make_legacy):
    legacy = make_legacy("chefs", key_type="string", key="sku")
    made = legacy.store.create(None, {"firstName": "Ana", "lastName": None})
    assert legacy.store.get(made.key) == made
    assert len(made.key) == 36
