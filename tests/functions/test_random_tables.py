"""Random tables: the schema check refuses a column with a reason, or each value keeps exact or is refused by name."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from random import Random

import pymysql
import pytest
import random_tables
from sweep import LONG

from functions.aws.mysql_errors import PermanentError
from functions.domain import entities, mapping
from functions.domain.errors import InvalidFieldError, UnmappableError
from functions.install import schema_check
from functions.legacy.table import LegacyStore

pytestmark = pytest.mark.sweep
TABLES = 12 if LONG else 6
COLUMNS, ROWS, BODIES = 8, 12, 5
NO_JSON = {4025, 3140, 3141}  # MariaDB's and MySQL's errors of a text that is no document
MODE = "ALLOW_INVALID_DATES"  # not strict: old rows came from such sessions


@pytest.fixture(scope="module", params=range(TABLES))
def drawn(request, make_own):
    """A random table with the settings that the schema check asks for, and the columns that it accepts."""
    random = Random(request.param)
    columns = {f"c{n}": random_tables.column(random) for n in range(COLUMNS)}
    described = {name: {"column": name, "type": column.type} for name, column in columns.items()}
    legacy = make_own(", ".join(f"{name} {column.ddl}" for name, column in columns.items()), described, prepared=True)
    raw = {"legacy": vars(legacy.entity.legacy), "modern": vars(legacy.entity.modern)}
    problems: list[str] = []
    for _ in range(3):
        entity = entities.parse({"things": {**raw, "fields": described}})["things"]
        problems = schema_check.problems(legacy.server, entity)
        for problem in problems:
            described[problem.split(".")[2]] |= random_tables.settings(problem)
    for name in {problem.split(".")[2] for problem in problems}:
        assert columns[name].ddl.partition(" N")[0] in random_tables.UNSUPPORTED, problems
        legacy.database.execute(f"ALTER TABLE thing DROP COLUMN {name}")
        del described[name]
    entity = entities.parse({"things": {**raw, "fields": described}})["things"]
    return random, LegacyStore(entity, legacy.database), entity, {name: columns[name] for name in described}


def _number(text):
    return Decimal(text).normalize() or Decimal(0)


def _contents(cursor, entity, key):
    """What the row has, past every conversion: hex, or a document's exact numbers."""
    exact = {
        "boolean": "HEX(`{}` + 0)",
        "integer": "HEX(CAST(`{}` AS CHAR))",
        "decimal": "HEX(CAST(`{}` AS CHAR))",
        "date": "HEX(CAST(`{}` AS CHAR))",
        "datetime": "HEX(CAST(`{}` AS CHAR))",
        "json": "`{}`",
    }
    parts = ", ".join(exact.get(field.type, "HEX(`{}`)").format(field.column) for field in entity.fields.values())
    cursor.execute(f"SELECT {parts} FROM `{entity.legacy.database}`.thing WHERE id = %s", (key,))
    found = dict(zip(entity.fields, cursor.fetchone(), strict=True))
    for name, field in entity.fields.items():
        if field.type == "json" and found[name] is not None:
            found[name] = repr(json.loads(found[name], parse_float=_number, parse_int=_number))
    return found


def _inserted(cursor, entity, row) -> str:
    """The key of a new row; "" if the table takes none like it."""
    place = f"`{entity.legacy.database}`.thing ({', '.join(row)})"
    try:
        cursor.execute(f"INSERT IGNORE INTO {place} VALUES ({', '.join(['%s'] * len(row))})", tuple(row.values()))
    except pymysql.err.OperationalError as error:
        if error.args[0] not in NO_JSON:
            raise
        return ""
    return str(cursor.lastrowid)


def _there_and_back(store, entity, key) -> tuple[str, str]:
    """The key of a row that is written from the item of another; else the field by whose name it is refused."""
    try:
        item = mapping.item_from_record(entity, store.get(key))
        return store.create(None, mapping.record_from_item(entity, item).fields).key, ""
    except UnmappableError as refused:
        return "", refused.field


def test_a_row_goes_to_an_item_and_back_exactly_or_is_refused_by_its_field(drawn, database):
    random, store, entity, columns = drawn
    with database.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = %s", (MODE,))
        for _ in range(ROWS):
            row = {name: column.raw(random) for name, column in columns.items() if random.random() < 0.8}
            if key := _inserted(cursor, entity, row):
                made, refused = _there_and_back(store, entity, key)
                assert made or refused in columns
                assert not made or _contents(cursor, entity, made) == _contents(cursor, entity, key)


def _created(store, entity, body) -> tuple[mapping.Record | None, str]:
    """The record that is made of a body; else why the API, or the database, refuses it."""
    try:
        return store.create(None, mapping.fields_from_body(entity, body)), ""
    except (InvalidFieldError, PermanentError) as refused:
        return None, str(refused)


def test_what_a_client_sends_is_kept_exactly_or_refused(drawn):
    random, store, entity, columns = drawn
    for name in [*columns] * BODIES:
        good = {other: _good(entity.fields[other]) for other in columns if other != name}
        made, refused = _created(store, entity, {**good, name: random_tables.sent(random, columns[name].type)})
        if made is None:
            assert name in refused
        else:
            assert store.get(made.key) == made
            assert mapping.record_from_item(entity, mapping.item_from_record(entity, made)) == made


def _good(field):
    return {
        "integer": 1,
        "boolean": True,
        "decimal": "0",
        "string": field.choices[0] if field.choices else "",
        "bytes": base64.b64encode(b"a" * (field.max_length if field.fixed else 1)).decode(),
        "datetime": "2020-02-29T12:34:56Z",
        "date": "2020-02-29",
        "json": {},
    }[field.type]
