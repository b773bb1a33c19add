"""Which stream a table's sequence numbers belong to: they compare within one stream only.

A table whose stream was re-enabled, or that was made anew, has a new stream, and its numbers say nothing about the old
ones. The bridge refuses records of a stream that it was not told of, so that none is taken for an old one and dropped;
`runbook init` tells of the new stream and forgets the old numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.domain import names
from functions.legacy.statements import cell_text

if TYPE_CHECKING:
    from functions.aws.data_api import DataApi
    from functions.domain.entities import Entity

AT_ONCE = 5000  # rows whose number is forgotten in one statement, so that no lock is held for long


class UnknownStreamError(Exception):
    """Records of a stream that the legacy database was not prepared for; `runbook init` prepares it."""


def check(database: DataApi, entity: Entity, stream_arn: str) -> None:
    """Let records of the known stream pass.

    Args:
        database: on the entity's database.
        entity: whose stream.
        stream_arn: where the records come from.

    Raises:
        UnknownStreamError: it is not the stream that `runbook init` was last run for.
    """
    expected = known(database, entity)
    if expected != stream_arn:
        raise UnknownStreamError(
            f"{entity.name}: records come from {stream_arn}, prepared for {expected or 'none yet'}; run `runbook init`"
        )


def settle(server: DataApi, entity: Entity, stream_arn: str) -> bool:
    """Make a stream the known one; whether it was another before, and its numbers are now forgotten."""
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
    rows = f"UPDATE `{legacy.database}`.`{legacy.table}` SET {column} = NULL WHERE {column} IS NOT NULL"  # noqa: S608
    while server.execute(f"{rows} LIMIT {AT_ONCE}"):
        pass
    for table in (names.DELETES_TABLE, names.PROBES_TABLE):
        old = f"DELETE FROM `{legacy.database}`.{table} WHERE entity = :entity"  # noqa: S608  # checked names
        while server.execute(f"{old} LIMIT {AT_ONCE}", {"entity": {"stringValue": entity.name}}):
            pass


def known(database: DataApi, entity: Entity) -> str:
    """The stream that the rows' sequence numbers belong to; empty before `runbook init`."""
    sql = f"SELECT stream_arn FROM {_table(entity)} WHERE entity = :entity"  # noqa: S608  # checked names
    rows = database.query(sql, {"entity": {"stringValue": entity.name}})
    return cell_text(rows[0][0]) if rows else ""


def _table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.STREAMS_TABLE}"
