"""A foreign writer in Aurora: one transaction of plain SQL on the legacy table, as an old batch job sends it."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymysql

from functions.domain.entities import Entity
from sandbox.chaos.foreign import other_fields
from sandbox.chaos.foreign.effects import Call, Effect
from sandbox.load import Shape
from sandbox.load.records import DELETE, GET, MAYBE, NOTHING, POST, PUT

LONGEST_TRANSACTION = 3.0  # seconds between two statements of a long one
ROLLED_BACK = 0.2  # share of the long transactions that end so
PROCEDURE = "foreign_change"
KEY_TYPES = {"integer": "INT", "string": "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}

Cursor = Any
Values = Callable[[], str]  # a new unique value at each call


class Rows:
    """Writes rows.

    Args:
        connect: opens a connection to the database, with autocommit.
        values: makes unique values.
    """

    def __init__(
        self, connect: Callable[[], Any], entity: Entity, shape: Shape, values: Values, rng: random.Random
    ) -> None:
        place = entity.legacy
        self._connect = connect
        self._shape = shape
        self._values = values
        self._rng = rng
        self._table, self._key = f"`{place.database}`.`{place.table}`", f"`{place.key}`"
        self._procedure = f"`{place.database}`.{PROCEDURE}"
        self._columns = [f"`{entity.fields[name].column}`" for name in shape.fields]
        self._natural, self._key_type = place.key_type == "string", KEY_TYPES[place.key_type]
        self._others = {f"`{column}`": value for column, value in other_fields.columns(entity, shape).items()}
        self._open: Any = None

    def prepare(self) -> None:
        """Make the stored procedure that one of the writers calls."""
        given = ", ".join(f"IN v{number} TEXT" for number in range(len(self._columns)))
        sets = ", ".join(f"{column} = v{number}" for number, column in enumerate(self._columns))
        with self._cursor() as cursor:
            cursor.execute(f"DROP PROCEDURE IF EXISTS {self._procedure}")
            cursor.execute(
                f"CREATE PROCEDURE {self._procedure}(IN of_key {self._key_type}, {given}) "  # noqa: S608  # checked names
                f"BEGIN UPDATE {self._table} SET {sets} WHERE {self._key} = of_key; END"
            )

    def write(self, keys: Sequence[str]) -> Call:
        """One transaction of some kind on records under some of these keys."""
        kinds = (self._update, self._update, self._insert, self._insert_ignore, self._replace, self._several)
        kind = self._rng.choice((*kinds, self._delete, self._call, self._long))
        chosen = self._rng.sample(list(keys), min(2, len(keys)))
        return self._transaction(kind if len(chosen) > 1 else self._insert, chosen)

    def read(self, key: str) -> Call:
        """Read one record."""
        begun = time.monotonic()
        try:
            with self._cursor() as cursor:
                found = self._found(cursor, [key])
        except pymysql.err.MySQLError:
            return self._lost([Effect(GET, key)], begun, NOTHING)
        return Call([Effect(GET, key, found.get(key, ""), key in found)], begun, time.monotonic())

    def _transaction(self, kind: Callable[[Cursor, Sequence[str]], list[Effect]], keys: Sequence[str]) -> Call:
        """What an error before COMMIT leaves is nothing; one of COMMIT itself leaves a doubt."""
        begun, effects, outcome = time.monotonic(), list[Effect](), NOTHING
        try:
            with self._cursor() as cursor:
                cursor.execute("START TRANSACTION")
                effects = kind(cursor, keys)
                if not effects:
                    cursor.execute("ROLLBACK")
                    return Call((), begun, time.monotonic())
                outcome = MAYBE
                cursor.execute("COMMIT")
        except pymysql.err.MySQLError:
            return self._lost(effects, begun, outcome)
        return Call(effects, begun, time.monotonic())

    def _update(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        return [self._set(cursor, keys[0])]

    def _several(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        """One statement for several rows, as `INSERT ... ON DUPLICATE KEY UPDATE` of those that are there."""
        there = [key for key in keys if key in self._found(cursor, keys)]
        if not there:
            return [Effect(PUT, key, "", found=False) for key in keys[:1]]
        values = {key: self._values() for key in there}
        row = self._marks(self._width)
        sets = ", ".join(f"{column} = VALUES({column})" for column in self._columns)
        cursor.execute(
            f"INSERT INTO {self._table} ({self._all}) VALUES {', '.join([row] * len(there))} "  # noqa: S608  # likewise
            f"ON DUPLICATE KEY UPDATE {sets}",
            [part for key, value in values.items() for part in self._row(key, value)],
        )
        return [Effect(PUT, key, value) for key, value in values.items()]

    def _insert(self, cursor: Cursor, _: Sequence[str]) -> list[Effect]:
        """Several new rows by one statement."""
        return self._inserted(cursor, "INSERT", [self._values() for _ in range(2)])

    def _insert_ignore(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        """A row that is there stays as it is; a new one is made."""
        ignored = self._row(keys[0], self._values())
        cursor.execute(
            f"INSERT IGNORE INTO {self._table} ({self._all}) "  # noqa: S608  # likewise
            f"SELECT {', '.join(['%s'] * self._width)} FROM {self._table} WHERE {self._key} = %s",
            [*ignored, keys[0]],
        )
        return self._inserted(cursor, "INSERT IGNORE", [self._values()])

    def _inserted(self, cursor: Cursor, verb: str, values: Sequence[str]) -> list[Effect]:
        """What is there after it: IGNORE makes warnings of errors."""
        first = 0 if self._natural else 1  # a table that assigns its keys is given none
        rows = [self._row(f"row-{value}", value)[first:] for value in values]
        columns, row = ", ".join(self._all_columns[first:]), self._marks(self._width - first)
        cursor.execute(
            f"{verb} INTO {self._table} ({columns}) VALUES {', '.join([row] * len(values))}",
            [part for one in rows for part in one],
        )
        cursor.execute(
            f"SELECT {self._key}, {self._columns[0]} FROM {self._table} "  # noqa: S608  # likewise
            f"WHERE {self._columns[0]} IN {self._marks(len(values))}",
            values,
        )
        return [Effect(POST, str(key), _text(value)) for key, value in cursor.fetchall()]

    def _replace(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        """REPLACE deletes and inserts; under a key that is free it would make a record, so it is not used there."""
        if keys[0] not in self._found(cursor, keys[:1]):
            return [Effect(PUT, keys[0], "", found=False)]
        value = self._values()
        cursor.execute(
            f"REPLACE INTO {self._table} ({self._all}) VALUES {self._marks(self._width)}",  # noqa: S608  # likewise
            self._row(keys[0], value),
        )
        return [Effect(PUT, keys[0], value)]

    def _delete(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        count = cursor.execute(f"DELETE FROM {self._table} WHERE {self._key} = %s", [keys[0]])  # noqa: S608  # likewise
        return [Effect(DELETE, keys[0], found=count > 0)]

    def _call(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        """A stored procedure does the write."""
        there, value = self._found(cursor, keys[:1]), self._values()
        cursor.execute(f"CALL {self._procedure}{self._marks(1 + len(self._columns))}", [keys[0], *self._fields(value)])
        return [Effect(PUT, keys[0], value, found=keys[0] in there)]

    def _long(self, cursor: Cursor, keys: Sequence[str]) -> list[Effect]:
        """Two statements with a pause between; sometimes it ends with ROLLBACK."""
        first = self._set(cursor, keys[0])
        time.sleep(self._rng.uniform(0.3, LONGEST_TRANSACTION))
        second = self._set(cursor, keys[1])
        return [] if self._rng.random() < ROLLED_BACK else [first, second]

    def _set(self, cursor: Cursor, key: str) -> Effect:
        value = self._values()
        sets = ", ".join(f"{column} = %s" for column in self._columns)
        sql = f"UPDATE {self._table} SET {sets} WHERE {self._key} = %s"  # noqa: S608  # likewise
        return Effect(PUT, key, value, found=cursor.execute(sql, [*self._fields(value), key]) > 0)

    def _found(self, cursor: Cursor, keys: Sequence[str]) -> Mapping[str, str]:
        cursor.execute(
            f"SELECT {self._key}, {self._columns[0]} FROM {self._table} "  # noqa: S608  # likewise
            f"WHERE {self._key} IN {self._marks(len(keys))}",
            keys,
        )
        return {str(key): _text(value) for key, value in cursor.fetchall()}

    @property
    def _all_columns(self) -> list[str]:
        return [self._key, *self._columns, *self._others]

    @property
    def _all(self) -> str:
        return ", ".join(self._all_columns)

    @property
    def _width(self) -> int:
        return len(self._all_columns)

    def _row(self, key: str, value: str) -> list[Any]:
        """The values of all columns, the key's first."""
        return [key, *self._fields(value), *self._others.values()]

    def _fields(self, value: str) -> list[str]:
        body = self._shape.body(value)
        return [body[name] for name in self._shape.fields]

    @staticmethod
    def _marks(count: int) -> str:
        return f"({', '.join(['%s'] * count)})"

    def _cursor(self) -> Cursor:
        if self._open is None:
            self._open = self._connect()
        return self._open.cursor()

    def _lost(self, effects: Sequence[Effect], begun: float, outcome: str) -> Call:
        """End the connection, which ends its transaction; the next call opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None
        return Call(effects, begun, time.monotonic(), outcome)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
