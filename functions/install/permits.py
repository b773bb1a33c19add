"""What the triggers know of permits: rows by which the bridge lets calls of legacy's own function pass the fence.

The bridge writes them (`functions.bridge.permits`). Of these rows one has no key: it says that the table's triggers
look permits up, so that the bridge calls no function whose writes they would refuse (docs/adr/0032).
"""

from functions.aws.data_api import DataApi
from functions.domain import names
from functions.domain.entities import Entity

VOID = -1  # in place of a sequence
TRIGGERS = "triggers"  # in place of an owner, in the row without a key


def look(place: str, entity: str, key: str) -> str:
    """The statements that set `permitted` to the sequence of a key's permit, NULL where it has none that counts.

    The first reads what the transaction's snapshot shows, and locks nothing: a locking read of a key without a permit
    would lock a gap. The second reads what is there now, and holds it to the end of the transaction: so the bridge
    takes no permit back while a call that it let in is writing.
    """
    wanted = (
        f"SELECT MAX(sequence) INTO permitted FROM {place}.{names.REPLAYS_TABLE} "  # noqa: S608  # checked names
        f"WHERE entity = '{entity}' AND item_key = {key} AND deadline > UTC_TIMESTAMP(6)"
    )
    return f"{wanted}; IF permitted IS NOT NULL THEN {wanted} LOCK IN SHARE MODE; END IF; "


def seen(entity: str, event: str) -> str:
    """The session's variable that has what the trigger before a row found, for the one after the same row.

    A second look could find a permit that came in between, and then a change of legacy's would be captured by none.
    """
    return f"@{names.RESERVED_PREFIX}{event.lower()}_{entity}"


def noting(entity: Entity) -> list[str]:
    """The statements which note that the triggers look permits up.

    Where that was not so before, the bridge's SQL has brought the records of the permits that are there, or later ones.
    So those that count still are void: they let nothing pass, and are there to have their calls waited for. Whether it
    was so, each statement sees for itself: another call may have noted it since, and its permits are good.
    """
    table = _table(entity)
    # why a table within: no statement may read the table that it changes, unless it has been read before
    noted = f"SELECT COUNT(*) AS noted FROM {table} WHERE entity = '{entity.name}' AND item_key = ''"  # noqa: S608  # checked names
    where = f"entity = '{entity.name}' AND item_key <> '' AND (SELECT n.noted FROM ({noted}) n) = 0"  # noqa: S608  # likewise
    note = (
        f"INSERT INTO {table} (entity, item_key, sequence, owner, deadline) "  # noqa: S608  # likewise
        f"VALUES ('{entity.name}', '', 0, '{TRIGGERS}', '1970-01-01') ON DUPLICATE KEY UPDATE sequence = 0"
    )
    return [
        f"DELETE FROM {table} WHERE {where} AND deadline <= UTC_TIMESTAMP(6)",  # noqa: S608  # likewise
        f"UPDATE {table} SET sequence = {VOID} WHERE {where}",  # noqa: S608  # likewise
        note,
    ]


def forgetting(server: DataApi, entity: Entity) -> list[str]:
    """The statement which notes that they do not, or may not for long; none where there is no table of permits."""
    sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = :database AND table_name = :name"
    place = {"database": {"stringValue": entity.legacy.database}, "name": {"stringValue": names.REPLAYS_TABLE}}
    there = server.query(sql, place)
    return [f"DELETE FROM {_table(entity)} WHERE entity = '{entity.name}' AND item_key = ''"] if there else []  # noqa: S608


def _table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.REPLAYS_TABLE}"
