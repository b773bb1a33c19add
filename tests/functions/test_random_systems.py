"""Random tables with keys, indexes and triggers of their owner, all the way: prepared, copied, bridged, and as before.

A value reaches the other side exactly, or its record is in quarantine with the reason, and its neighbours go on.
`make tables` does it with more of them.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from random import Random
from typing import Any

import pymysql
import pytest
import random_tables
from copying import Copying, make_copying
from legacy_world import BASE, STREAM, Legacy, set_control
from sweep import LONG

from functions.aws.data_api import cell_text
from functions.bridge import stream_guard
from functions.domain import entities, mapping
from functions.domain.errors import InvalidFieldError, UnmappableError
from functions.install import schema_check, tables, triggers, uninstall

pytestmark = pytest.mark.sweep
FIRST, TABLES = int(os.environ.get("FIRST", "0")), int(os.environ.get("TABLES", "8" if LONG else "4"))
COLUMNS, ROWS, CHANGES = 5, 10, 12
NATURAL = (
    "VARCHAR(40) CHARACTER SET utf8mb4",
    "VARCHAR(60) CHARACTER SET latin1",
    "VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CHAR(12) CHARACTER SET ascii",
    "VARBINARY(80)",
)
KEYS = ("a", "A", "b ", "%41", "a/b", "1", "01", "é", "ж", "👩‍🍳", "x" * 30, "x" * 90, "0", "-1")
UNMAPPED = (
    "touched DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "added DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00'",
    "note VARCHAR(9) NOT NULL DEFAULT 'none'",
    "loud INT AS (1 + 1)",
)
LAX = "ALLOW_INVALID_DATES"
OWN_ERRORS = {1366, 1644, 3140, 3141, 4025}  # of an owner's INSERT: a wrong text, the rule, a wrong document


@dataclass
class System:
    """A table with copy, its random numbers, and the columns that its mapping has."""

    random: Random
    copying: Copying
    legacy: Legacy
    columns: dict[str, random_tables.RandomColumn]
    created: str

    @property
    def entity(self) -> entities.Entity:
        return self.legacy.entity


def shown(server, entity) -> str:
    row = server.query(f"SHOW CREATE TABLE `{entity.legacy.database}`.thing")[0]
    return cell_text(row[1]).partition(" AUTO_INCREMENT=")[0]


def described(random: Random, server, database: str) -> tuple[entities.Entity, dict[str, random_tables.RandomColumn]]:
    """A table, and the entity that the schema check lets through: with its settings, without what it refuses."""
    columns = {f"c{n}": random_tables.column(random) for n in range(COLUMNS)}
    natural = random.random() < 0.5
    key = f"id {random.choice(NATURAL)} NOT NULL" if natural else "id BIGINT NOT NULL AUTO_INCREMENT"
    extra = random.sample(UNMAPPED, random.randint(0, 2))
    ddl = ", ".join([f"{key} PRIMARY KEY", *(f"{name} {one.ddl}" for name, one in columns.items()), *extra])
    server.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    server.together([f"CREATE TABLE {database}.thing ({ddl})"], {}, ())
    fields: dict[str, dict[str, Any]] = {name: {"column": name, "type": one.type} for name, one in columns.items()}
    legacy = {"database": database, "table": "thing", "key": "id", "key_type": "string" if natural else "integer"}
    legacy["key_fixed"] = key.startswith("id CHAR")
    raw = {"legacy": legacy, "modern": {"table": "thing", "key": "ThingId"}}
    while True:
        entity = entities.parse({"things": {**raw, "fields": fields}})["things"]
        problems = schema_check.problems(server, entity)
        if not problems:
            return entity, {name: columns[name] for name in fields}
        for problem in problems:
            name = problem.split(".")[2]
            settings = random_tables.settings(problem)
            if not settings or settings.items() <= fields.get(name, {}).items():
                fields.pop(name, None)
                server.together([f"ALTER TABLE {database}.thing DROP COLUMN {name}"], {}, ())
            elif name in fields:
                fields[name] |= settings


@pytest.fixture(params=range(FIRST, FIRST + TABLES))
def system(request, data_api, bridge_user, database, sandbox):
    random, server, name = Random(request.param), data_api(), f"test_{uuid.uuid4().hex[:12]}"
    with database.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = %s", (LAX,))
    entity, columns = described(random, Lax(server, database), name)
    with database.cursor() as cursor:
        owners(cursor, random, name, columns)
        rows(cursor, random, entity, columns)
    created = shown(server, entity)
    tables.prepare(server, entity)
    stream_guard.confirm(server, entity, STREAM)
    legacy = Legacy(entity, server, data_api(name))
    copying = make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))
    yield System(random, copying, copying.legacy, columns, created)
    with database.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = DEFAULT")
        cursor.execute(f"DROP DATABASE {name}")


@dataclass
class Lax:
    """The server; tables are made in the owner's session, which is not strict."""

    server: Any
    connection: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)

    def together(self, statements, *_: Any) -> None:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def owners(cursor, random: Random, database: str, columns) -> None:
    """What the owner has beside the columns: an index, an audit, a rule."""
    usable = [name for name, one in columns.items() if one.type in {"integer", "datetime", "date", "decimal"}]
    if usable and random.random() < 0.5:
        cursor.execute(f"ALTER TABLE {database}.thing ADD UNIQUE ({random.choice(usable)})")
    if random.random() < 0.5:
        cursor.execute(f"CREATE TABLE {database}.audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6))")
        cursor.execute(
            f"CREATE TRIGGER {database}.audits AFTER UPDATE ON {database}.thing FOR EACH ROW "
            f"INSERT INTO {database}.audit (at) VALUES (NOW(6))"
        )
    numbers = [name for name, one in columns.items() if one.type == "integer"]
    if numbers and random.random() < 0.5:
        cursor.execute(
            f"CREATE TRIGGER {database}.rule BEFORE INSERT ON {database}.thing FOR EACH ROW "
            f"IF NEW.{numbers[0]} = 7 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'seven is not allowed'; END IF"
        )


def rows(cursor, random: Random, entity: entities.Entity, columns) -> None:
    """Rows of the owner's sessions, which are not strict."""
    for _ in range(ROWS):
        row = {name: one.raw(random) for name, one in columns.items() if random.random() < 0.8}
        if entity.legacy.key_type == "string":
            row["id"] = random.choice(KEYS)
        if row:
            place = f"`{entity.legacy.database}`.thing ({', '.join(row)})"
            try:
                cursor.execute(f"INSERT IGNORE INTO {place} VALUES ({', '.join(['%s'] * len(row))})", [*row.values()])
            except pymysql.err.MySQLError as error:
                if error.args[0] not in OWN_ERRORS:
                    raise


def read(system: System, key: str) -> dict[str, Any] | None:
    """The fields of a row; None where it does not fit the mapping."""
    try:
        return system.legacy.store.many([key])[key].fields
    except UnmappableError:
        return None


def keys(system: System) -> list[str]:
    return system.legacy.store.keys(1000, "")[0]


def test_a_system_goes_over_and_back_exactly_or_names_what_it_refuses(system, database):
    copying = system.copying
    copying.begin()
    copying.catch_up()
    with database.cursor() as cursor:
        rows(cursor, system.random, system.entity, system.columns)
    copying.catch_up()
    copied, refused = copying.modern(), copying.quarantined
    assert all(any(name in reason for name in (*system.columns, "key")) for reason in refused.values()), refused
    for key in keys(system):
        fields = read(system, key)
        assert (copied.get(key) == fields) if fields is not None and key not in refused else key not in copied
    assert set(copied) <= set(keys(system))
    set_control(system.legacy, legacy_stamp=0, generation=2, fenced=1)
    bridged = changed(system, copying.items())
    quarantined = system.legacy.quarantined.changes
    assert all(reason for reason, _ in quarantined.values())
    present = keys(system)  # a key of another case finds the same row
    for key, item in bridged.items():
        if key not in quarantined:
            expected = item and mapping.record_from_item(system.entity, item).fields
            assert (read(system, key) if key in present else None) == expected
    triggers.remove_for_good(system.legacy.server, system.entity)
    uninstall.remove(system.legacy.server, system.entity)
    assert shown(system.legacy.server, system.entity) == system.created


def streamed(key: str, sequence: int, item: dict[str, Any] | None) -> dict[str, Any]:
    """A stream record."""
    data = {"Keys": {"ThingId": {"S": key}}, "SequenceNumber": str(sequence)}
    image = {} if item is None else {"NewImage": item}
    return {"eventName": "REMOVE" if item is None else "MODIFY", "dynamodb": {**data, **image}}


def changed(system: System, items: dict[str, Any]) -> dict[str, Any]:
    """What modern's clients then make of the items, bridged in batches; the items that were touched."""
    random, touched, batch = system.random, dict[str, Any](), []
    system.legacy.written(*(streamed(key, 0, item) for key, item in items.items()))
    known = [*items, *(KEYS if system.entity.legacy.key_type == "string" else ("u-1", "u-2", "👩‍🍳"))]
    for number in range(CHANGES):
        key = random.choice(known)
        if random.random() < 0.2:
            item = None
        else:
            body = {name: random_tables.sent(random, one.type) for name, one in system.columns.items()}
            try:
                fields = mapping.fields_from_body(system.entity, body)
            except InvalidFieldError:
                continue
            item = mapping.item_from_record(system.entity, mapping.Record(key, fields))
        touched[key] = item
        batch.append(streamed(key, BASE + number, item))
        if random.random() < 0.5:
            system.legacy.apply(*batch)
            batch = []
    system.legacy.apply(*batch)
    return touched
