"""Which changes of the stream Aurora does not have yet, and applying them.

Each is looked up by its key; its sequence tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from functions.aws.data_api import DataApi, Row, Values
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.aws.quarantine import Quarantine, QuarantineTable
from functions.bridge.apply import Applier
from functions.bridge.statements import Statements, cell_text
from functions.domain import changes, mapping, names
from functions.domain.entities import Entity
from functions.legacy.keys import within
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Seen
from runbook.errors import FailedError
from runbook.stack import Context

AT_ONCE = 500  # keys in one statement
STATEMENTS_AT_ONCE = 8


def unapplied(context: Context, entity: EntityTarget, seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """Those of `seen` that the bridge is not done with.

    It is done with a change when the key's row, or the memory of its delete, has its sequence or a later one; when copy
    made it; or when it is in quarantine, where it waits for the operator. While the database does not answer, nothing
    counts as applied.
    """
    waiting = {key: one for key, one in seen.items() if not one.legacy and mapping.usable_key(key)}
    if not waiting:
        return {}
    described = context.target.mapping[entity.name]
    database = context.aurora.database(described.legacy.database)
    chunks = list(_chunks(list(waiting), AT_ONCE))
    with ThreadPoolExecutor(min(STATEMENTS_AT_ONCE, len(chunks))) as pool:
        for found in pool.map(partial(_reached, database, described), chunks):
            _strike(waiting, found)
    _strike(waiting, _quarantined(context, entity, list(waiting)))
    return waiting


def apply(context: Context, entity: EntityTarget, records: Sequence[Mapping[str, Any]]) -> None:
    """Apply records of the stream here and now, as the bridge will: by its code, as its user.

    The bridge gathers records for a moment before it applies them, and clients wait meanwhile. Which of the two comes
    first does not matter, as with any record that is delivered twice. What passes by itself is left to the bridge.
    """
    described, target = context.target.mapping[entity.name], context.target
    database = context.aurora.as_bridge(described.legacy.database)
    quarantine = Quarantine(context.clients.dynamodb, target.quarantine_table, "run by hand", stream=entity.stream_arn)
    try:
        Applier(described, database, quarantine).apply(changes.from_stream(described, records))
    except TransientError:
        return
    except DataApiError as error:
        raise FailedError(f"Aurora says: {error}", "Run the command again.") from error


@dataclass
class Reach:
    """How far Aurora is with a key: by the sequence of its row, and by that of the memory of a delete; -1 for none."""

    row: int | None = None
    memory: int = -1

    def has(self, seen: Seen) -> bool:
        """Whether a change is behind it.

        A delete is remembered before its row goes, so for a delete the memory counts only where no row is left.
        """
        if seen.removed:
            return (self.memory if self.row is None else self.row) >= seen.sequence
        return max(self.memory, -1 if self.row is None else self.row) >= seen.sequence


def _strike(waiting: dict[str, Seen], found: Mapping[str, Reach]) -> None:
    for key, reach in found.items():
        if key in waiting and reach.has(waiting[key]):
            del waiting[key]


def _reached(database: DataApi, entity: Entity, keys: Sequence[str]) -> dict[str, Reach]:
    """How far Aurora is with some keys; the memory is read before the rows, for what it means where none is left."""
    sql = Statements(entity)
    where, values = within("item_key", [{"stringValue": key} for key in keys])
    deletes = f"SELECT item_key, sequence FROM {names.DELETES_TABLE} WHERE entity = :entity AND {where}"  # noqa: S608
    try:
        remembered = _rows(database, deletes, {**values, **sql.entity_value})
        rows = [row for statement, some in sql.lookups(keys) for row in _rows(database, statement, some)]
    except TransientError:
        return {}
    found = {key: Reach() for key in keys}
    for key, sequence in remembered:
        found[cell_text(key)].memory = int(cell_text(sequence))
    for row in rows:
        key, _, sequence, _ = sql.looked_up(row)
        if key in found:  # a collation may answer with another spelling, which is another item
            found[key].row = sequence
    return found


def _rows(database: DataApi, statement: str, values: Values) -> list[Row]:
    try:
        return database.query(statement, values)
    except TransientError:
        raise  # the caller's to bear
    except DataApiError as error:
        raise FailedError(f"Aurora says: {error}", "Run the command again.") from error


def _quarantined(context: Context, entity: EntityTarget, keys: Sequence[str]) -> dict[str, Reach]:
    """The sequences of those keys that are in the quarantine table, from this stream."""
    if not context.target.quarantine_table:
        return {}
    table = QuarantineTable(context.clients.dynamodb, context.target.quarantine_table, entity.name)
    return {key: Reach(memory=sequence) for key, sequence in table.sequences(keys, entity.stream_arn).items()}


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
