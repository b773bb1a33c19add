"""What capture and fence add to a legacy write, direct and through the Data API, and by number of indexes.

Each variant has a table of its own of the same shape, with some of the triggers that `copy start` installs. So one
INSERT and one UPDATE go to each table in turn, and nothing is installed between two of them.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from functions.domain import names
from sandbox.bench.rounds import seconds
from sandbox.bench.rows import Goal, Row, compared
from sandbox.bench.system import CHEFS, System

if TYPE_CHECKING:
    from pymysql import Connection

GROUP = "legacy write"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "capture": ("capture",),
    "fence": ("fence",),
    "capture+fence": ("fence", "capture"),
    "least": (),  # `_least` says what its triggers do
}
BOTH, LEAST = "capture+fence", "least"
INDEXES = {True: (0,), False: (0, 2, 8)}  # beside those of the table, if it is to be quick or not
GOALS = {"direct": Goal(at_most=1.25), "Data API": Goal(at_most=1.05)}
OF_LEAST = Goal(at_most=1.15)
Write = Callable[[str], object]


def rows(system: System) -> Iterator[Row]:
    """Microseconds of an INSERT and an UPDATE, each its own transaction."""
    system.capture(CHEFS)
    with system.connected(CHEFS) as connection:
        triggers = _triggers(connection)
        for indexes in INDEXES[system.quick]:
            _make_tables(connection, triggers, indexes)
            yield from _of_tables(system, connection, indexes)
        _drop_tables(connection)


def _of_tables(system: System, connection: Connection, indexes: int) -> Iterator[Row]:
    for way, write in {"direct": _direct(connection), "Data API": _data_api(system)}.items():
        found = _measured(system, write, way)
        _forget(connection)
        for variant in VARIANTS:
            if variant not in {"plain", LEAST} and (variant == BOTH or not indexes):
                name = f"{way}, both, {indexes} indexes" if indexes else f"{way}, {variant}"
                goal = GOALS[way] if variant == BOTH and not indexes else None
                yield compared(GROUP, name, "us", found[variant], found["plain"], goal)
        if not indexes:
            yield compared(GROUP, f"{way}, both, least triggers", "us", found[BOTH], found[LEAST], OF_LEAST)


def _measured(system: System, write: Write, way: str) -> dict[str, list[float]]:
    """The median of each variant in each round."""
    count = {"direct": 250, "Data API": 60}[way] // (2 if system.quick else 1)
    found: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(system.rounds + 1):
        times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(count):
            for variant in list(VARIANTS)[:: -1 if number % 2 else 1]:
                times[variant].append(1e6 * seconds(lambda variant=variant: _pair(write, _table(variant))) / 2)
        for variant, some in times.items():
            found[variant] += [statistics.median(some)] if number else []  # the first round warms up
    return found


def _pair(write: Write, table: str) -> None:
    write(f"INSERT INTO `{table}` (cheffirst, cheflast) VALUES ('bench', 'bench')")  # noqa: S608  # our own name
    write(f"UPDATE `{table}` SET cheffirst = 'again' ORDER BY id DESC LIMIT 1")  # noqa: S608  # likewise


def _direct(connection: Connection) -> Write:
    def write(sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return write


def _data_api(system: System) -> Write:
    client: Any = system.context.clients.rds_data
    target = system.context.target
    place = {
        "resourceArn": target.cluster_arn,
        "secretArn": target.master_secret_arn,
        "database": system.entity(CHEFS).legacy.database,
    }
    return lambda sql: client.execute_statement(**place, sql=sql)


def _triggers(connection: Connection) -> dict[str, str]:
    """The CREATE statements of the entity's triggers by name."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW TRIGGERS")
        found = [row[0] for row in cursor.fetchall() if row[0].startswith(names.RESERVED_PREFIX)]
        return {name: _definition(cursor, name) for name in found}


def _definition(cursor: Any, name: str) -> str:
    cursor.execute(f"SHOW CREATE TRIGGER {name}")
    text = str(cursor.fetchone()[2])
    return f"CREATE TRIGGER{text.split(' TRIGGER', 1)[1]}"


def _make_tables(connection: Connection, triggers: Mapping[str, str], indexes: int) -> None:
    _drop_tables(connection)
    with connection.cursor() as cursor:
        for variant, roles in VARIANTS.items():
            table = _table(variant)
            cursor.execute(f"CREATE TABLE `{table}` LIKE cheftable")
            for number in range(indexes):
                cursor.execute(f"ALTER TABLE `{table}` ADD INDEX more{number} (cheffirst({number + 10}))")
            for name, create in triggers.items():
                if any(name.startswith(f"{names.RESERVED_PREFIX}{role}_") for role in roles):
                    cursor.execute(_moved(create, name, table))
        for statement in _least(_table(LEAST)):
            cursor.execute(statement)


def _least(table: str) -> Iterator[str]:
    """Triggers that do what no fence and no capture can do without: lock one row, and insert one.

    Without a check of the user, a key, an epoch or a time.
    """
    read = f"SELECT fenced INTO @fenced FROM {names.CONTROL_TABLE} WHERE entity = '{CHEFS}' LOCK IN SHARE MODE"  # noqa: S608
    put = f"INSERT INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) VALUES ('', 0, '', '2000-01-01')"  # noqa: S608
    for event in ("INSERT", "UPDATE"):
        yield f"CREATE TRIGGER {table}_before_{event} BEFORE {event} ON `{table}` FOR EACH ROW {read}"
        yield f"CREATE TRIGGER {table}_after_{event} AFTER {event} ON `{table}` FOR EACH ROW {put}"


def _moved(create: str, name: str, table: str) -> str:
    """A trigger's statement for another table, under another name."""
    renamed = re.sub(rf"`?{name}`?", f"`{table}_{name.removeprefix(names.RESERVED_PREFIX)}`", create, count=1)
    return re.sub(r"`cheftable` FOR EACH ROW", f"`{table}` FOR EACH ROW", renamed, count=1)


def _drop_tables(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for variant in VARIANTS:
            cursor.execute(f"DROP TABLE IF EXISTS `{_table(variant)}`")


def _forget(connection: Connection) -> None:
    """Empty what capture collected: these rows are no entity's."""
    tables: Sequence[str] = [names.CHANGES_TABLE, *(_table(variant) for variant in VARIANTS)]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM `{table}`")  # noqa: S608  # our own names


def _table(variant: str) -> str:
    return f"bench_{variant.replace('+', '_')}"
