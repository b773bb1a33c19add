"""Which stream a table's sequence numbers belong to: they compare within one stream only.

A table whose stream was re-enabled, or that was made anew, has a new stream, and its numbers say nothing about the old
ones. The bridge refuses records of a stream that was not confirmed, so that none is taken for an old one and dropped;
`runbook init` confirms the new stream and clears the old numbers.
"""

from collections.abc import Iterator
from typing import Any

from functions.aws.data_api import DataApi, cell_text
from functions.domain import names
from functions.domain.entities import Entity

AT_ONCE = 5000  # rows whose number is forgotten in one statement, so that no lock is held for long
Values = dict[str, dict[str, Any]]


class UnknownStreamError(Exception):
    """Records of a stream that the legacy database was not prepared for; `runbook init` prepares it."""


def check(database: DataApi, entity: Entity, stream_arn: str) -> None:
    """Let records of the known stream pass.

    Args:
        database: on the entity's database.
        stream_arn: where the records come from.

    Raises:
        UnknownStreamError: it is not the stream that `runbook init` was last run for.
    """
    expected = known(database, entity)
    if expected != stream_arn:
        raise UnknownStreamError(
            f"{entity.name}: records come from {stream_arn}, prepared for {expected or 'none yet'}; run `runbook init`"
        )


def confirm(server: DataApi, entity: Entity, stream_arn: str) -> bool:
    """Make a stream the known one; whether it was another before, and its numbers are now cleared."""
    before = known(server, entity)
    if before == stream_arn:
        return False
    if before:
        _forget(server, entity)
    values = {"entity": {"stringValue": entity.name}, "arn": {"stringValue": stream_arn}}
    server.execute(
        f"INSERT INTO {_table(entity)} (entity, stream_arn) VALUES (:entity, :arn) "  # noqa: S608  # checked names
        "ON DUPLICATE KEY UPDATE stream_arn = VALUES(stream_arn)",
        values,
    )
    return bool(before)


def _forget(server: DataApi, entity: Entity) -> None:
    legacy, column = entity.legacy, names.SEQUENCE_COLUMN
    for where, values in _stretches(server, entity):
        rows = f"UPDATE `{legacy.database}`.`{legacy.table}` SET {column} = NULL"  # noqa: S608  # checked names
        server.execute(f"{rows} WHERE {where} AND {column} IS NOT NULL", values)
    for table in (names.DELETES_TABLE, names.HEARTBEATS_TABLE):
        old = f"DELETE FROM `{legacy.database}`.{table} WHERE entity = :entity"  # noqa: S608  # checked names
        while server.execute(f"{old} LIMIT {AT_ONCE}", {"entity": {"stringValue": entity.name}}):
            pass


def _stretches(server: DataApi, entity: Entity) -> Iterator[tuple[str, Values]]:
    """Conditions that part the table by its primary key: a search for the rows with a number begins anew each time."""
    legacy = entity.legacy
    key, table = f"`{legacy.key}`", f"`{legacy.database}`.`{legacy.table}`"
    after: Values = {}
    while True:
        where = f"{key} > :after" if after else "TRUE"
        last = f"SELECT {key} FROM {table} WHERE {where} ORDER BY {key} LIMIT 1 OFFSET {AT_ONCE - 1}"  # noqa: S608
        found = server.query(last, after)
        if not found:
            yield where, after
            return
        end: dict[str, Any] = dict(found[0][0])
        yield f"{where} AND {key} <= :until", {**after, "until": end}
        after = {"after": end}


def known(database: DataApi, entity: Entity) -> str:
    """The stream that the rows' sequence numbers belong to; empty before `runbook init`."""
    sql = f"SELECT stream_arn FROM {_table(entity)} WHERE entity = :entity"  # noqa: S608  # checked names
    rows = database.query(sql, {"entity": {"stringValue": entity.name}})
    return cell_text(rows[0][0]) if rows else ""


def _table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.STREAMS_TABLE}"
