"""Which changes of the stream Aurora does not have yet: each is looked up by its key, its sequence tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.aws.data_api import DataApi
from functions.aws.errors import DataApiError, TransientError
from functions.domain import mapping, names
from functions.legacy.keys import within
from functions.legacy.statements import Statements, cell_text
from runbook.errors import FailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.aws.data_api import Row, Values
    from functions.domain.entities import Entity
    from runbook.context import Context
    from runbook.stream import Seen
    from runbook.target import EntityTarget

AT_ONCE = 500  # keys in one statement


def unapplied(context: Context, entity: EntityTarget, seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """Those of `seen` that Aurora shows nothing of as new.

    A change is applied when the key's row, or the memory of its delete, has its sequence or a later one; or when copy
    made it. While the database does not answer, nothing counts as applied.
    """
    waiting = {key: one for key, one in seen.items() if not one.legacy and mapping.usable_key(key)}
    if not waiting:
        return {}
    described, target = context.target.mapping[entity.name], context.target
    database = DataApi(
        context.clients.rds_data, target.cluster_arn, target.master_secret_arn, described.legacy.database
    )
    keys = list(waiting)
    for start in range(0, len(keys), AT_ONCE):
        for key, sequence in _sequences(database, described, keys[start : start + AT_ONCE]):
            if key in waiting and sequence >= waiting[key].sequence:
                del waiting[key]
    return waiting


def _sequences(database: DataApi, entity: Entity, keys: Sequence[str]) -> list[tuple[str, int]]:
    """What Aurora knows of some keys: the sequence of a row, of a remembered delete, or of both."""
    sql, found = Statements(entity), list[tuple[str, int]]()
    for statement, values in sql.lookups(keys):
        for row in _rows(database, statement, values):
            key, _, sequence, _ = sql.looked_up(row)
            found.append((key, sequence))
    where, values = within("item_key", [{"stringValue": key} for key in keys])
    deletes = f"SELECT item_key, sequence FROM {names.DELETES_TABLE} WHERE entity = :entity AND {where}"  # noqa: S608
    rows = _rows(database, deletes, {**values, **sql.entity_value})
    return found + [(cell_text(key), int(cell_text(sequence))) for key, sequence in rows]


def _rows(database: DataApi, statement: str, values: Values) -> list[Row]:
    try:
        return database.query(statement, values)
    except TransientError:
        return []
    except DataApiError as error:
        raise FailedError(f"Aurora says: {error}", "Run the command again.") from error
