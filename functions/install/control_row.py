"""An entity's control row in Aurora: whether the fence is up, legacy's epoch, and the token of the last change.

All SQL on it stands here and in the triggers, which read it with a shared lock. A change takes the exclusive one, so it
waits for every writer that is inside a transaction on the entity's table.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import PROCEDURE_EXISTS, DataApiError
from functions.domain import names
from functions.domain.entities import Entity

COLUMNS = (
    "entity VARCHAR(64) NOT NULL PRIMARY KEY, fenced TINYINT NOT NULL DEFAULT 0, "
    "legacy_stamp INT NOT NULL DEFAULT 0, generation INT NOT NULL DEFAULT 0, token INT NOT NULL DEFAULT 0"
)
FIRST_EPOCH = 1  # what copy's first start begins; before it, legacy's rows have no epoch
NO_EPOCH = 0  # while modern is the source of truth

# A procedure, since a client that died between the statements of a transaction would leave all writers waiting for the
# Data API to end it, three minutes. The entity is ASCII: a text of the database's own collation may not be comparable.
# The token is a fencing token: a call that was on its way while another command continued changes nothing.
PARAMETERS = (
    "IN of_entity VARCHAR(64) CHARACTER SET ascii, IN up TINYINT, IN stamp INT, IN period INT, IN known_token INT, "
    "IN new_token INT, IN seconds INT"
)
BODY = (
    "BEGIN DECLARE found INT; DECLARE EXIT HANDLER FOR SQLEXCEPTION "  # noqa: S608  # a name of ours
    "BEGIN SET SESSION innodb_lock_wait_timeout = DEFAULT; RESIGNAL; END; "
    "SET SESSION innodb_lock_wait_timeout = seconds; "
    f"UPDATE {names.CONTROL_TABLE} SET fenced = up, legacy_stamp = stamp, "
    "generation = IF(period > 0, period, generation), token = new_token "
    "WHERE entity = of_entity AND token IN (known_token, new_token); "
    "SET SESSION innodb_lock_wait_timeout = DEFAULT; "
    f"SELECT token INTO found FROM {names.CONTROL_TABLE} WHERE entity = of_entity; "
    "IF NOT (found <=> new_token) THEN SIGNAL SQLSTATE '45000' "
    f"SET MESSAGE_TEXT = '{names.FENCE_MOVED}'; END IF; END"
)


@dataclass(frozen=True, kw_only=True)
class Control:
    """The row.

    Attributes:
        fenced: whether legacy's writers are stopped.
        epoch: what the triggers write into the rows of legacy's writers; 0 while modern is the source of truth.
        last_epoch: how many epochs legacy has had.
        token: of the change that made it so; a change names the token it was decided by, and a later one bars it.
    """

    fenced: bool
    epoch: int
    last_epoch: int
    token: int = field(default=0, compare=False)


def read(database: DataApi, entity: Entity) -> Control | None:
    """The row as it is now; None before `runbook init` has made it."""
    sql = f"SELECT fenced, legacy_stamp, generation, token FROM {names.CONTROL_TABLE} WHERE entity = :entity"  # noqa: S608
    rows = database.query(sql, _values(entity))
    if not rows:
        return None
    fenced, epoch, last_epoch, token = (int(cell_text(cell)) for cell in rows[0])
    return Control(fenced=bool(fenced), epoch=epoch, last_epoch=last_epoch, token=token)


@dataclass(frozen=True, kw_only=True)
class ControlChange:
    """A change of the row.

    Attributes:
        fenced: whether legacy's writers are to be stopped.
        epoch: the epoch that legacy begins or continues; NO_EPOCH while modern is the source of truth.
        known: the token that the row has now; with another one nothing is changed.
        token: the row's new token.
    """

    fenced: bool
    epoch: int
    known: int
    token: int


def change(database: DataApi, entity: Entity, to: ControlChange, wait_seconds: int) -> None:
    """Raise or lower the fence by one statement, so that a client that dies here holds no lock.

    Raises:
        DataApiError: a writer stayed inside for `wait_seconds` (LOCK_WAIT), or the row has another token (FENCE_MOVED).
    """
    values = f"{int(to.fenced)}, {to.epoch}, {to.epoch}, {to.known}, {to.token}, {wait_seconds}"
    database.once(f"CALL {names.FENCE_PROCEDURE}('{entity.name}', {values})")


def prepare(server: DataApi, entity: Entity) -> None:
    """Make the row and the procedure, unless they are there as they should be."""
    sql = f"INSERT IGNORE INTO {table(entity)} (entity) VALUES (:entity)"  # noqa: S608  # a checked name
    server.execute(sql, _values(entity))
    rows = server.query(
        "SELECT routine_definition FROM information_schema.routines "
        "WHERE routine_schema = :database AND routine_name = :name",
        {"database": {"stringValue": entity.legacy.database}, "name": {"stringValue": names.FENCE_PROCEDURE}},
    )
    if [row[0].get("stringValue") for row in rows] == [BODY]:
        return
    if rows:
        drop_procedure(server, entity)
    try:
        server.execute(f"CREATE PROCEDURE {_procedure(entity)}({PARAMETERS}) SQL SECURITY INVOKER {BODY}")
    except DataApiError as error:
        if error.code != PROCEDURE_EXISTS:  # another call that prepares the same database has just made it
            raise


def begin_first_epoch(server: DataApi, entity: Entity) -> None:
    """Begin legacy's first epoch, unless it has one or the fence is up."""
    server.execute(
        f"UPDATE {table(entity)} SET generation = {FIRST_EPOCH}, legacy_stamp = {FIRST_EPOCH} "  # noqa: S608
        "WHERE entity = :entity AND generation = 0 AND fenced = 0",
        _values(entity),
    )


def entities(server: DataApi, entity: Entity) -> Collection[str]:
    return {cell_text(row[0]) for row in server.query(f"SELECT entity FROM {table(entity)}")}  # noqa: S608


def drop_procedure(server: DataApi, entity: Entity) -> None:
    server.execute(f"DROP PROCEDURE IF EXISTS {_procedure(entity)}")


def table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.CONTROL_TABLE}"


def _procedure(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.FENCE_PROCEDURE}"


def _values(entity: Entity) -> dict[str, dict[str, str]]:
    return {"entity": {"stringValue": entity.name}}
