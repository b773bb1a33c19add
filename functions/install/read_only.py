"""The triggers that `complete` leaves, if it is asked to: they refuse every write to the legacy table.

They name nothing of streamback's: no table, column, user or procedure. MySQL takes one event for each trigger, so there
are three. TRUNCATE and DDL fire no trigger.
"""

from collections.abc import Sequence

from functions.aws.data_api import DataApi, cell_text
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import tables, triggers

PREFIX = f"{names.RESERVED_PREFIX}read_only_"


def bodies(entity: Entity) -> dict[str, tuple[str, str]]:
    """When each trigger runs and what it does, by name."""
    body = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{names.READ_ONLY}{entity.name} has moved to DynamoDB'"
    return {f"{PREFIX}{event[0].lower()}_{entity.name}": (f"BEFORE {event}", body) for event in triggers.EVENTS}


def standing(server: DataApi, entity: Entity) -> list[str]:
    """The names of those on the entity's table, whichever entity they were made for."""
    sql = (
        "SELECT trigger_name FROM information_schema.triggers "  # noqa: S608  # a prefix of ours
        "WHERE event_object_schema = :database "
        f"AND event_object_table = :table AND LEFT(trigger_name, {len(PREFIX)}) = '{PREFIX}' ORDER BY trigger_name"
    )
    place = {"database": entity.legacy.database, "table": entity.legacy.table}
    rows = server.query(sql, {name: {"stringValue": value} for name, value in place.items()})
    return [cell_text(row[0]) for row in rows]


def missing(server: DataApi, entity: Entity) -> list[str]:
    """The names of those that are not on the table as `add` makes them."""
    rows = server.query(triggers.PRESENT, {"database": {"stringValue": entity.legacy.database}})
    present = triggers.by_name([[cell_text(cell) for cell in row] for row in rows])
    return list(triggers.differences(present, entity, bodies(entity)))


def add(server: DataApi, entity: Entity, name: str) -> None:
    """Make one of them, in place of one with its name.

    Raises:
        TableBusyError: a transaction uses the table all the time.
    """
    when, body = bodies(entity)[name]
    create = f"CREATE TRIGGER {_place(entity)}.{name} {when} ON {tables.place(entity)} FOR EACH ROW {body}"
    triggers.change(server, entity, [f"DROP TRIGGER IF EXISTS {_place(entity)}.{name}", create])


def remove(server: DataApi, entity: Entity, name: str) -> None:
    """Drop one of them. Raises what `add` does."""
    triggers.change(server, entity, [f"DROP TRIGGER IF EXISTS {_place(entity)}.{name}"])


def removal(entity: Entity, found: Sequence[str]) -> str:
    """One line of SQL that drops them: MySQL drops one trigger a statement."""
    return " ".join(f"DROP TRIGGER IF EXISTS {_place(entity)}.{name};" for name in found)


def _place(entity: Entity) -> str:
    return f"`{entity.legacy.database}`"
