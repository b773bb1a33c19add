"""entities.toml is checked whole: every mistake at once, each with its key."""

from __future__ import annotations

import pytest

from functions.domain import entities

GOOD = {
    "legacy": {"database": "d", "table": "t", "key": "id"},
    "modern": {"table": "tab", "key": "Key"},
    "fields": {"name": {"column": "name", "type": "string"}},
}


def problems(raw):
    with pytest.raises(entities.EntitiesError) as raised:
        entities.parse(raw)
    return raised.value.problems


def with_field(**field):
    return {"cooks": {**GOOD, "fields": {"name": {"column": "name", "type": "string", **field}}}}


def test_a_good_mapping_is_read_with_its_defaults():
    cooks = entities.parse({"cooks": GOOD})["cooks"]
    assert cooks.legacy.key_type == "integer"
    assert cooks.fields["name"].required is False


def test_every_mistake_is_reported_at_once_and_by_its_key():
    raw = {"Cooks": {"legacy": {"database": "d", "tabel": "t"}, "fields": {"id": {"type": "strng", "column": "a b"}}}}
    keys = [problem.split(": ")[0] for problem in problems(raw)]
    assert keys == [
        "Cooks",
        "Cooks.legacy.table",
        "Cooks.legacy.key",
        "Cooks.legacy.tabel",
        "Cooks.modern",
        "Cooks.fields.id",
        "Cooks.fields.id.type",
        "Cooks.fields.id.column",
    ]


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({}, "entities.toml"),
        ({"aurora": GOOD}, "aurora"),
        ({"cooks": {**GOOD, "fields": {}}}, "cooks.fields"),
        ({"cooks": {**GOOD, "fields": 3}}, "cooks.fields"),
        ({"a": GOOD, "b": GOOD}, "legacy"),
        ({"cooks": {**GOOD, "legacy": {**GOOD["legacy"], "key_fixed": True}}}, "cooks.legacy.key_fixed"),
        (with_field(default=5), "cooks.fields.name.default"),
        (with_field(max_length=0), "cooks.fields.name.max_length"),
        (with_field(required="yes"), "cooks.fields.name.required"),
        (with_field(column="id"), "cooks.fields.name.column"),
        (with_field(column="streamback_key"), "cooks.fields.name.column"),
        (with_field(precision=3), "cooks.fields.name.precision"),
        (with_field(type="decimal", precision=3, scale=5), "cooks.fields.name.scale"),
        (with_field(fixed=True), "cooks.fields.name.fixed"),
        (with_field(choices=["a", 1]), "cooks.fields.name.choices"),
        (with_field(choices=["a"], default="b"), "cooks.fields.name.default"),
        (with_field(type="json", json_null="null", required=True), "cooks.fields.name.json_null"),
        (with_field(type="integer", bits=12), "cooks.fields.name.bits"),
        (with_field(type="integer", unsigned="yes"), "cooks.fields.name.unsigned"),
        (with_field(type="integer", bits=8, default=200), "cooks.fields.name.default"),
        (with_field(fraction=0), "cooks.fields.name.fraction"),
        (with_field(type="datetime", fraction=7), "cooks.fields.name.fraction"),
        (with_field(type="datetime", rounding="down"), "cooks.fields.name.rounding"),
        (with_field(type="datetime", fraction=0, default="2026-01-31T10:00:00.5Z"), "cooks.fields.name.default"),
        (with_field(type="date", zero_date="0000-00-00"), "cooks.fields.name.zero_date"),
        (with_field(type="date", zero_date="null", required=True), "cooks.fields.name.zero_date"),
    ],
)
def test_a_mistake_is_reported_by_its_key(raw, key):
    assert key in [problem.split(": ")[0] for problem in problems(raw)]


def test_a_file_that_is_not_there_or_not_toml_is_said_so(tmp_path):
    broken = tmp_path / "entities.toml"
    with pytest.raises(entities.EntitiesError, match="cannot be read"):
        entities.load(broken)
    broken.write_text("[chefs")
    with pytest.raises(entities.EntitiesError, match="is not TOML"):
        entities.load(broken)
