"""Rows in the legacy tables of a sandbox, as an owner's API may have written them before streamback came."""

import json
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pymysql

from functions.aws.mysql_errors import NO_DATABASE, NO_TABLE
from functions.domain import entities
from functions.domain.entities import Entity
from functions.domain.values import Field
from sandbox import chefs
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox

AT_ONCE = 500  # rows in one statement
LONGEST_NUMBER, LONGEST_SECONDS = 10**6, 10**9


def fill(sandbox: Sandbox, rows: int) -> dict[str, int]:
    """Add random rows to each entity's legacy table; returns how many rows each has then, by entity.

    Raises:
        SandboxError: a table is missing, or takes no such rows.
    """
    mapping = entities.parse(sandbox.outputs["mapping"])
    return {name: _fill(sandbox, entity, rows) for name, entity in mapping.items()}


def _fill(sandbox: Sandbox, entity: Entity, rows: int) -> int:
    legacy, drawn = entity.legacy, random.Random()  # noqa: S311  # test data
    fields = entity.fields.values()
    columns = [f"`{field.column}`" for field in fields]
    natural = legacy.key_type == "string"
    columns += [f"`{legacy.key}`"] if natural else []
    sql = f"INSERT INTO `{legacy.table}` ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608
    try:
        with sandbox.database.connect(database=legacy.database) as connection, connection.cursor() as cursor:
            for start in range(0, rows, AT_ONCE):
                some = range(min(AT_ONCE, rows - start))
                keys = [[str(uuid.uuid4())] if natural else [] for _ in some]
                cursor.executemany(sql, [[*(_value(field, drawn) for field in fields), *key] for key in keys])
            cursor.execute(f"SELECT COUNT(*) FROM `{legacy.table}`")  # noqa: S608  # a checked name
            return int(cursor.fetchall()[0][0])
    except pymysql.MySQLError as error:
        raise _explained(entity, error) from error


def _explained(entity: Entity, error: pymysql.MySQLError) -> SandboxError:
    if error.args[0] in {NO_DATABASE, NO_TABLE}:
        missing = f"the table {entity.legacy.database}.{entity.legacy.table} is not there"
        return SandboxError(f"{missing}: run `runbook init --create-tables`, then fill it.")
    return SandboxError(f"{entity.name}: the table takes no random rows: {error.args[-1]}")


def _value(field: Field, drawn: random.Random) -> Any:
    """What a column has for a field of any type."""
    moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=drawn.randrange(LONGEST_SECONDS))
    lowest, highest = field.whole_numbers
    digits = min(field.precision, len(str(LONGEST_NUMBER)))
    made: Mapping[str, Any] = {
        "string": _text(field, drawn),
        "integer": drawn.randint(max(lowest, -LONGEST_NUMBER), min(highest, LONGEST_NUMBER)),
        "decimal": Decimal(drawn.randrange(10**digits)).scaleb(-field.scale),
        "boolean": drawn.randrange(2),
        "datetime": moment.strftime("%Y-%m-%d %H:%M:%S"),
        "date": moment.date().isoformat(),
        "bytes": drawn.randbytes(field.max_length if field.fixed and field.max_length else 1),
        "json": json.dumps({"seats": drawn.randint(1, 9)}),
    }
    return made[field.type]


def _text(field: Field, drawn: random.Random) -> str:
    if field.choices:
        return drawn.choice(field.choices)
    made = chefs.name(drawn, field.max_length or chefs.LONGEST)
    return made.rstrip(" ") if field.fixed else made
