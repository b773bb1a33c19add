"""What `runbook complete` drops from Aurora: an entity's triggers and columns, then what no other entity needs.

Every part is looked for first, so that it may be killed anywhere and run again, twice at once too.
"""

import time
from typing import Any

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, online_ddl, tables, tokens, triggers

AT_ONCE = 5000  # rows of a helper table that are forgotten in one statement
NO_GRANT = frozenset({1133, 1141, 1147})  # no such user, or no such right


def remove(server: DataApi, entity: Entity, *, block_writers: bool = False) -> dict[str, Any]:
    """Leave the entity's table as it was before streamback, and no trace elsewhere that no other entity needs.

    Returns:
        `triggers`, `columns` and `tables` that were dropped now, and `user`: whether the bridge's was.

    Raises:
        TableBusyError: a transaction uses the table all the time; run it again.
        StillAlteringError: the table is being changed still; run it again.
        BlockedWritersError: it would block writers, and `block_writers` does not allow that.
    """
    dropped: dict[str, Any] = {"triggers": triggers.remove_for_good(server, entity)}  # first: they name the columns
    dropped["columns"] = _columns(server, entity, block_writers=block_writers)
    _forget(server, entity)
    dropped["tables"] = _helpers(server, entity)
    dropped["user"] = _user(server)
    return dropped


def leftovers(server: DataApi, entity: Entity) -> list[str]:
    """What of an entity `remove` would take away now, by name; empty when no trace is left."""
    found = _triggers(server, entity)
    found += _present_columns(server, entity)
    found += [f"index {names.KEY_COLUMN}"] * tables.has_index(server, entity)
    present = _present(server, entity)
    if names.CONTROL_TABLE not in present:
        return found + present
    known = control_row.entities(server, entity)
    if not known:
        return found + present
    return found + [f"a row of {names.CONTROL_TABLE}"] * (entity.name in known)


def _triggers(server: DataApi, entity: Entity) -> list[str]:
    sql = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = :database"
    rows = server.query(sql, {"database": {"stringValue": entity.legacy.database}})
    there = {cell_text(row[0]) for row in rows}
    return [name for name in triggers.bodies(entity) if name in there]


def _columns(server: DataApi, entity: Entity, *, block_writers: bool) -> list[str]:
    """Drop the index, then the columns: apart, so that the second needs no rebuild of the table."""
    deadline = time.monotonic() + online_ddl.TIMEOUT_SECONDS
    if tables.has_index(server, entity):
        online_ddl.alter(
            server,
            entity,
            f"DROP INDEX {names.KEY_COLUMN}",
            lambda: not tables.has_index(server, entity),
            deadline,
            block_writers=block_writers,
        )
    found = _present_columns(server, entity)
    if found:
        drops = ", ".join(f"DROP COLUMN {name}" for name in found)
        online_ddl.alter(
            server, entity, drops, lambda: not _present_columns(server, entity), deadline, block_writers=block_writers
        )
    return found


def _present_columns(server: DataApi, entity: Entity) -> list[str]:
    return [name for name in tables.COLUMNS if tables.has_column(server, entity, name)]


def _forget(server: DataApi, entity: Entity) -> None:
    """Take the entity's rows out of the helper tables."""
    values = {"entity": {"stringValue": entity.name}}
    for name in _present(server, entity):
        table = f"`{entity.legacy.database}`.{name}"
        while server.execute(f"DELETE FROM {table} WHERE entity = :entity LIMIT {AT_ONCE}", values):  # noqa: S608
            pass
    _revoke(server, [tables.granted(tables.place(entity))])


def _helpers(server: DataApi, entity: Entity) -> list[str]:
    """Drop the helper tables, unless the control table knows another entity; that one last, because it names them."""
    present = _present(server, entity)
    if names.CONTROL_TABLE in present and control_row.entities(server, entity):
        return []
    _revoke(server, [tables.granted(f"`{entity.legacy.database}`.{name}") for name in tables.EVERY_TABLE])
    control_row.drop_procedure(server, entity)
    tokens.drop_procedures(server, entity)
    online_ddl.sweep(server, entity.legacy.database)
    for name in sorted(present, key=lambda name: name == names.CONTROL_TABLE):
        server.execute(f"DROP TABLE IF EXISTS `{entity.legacy.database}`.{name}")
    return present


def _user(server: DataApi) -> bool:
    """Drop the bridge's user when no database has a table of control any more."""
    if _tables(server, "table_name = :name", name=names.CONTROL_TABLE):
        return False
    server.execute(f"DROP USER IF EXISTS '{names.BRIDGE_USER}'@'%'")
    return True


def _revoke(server: DataApi, grants: list[str]) -> None:
    for grant in grants:
        try:
            server.execute(f"REVOKE {grant} FROM '{names.BRIDGE_USER}'@'%'")
        except DataApiError as error:
            if error.code not in NO_GRANT:
                raise


def _present(server: DataApi, entity: Entity) -> list[str]:
    found = _tables(server, "table_schema = :database", database=entity.legacy.database)
    return [name for name in tables.EVERY_TABLE if name in found]


def _tables(server: DataApi, where: str, **values: str) -> set[str]:
    sql = f"SELECT table_name FROM information_schema.tables WHERE {where}"  # noqa: S608  # texts of ours
    typed = {name: {"stringValue": value} for name, value in values.items()}
    return {cell_text(row[0]) for row in server.query(sql, typed)}
