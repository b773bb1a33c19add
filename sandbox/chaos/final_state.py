"""What both sides hold, read past the product's own code: straight from DynamoDB and straight from the database."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from functions.domain import names
from sandbox.chaos.checker import Found
from sandbox.chaos.system import Arena
from sandbox.load import Shape


def seed(arena: Arena, shape: Shape, count: int) -> dict[str, str]:
    """Put so many rows into Aurora, as an application of years ago did; their values by key."""
    legacy, fields = arena.entity.legacy, arena.entity.fields
    columns = ", ".join(f"`{fields[name].column}`" for name in shape.fields)
    marks = ", ".join(["%s"] * len(shape.fields))
    sql = f"INSERT INTO `{legacy.database}`.`{legacy.table}` ({columns}) VALUES ({marks})"  # noqa: S608  # checked names
    values = [f"before-{number}" for number in range(count)]
    with arena.sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(sql, [[shape.body(value)[name] for name in shape.fields] for value in values])
        first = fields[shape.fields[0]].column
        cursor.execute(f"SELECT `{legacy.key}`, `{first}` FROM `{legacy.database}`.`{legacy.table}`")  # noqa: S608  # checked
        return {str(key): str(value) for key, value in cursor.fetchall()}


def legacy(arena: Arena, shape: Shape) -> list[Found]:
    place, fields = arena.entity.legacy, arena.entity.fields
    columns = ", ".join(f"`{fields[name].column}`" for name in shape.fields)
    key = f"COALESCE({names.KEY_COLUMN}, CAST(`{place.key}` AS CHAR))"
    with arena.sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}, {columns} FROM `{place.database}`.`{place.table}`")  # noqa: S608  # checked names
        rows = cursor.fetchall()
    return _found(shape, ((_text(row[0]), dict(zip(shape.fields, row[1:], strict=True))) for row in rows))


def modern(arena: Arena, shape: Shape) -> list[Found]:
    """The items of DynamoDB, heartbeats left out."""
    pages = arena.clients.dynamodb.get_paginator("scan").paginate(
        TableName=arena.deployed.modern_table, ConsistentRead=True
    )
    items: list[Mapping[str, Any]] = [item for page in pages for item in page["Items"]]
    key, fields = arena.entity.modern.key, arena.entity.fields
    return _found(
        shape,
        (
            (item[key]["S"], {name: _attribute(item, name, fields[name].default) for name in shape.fields})
            for item in items
            if names.HEARTBEAT_ATTRIBUTE not in item
        ),
    )


def keys(arena: Arena) -> list[str]:
    """The keys of all items, heartbeats left out."""
    pages = arena.clients.dynamodb.get_paginator("scan").paginate(TableName=arena.deployed.modern_table)
    name = arena.entity.modern.key
    items: list[Mapping[str, Any]] = [item for page in pages for item in page["Items"]]
    return [item[name]["S"] for item in items if names.HEARTBEAT_ATTRIBUTE not in item]


def definition(arena: Arena) -> str:
    """The legacy table's definition, without its counter."""
    place = arena.entity.legacy
    with arena.sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE `{place.database}`.`{place.table}`")
        row = cursor.fetchone() or ("", "")
    return " ".join(part for part in str(row[1]).split() if not part.startswith("AUTO_INCREMENT="))


def _attribute(item: Mapping[str, Any], name: str, default: Any) -> Any:
    attribute = item.get(name)
    return default if attribute is None else attribute.get("S")


def _found(shape: Shape, records: Iterable[tuple[str, dict[str, Any]]]) -> list[Found]:
    return [
        Found(
            key,
            str(fields[shape.fields[0]]),
            json.dumps(fields, ensure_ascii=False, sort_keys=True),
            bool(shape.value(fields)[1]),
        )
        for key, fields in records
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
