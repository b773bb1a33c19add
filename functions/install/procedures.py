"""Stored procedures of streamback's own in a legacy database: made, replaced when their text differs, dropped."""

from dataclasses import dataclass

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import PROCEDURE_EXISTS, DataApiError
from functions.domain.entities import Entity


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """A procedure: its name, its parameters and its text."""

    name: str
    parameters: str
    body: str


def prepare(server: DataApi, entity: Entity, procedure: Procedure) -> None:
    """Make it in the entity's database, unless it is there as it should be."""
    rows = server.query(
        "SELECT routine_definition FROM information_schema.routines "
        "WHERE routine_schema = :database AND routine_name = :name",
        {"database": {"stringValue": entity.legacy.database}, "name": {"stringValue": procedure.name}},
    )
    if [row[0].get("stringValue") for row in rows] == [procedure.body]:
        return
    if rows:
        drop(server, entity, procedure.name)
    place = _place(entity, procedure.name)
    try:
        server.define(f"CREATE PROCEDURE {place}({procedure.parameters}) SQL SECURITY INVOKER {procedure.body}")
    except DataApiError as error:
        if error.code != PROCEDURE_EXISTS:  # another call that prepares the same database has just made it
            raise


def drop(server: DataApi, entity: Entity, name: str) -> None:
    server.execute(f"DROP PROCEDURE IF EXISTS {_place(entity, name)}")


def _place(entity: Entity, name: str) -> str:
    return f"`{entity.legacy.database}`.{name}"
