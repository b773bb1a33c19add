"""The triggers on an entity's legacy table: the fence stops writers, the capture queues what they wrote for copy.

The fence reads one row with a shared lock, so that raising it waits for writers inside. It also writes the current
epoch into legacy's rows, by which the bridge knows what it must not overwrite (docs/adr/0010). All triggers skip the
bridge's own user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import LOCK_WAIT, DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, permits, tokens
from functions.install.online_ddl import ATTEMPTS, LOCK_SECONDS, TableBusyError

EVENTS = ("INSERT", "UPDATE", "DELETE")
# Of the whole database: a table that was swapped out by its name took its triggers, and their names, with it.
PRESENT = (
    "SELECT trigger_name, event_object_table, action_timing, event_manipulation, action_statement "
    "FROM information_schema.triggers WHERE trigger_schema = :database"
)
OTHERS = f"SUBSTRING_INDEX(USER(), '@', 1) <> '{names.BRIDGE_USER}'"


@dataclass(frozen=True)
class Trigger:
    """A trigger that is there: on which table, when it runs (`AFTER INSERT`), and its text as it was given."""

    table: str
    when: str
    body: str


class OvertakenError(Exception):
    """A newer operation has acted on the entity, or the fence is up and needs the triggers; nothing was changed."""


def install(server: DataApi, entity: Entity, token: int = tokens.NO_TOKEN) -> list[str]:
    """Add the triggers that are missing or not as they should be, and begin the first epoch.

    What is written between the two statements that change a trigger is not captured; so after a change, only a
    full comparison finds that both sides are equal.

    Returns:
        The names of those that were made now.

    Raises:
        TableBusyError: a transaction uses the table all the time.
        OvertakenError: a higher token has acted.
    """
    control_row.begin_first_epoch(server, entity)
    present, made = _present(server, entity), list[str]()
    wanted, wrong = bodies(entity), differences(present, entity)
    held, noted = tokens.holding(entity, token, LOCK_SECONDS), permits.forgetting(server, entity) if wrong else []
    for name in wrong:
        when, body = wanted[name]
        statements = [*noted, f"DROP TRIGGER IF EXISTS {_place(entity)}.{name}"] if name in present else [*noted]
        statements.append(f"CREATE TRIGGER {_place(entity)}.{name} {when} ON {_table(entity)} FOR EACH ROW {body}")
        change(server, entity, statements, held)
        made.append(name)
    if entity.replayed:
        change(server, entity, permits.noting(entity), held)
    return made


def remove(server: DataApi, entity: Entity, token: int = tokens.NO_TOKEN) -> list[str]:
    """Drop the triggers that are there, while the fence is down; returns their names.

    Raises:
        TableBusyError: a transaction uses the table all the time.
        OvertakenError: a higher token has acted, or the fence is up.
    """
    return _drop(server, entity, tokens.holding(entity, token, LOCK_SECONDS, unfenced=True))


def remove_for_good(server: DataApi, entity: Entity) -> list[str]:
    """Drop the triggers that are there, whatever token has acted: no operation begins in phase complete."""
    return _drop(server, entity)


def _drop(server: DataApi, entity: Entity, held: str = "") -> list[str]:
    found = [name for name in bodies(entity) if name in _present(server, entity)]
    noted = permits.forgetting(server, entity) if found else []
    for name in found:
        change(server, entity, [*noted, f"DROP TRIGGER IF EXISTS {_place(entity)}.{name}"], held)
    return found


def differences(
    present: Mapping[str, Trigger], entity: Entity, wanted: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, str]:
    """What is wrong with each trigger that is not there as `install` makes it, or as `wanted`, by name."""
    bodies_wanted = (bodies(entity) if wanted is None else wanted).items()
    found = {name: _difference(present.get(name), entity, when, body) for name, (when, body) in bodies_wanted}
    return {name: text for name, text in found.items() if text}


def _difference(present: Trigger | None, entity: Entity, when: str, body: str) -> str:
    if present is None:
        return "is missing"
    if present.table.lower() != entity.legacy.table.lower():  # some servers keep names in small letters
        return f"is on {present.table}"
    return "" if (present.when, present.body) == (when, body) else "is another"


def bodies(entity: Entity) -> dict[str, tuple[str, str]]:
    """When each trigger runs and what it does, by name. The capture's come after whatever others the table has."""
    found = {_name("fence", event, entity): (f"BEFORE {event}", _fence(entity, event)) for event in EVENTS}
    return found | {_name("capture", event, entity): (f"AFTER {event}", _capture(entity, event)) for event in EVENTS}


def _name(role: str, event: str, entity: Entity) -> str:
    return f"{names.RESERVED_PREFIX}{role}_{event[0].lower()}_{entity.name}"  # at most 64 characters


def _control(entity: Entity, columns: str, variables: str) -> str:
    # why a locking read: a plain one would show an old transaction the control row as it was when that began
    return (
        f"SELECT {columns} INTO {variables} FROM {control_row.table(entity)} "  # noqa: S608
        f"WHERE entity = '{entity.name}' LOCK IN SHARE MODE; "
    )


def _fence(entity: Entity, event: str) -> str:
    if entity.replayed:
        return _fence_of_replay(entity, event)
    stamp = f"IF stamp > 0 THEN SET NEW.{names.EPOCH_COLUMN} = stamp; END IF; {_inherit(entity, event)}"
    return (
        "BEGIN DECLARE raised TINYINT DEFAULT 0; DECLARE stamp INT DEFAULT 0; "
        "DECLARE remembered, replaced DECIMAL(40,0) DEFAULT NULL; "
        f"IF {OTHERS} THEN "
        f"{_control(entity, 'fenced, legacy_stamp', 'raised, stamp')}"
        "IF raised THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = "
        f"'streamback: writes to {entity.name} are fenced'; END IF; "
        f"{'' if event == 'DELETE' else stamp}"
        "END IF; END"
    )


def _fence_of_replay(entity: Entity, event: str) -> str:
    """The fence of an entity whose changes legacy's own function brings: it lets in what the bridge has permitted.

    A permit counts while the fence is up only. While it is down, a call that is still under way must not pass for a
    client's, so the key is refused until the call has ended. Nor does a call write over what is newer than its permit:
    the bridge's SQL may have applied later records, if the call's answer was lost (docs/adr/0032).
    """
    row, column = ("OLD" if event == "DELETE" else "NEW"), names.SEQUENCE_COLUMN
    look = permits.look(_place(entity), entity.name, _identity(entity, row))
    if event == "UPDATE":
        look += f"IF {_moved(entity)} THEN SET permitted = NULL; END IF; "
    noted = {
        "INSERT": f"SET NEW.{names.KEY_COLUMN} = {_identity(entity, 'NEW')}; SET NEW.{column} = permitted; ",
        "UPDATE": f"SET NEW.{column} = permitted; ",
        "DELETE": "",
    }[event]
    there = f"OLD.{column}"
    if event == "INSERT":  # a locking read: the bridge's delete then waits, and finds the row
        there, look_for = "remembered", _memory(entity)
        look += f"IF permitted IS NOT NULL THEN {look_for} LOCK IN SHARE MODE; END IF; "
    stamp = f"IF stamp > 0 THEN SET NEW.{names.EPOCH_COLUMN} = stamp; END IF; {_inherit(entity, event)}"
    return (
        "BEGIN DECLARE raised TINYINT DEFAULT 0; DECLARE stamp INT DEFAULT 0; "
        "DECLARE remembered, replaced, permitted DECIMAL(40,0) DEFAULT NULL; "
        f"IF {OTHERS} THEN "
        f"{_control(entity, 'fenced, legacy_stamp', 'raised, stamp')}{look}"
        "IF raised AND (permitted IS NULL OR permitted < 0) THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = "
        f"'streamback: writes to {entity.name} are fenced'; END IF; "
        f"IF raised AND {there} > permitted THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = "
        f"'streamback: {entity.name} has a newer change of this key'; END IF; "
        "IF permitted IS NOT NULL AND NOT raised THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = "
        f"'streamback: a call of the bridge for this key of {entity.name} is under way'; END IF; "
        f"IF permitted IS NOT NULL THEN {noted}SET {permits.seen(entity.name, event)} = 1; "
        f"ELSE SET {permits.seen(entity.name, event)} = NULL; {'' if event == 'DELETE' else stamp}END IF; "
        "END IF; END"
    )


def _inherit(entity: Entity, event: str) -> str:
    """A row whose key was deleted before, or that replaces another, goes on from how far the stream had come for it.

    Otherwise a row that is back would look like one whose delete is still to come. Both are read by plain SELECTs: in
    an expression they would lock gaps, in which legacy's writers and the bridge then wait for each other. What an old
    snapshot does not show, copy corrects before the key leaves its queue (`functions.bridge.inherit`).
    """
    legacy, column = entity.legacy, names.SEQUENCE_COLUMN
    memory = f"{_memory(entity)}; "
    if event == "UPDATE":  # no row has the key that it moves to
        return f"IF {_moved(entity)} THEN {memory}SET NEW.{column} = remembered; END IF; "
    own_key = "" if legacy.key_type == "string" else f" AND {names.KEY_COLUMN} IS NULL"
    replaced = (
        f"SELECT MAX({column}) INTO replaced FROM {_table(entity)} "  # noqa: S608  # checked names
        f"WHERE `{legacy.key}` = NEW.`{legacy.key}`{own_key}; "
    )
    given = "TRUE" if legacy.key_type == "string" else f"NEW.`{legacy.key}` > 0"  # 0: the database counts it
    latest = "NULLIF(GREATEST(COALESCE(remembered, -1), COALESCE(replaced, -1)), -1)"
    return f"IF {given} THEN {memory}{replaced}SET NEW.{column} = {latest}; END IF; "


def _memory(entity: Entity) -> str:
    """The SELECT of how far the stream had come for the key of a new row when it was deleted before."""
    return (
        f"SELECT MAX(sequence) INTO remembered FROM {_place(entity)}.{names.DELETES_TABLE} "  # noqa: S608  # checked
        f"WHERE entity = '{entity.name}' AND item_key = {_identity(entity, 'NEW')}"
    )


def _moved(entity: Entity) -> str:
    return f"{_identity(entity, 'OLD')} <> {_identity(entity, 'NEW')}"


def _capture(entity: Entity, event: str) -> str:
    gone = _enqueue(entity, "OLD") + _remember(entity)
    if event == "INSERT":
        work = _enqueue(entity, "NEW", f"{names.ARRIVED}")
    elif event == "UPDATE":
        moved = f"{_enqueue(entity, 'NEW', f'{names.ARRIVED}')}{gone}"
        work = f"IF {_moved(entity)} THEN {moved}ELSE {_enqueue(entity, 'NEW')}END IF; "
    else:
        work = gone
    variable = "" if event == "INSERT" else "DECLARE stamp INT DEFAULT 0; "
    captured = f"{OTHERS} AND {permits.seen(entity.name, event)} IS NULL" if entity.replayed else OTHERS
    return f"BEGIN {variable}IF {captured} THEN {work}END IF; END"


def _identity(entity: Entity, row: str) -> str:
    """The item key of a row, as bytes."""
    key = f"{row}.`{entity.legacy.key}`"
    if entity.legacy.key_type == "string":
        return f"CAST(CONVERT({key} USING utf8mb4) AS BINARY)"
    return f"COALESCE({row}.{names.KEY_COLUMN}, CAST(CAST({key} AS CHAR) AS BINARY))"


def _enqueue(entity: Entity, row: str, kind: str = "0") -> str:
    key = _identity(entity, row)
    return _usable(
        entity,
        key,
        f"INSERT INTO {_place(entity)}.{names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at, backfill) "  # noqa: S608
        f"VALUES ('{entity.name}', CRC32({key}) % {names.LANES}, {key}, UTC_TIMESTAMP(6), {kind}); ",
    )


def _usable(entity: Entity, key: str, statement: str) -> str:
    """The statement for those keys only that an item can have: the queue takes no longer one, and legacy must go on."""
    if entity.legacy.key_type == "integer":
        return statement
    return f"IF LENGTH({key}) BETWEEN 1 AND {names.KEY_BYTES} THEN {statement}END IF; "


def _remember(entity: Entity) -> str:
    """Legacy deleted it in this epoch, so a late record of the bridge must not bring it back."""
    key = _identity(entity, "OLD")
    return _usable(
        entity,
        key,
        _control(entity, "legacy_stamp", "stamp")
        + (
            f"INSERT INTO {_place(entity)}.{names.DELETES_TABLE} "  # noqa: S608  # checked names
            "(entity, item_key, sequence, deleted_at, legacy_stamp) "
            f"VALUES ('{entity.name}', {key}, COALESCE(OLD.{names.SEQUENCE_COLUMN}, 0), "
            "UTC_TIMESTAMP(6), stamp) "
            "ON DUPLICATE KEY UPDATE sequence = GREATEST(sequence, VALUES(sequence)), "
            "deleted_at = VALUES(deleted_at), legacy_stamp = VALUES(legacy_stamp); "
        ),
    )


def _present(server: DataApi, entity: Entity) -> dict[str, Trigger]:
    rows = server.query(PRESENT, {"database": {"stringValue": entity.legacy.database}})
    return by_name([[cell_text(cell) for cell in row] for row in rows])


def by_name(rows: Sequence[Sequence[str]]) -> dict[str, Trigger]:
    """The answer to `PRESENT`, as text."""
    return {name: Trigger(table, f"{timing} {event}", body) for name, table, timing, event, body in rows}


def change(server: DataApi, entity: Entity, statements: list[str], held: str = "") -> None:
    """Run DDL on the entity's table, again while a transaction uses it.

    Args:
        held: the statement that comes first and may refuse the rest; see `tokens.holding`.

    Raises:
        TableBusyError: it was in use all the time; no writer waited for it longer than a few seconds.
        OvertakenError: `held` refused it.
    """
    first, closing = ([held], [tokens.FREE]) if held else ([], [])
    for _ in range(ATTEMPTS):
        try:
            server.together([*first, *statements], {"lock_wait_timeout": LOCK_SECONDS}, closing)
        except DataApiError as error:
            if names.TRIGGERS_BUSY in str(error):
                continue
            if names.FENCE_MOVED in str(error) or names.TRIGGERS_NEEDED in str(error):
                raise OvertakenError(str(error)) from error
            if error.code != LOCK_WAIT:
                raise
        else:
            return
    raise TableBusyError(
        f"{entity.legacy.table} was in use for {ATTEMPTS} times {LOCK_SECONDS} seconds; end its long transactions "
        "(see SHOW PROCESSLIST), then run the command again"
    )


def _place(entity: Entity) -> str:
    return f"`{entity.legacy.database}`"


def _table(entity: Entity) -> str:
    return f"{_place(entity)}.`{entity.legacy.table}`"
