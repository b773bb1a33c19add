"""An entity's control row in Aurora: whether the fence is up, and legacy's epoch.

It also says since when legacy, or modern, is the source of truth, and since when the bridge applies the stream
(functions/bridge/ownership.py).

All SQL on it stands here and in the triggers, which read it with a shared lock. A change takes the exclusive one, so it
waits for every writer that is inside a transaction on the entity's table.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from functions.aws.data_api import DataApi, cell_text
from functions.bridge import ownership
from functions.bridge.ownership import EVER, Authority
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import procedures, tokens
from functions.install.procedures import Procedure

LATER_COLUMNS = {  # that tables of older versions lack; `prepare` of functions/install/tables.py adds them
    "legacy_since": "DATETIME(6) NULL",
    "modern_since": "DATETIME(6) NULL",
    "bridged_since": "DATETIME(6) NULL DEFAULT '1970-01-01'",
}
COLUMNS = (
    "entity VARCHAR(64) NOT NULL PRIMARY KEY, fenced TINYINT NOT NULL DEFAULT 0, "
    "legacy_stamp INT NOT NULL DEFAULT 0, generation INT NOT NULL DEFAULT 0, "
    + ", ".join(f"{name} {kind}" for name, kind in LATER_COLUMNS.items())
)
CREATED_UNIT_SECONDS = 1  # of the stream's times of creation, which are rounded down
FIRST_EPOCH = 1  # what copy's first start begins; before it, legacy's rows have no epoch
NO_EPOCH = 0  # while modern is the source of truth

# A procedure, since a client that died between the statements of a transaction would leave all writers waiting for the
# Data API to end it, three minutes. The entity is ASCII: a text of the database's own collation may not be comparable.
# The token is a fencing token: a call that was on its way while another command continued changes nothing. Its row is
# locked first, so a claim waits for the end of a change under way.
PARAMETERS = (
    "IN of_entity VARCHAR(64) CHARACTER SET ascii, IN up TINYINT, IN stamp INT, IN period INT, IN new_token BIGINT, "
    "IN back INT, IN seconds INT"
)
BODY = (
    "BEGIN DECLARE found BIGINT; DECLARE EXIT HANDLER FOR SQLEXCEPTION "  # noqa: S608  # a name of ours
    "BEGIN ROLLBACK; SET SESSION innodb_lock_wait_timeout = DEFAULT; RESIGNAL; END; "
    f"SET SESSION innodb_lock_wait_timeout = seconds; START TRANSACTION; {tokens.TAKE}"
    f"UPDATE {names.CONTROL_TABLE} SET legacy_since = IF(period > generation, "
    "UTC_TIMESTAMP(6) - INTERVAL back SECOND, legacy_since), "
    "modern_since = IF(up AND NOT fenced, NULL, modern_since), fenced = up, legacy_stamp = stamp, "
    "generation = IF(period > 0, period, generation) WHERE entity = of_entity; "
    f"IF NOT EXISTS (SELECT 1 FROM {names.CONTROL_TABLE} WHERE entity = of_entity) THEN SIGNAL SQLSTATE '45000' "
    f"SET MESSAGE_TEXT = '{names.NOT_PREPARED}'; END IF; "
    "COMMIT; SET SESSION innodb_lock_wait_timeout = DEFAULT; END"
)
FENCE = Procedure(name=names.FENCE_PROCEDURE, parameters=PARAMETERS, body=BODY)


UNKNOWN = Authority(epoch=NO_EPOCH, modern=False, legacy_since=None, modern_since=None, bridged_since=EVER)


@dataclass(frozen=True, kw_only=True)
class Control:
    """The row.

    Attributes:
        fenced: whether legacy's writers are stopped.
        epoch: what the triggers write into the rows of legacy's writers; 0 while modern is the source of truth.
        last_epoch: how many epochs legacy has had.
        authority: who is the source of truth, as the bridge sees it.
    """

    fenced: bool
    epoch: int
    last_epoch: int
    authority: Authority = field(default=UNKNOWN, compare=False)

    @property
    def connected(self) -> bool:
        """Whether the bridge applies the stream."""
        return self.authority.bridged_since is not None


def read(database: DataApi, entity: Entity) -> Control | None:
    """The row as it is now; None before `runbook init` has made it.

    Raises:
        OutdatedTablesError: it is of an older version.
    """
    sql = f"SELECT fenced, legacy_stamp, generation FROM {names.CONTROL_TABLE} WHERE entity = :entity"  # noqa: S608
    rows = database.query(sql, _values(entity))
    if not rows:
        return None
    fenced, epoch, last_epoch = (int(cell_text(cell)) for cell in rows[0])
    authority = ownership.read(database, entity)
    return Control(fenced=bool(fenced), epoch=epoch, last_epoch=last_epoch, authority=authority)


@dataclass(frozen=True, kw_only=True)
class ControlChange:
    """A change of the row.

    Attributes:
        fenced: whether legacy's writers are to be stopped.
        epoch: the epoch that legacy begins or continues; NO_EPOCH while modern is the source of truth.
        token: of the call; when a higher one has acted, nothing is changed.
        drained: whether Aurora has all that modern wrote, when legacy begins an epoch. Then no record of that second is
            late: legacy counts as the source of truth since a second before.
    """

    fenced: bool
    epoch: int
    token: int
    drained: bool = False


def change(database: DataApi, entity: Entity, to: ControlChange, wait_seconds: int) -> None:
    """Raise or lower the fence by one statement, so that a client that dies here holds no lock.

    Raises:
        DataApiError: a writer stayed inside for `wait_seconds` (LOCK_WAIT), or a higher token has acted (FENCE_MOVED).
    """
    values = (
        f"{int(to.fenced)}, {to.epoch}, {to.epoch}, {to.token}, {CREATED_UNIT_SECONDS * to.drained}, {wait_seconds}"
    )
    database.once(f"CALL {names.FENCE_PROCEDURE}('{entity.name}', {values})")


def note_modern(database: DataApi, entity: Entity, token: int) -> None:
    """Note that modern is the source of truth and copy has ended, unless a higher token has acted.

    What the stream shows from a later time is modern's, whatever mark it carries.
    """
    database.execute(
        f"UPDATE {names.CONTROL_TABLE} c JOIN {names.TOKENS_TABLE} t ON t.entity = c.entity "  # noqa: S608  # names of ours
        "SET c.modern_since = UTC_TIMESTAMP(6) WHERE c.entity = :entity AND c.fenced = 1 AND t.token <= :token "
        "AND c.modern_since IS NULL",
        {**_values(entity), "token": {"longValue": token}},
    )


def connect(server: DataApi, entity: Entity, token: int | None = None) -> None:
    """Let the bridge apply the stream from now on, if the entity is disconnected, unless a higher token has acted.

    Records of this second may be from before, and stay unapplied. So the next second is waited for.

    Args:
        token: of the call; None where no operator's lock covers it, as in `runbook init`.
    """
    latest = "" if token is None else " AND t.token <= :token"
    given = {} if token is None else {"token": {"longValue": token}}
    sql = (
        f"UPDATE {table(entity)} c JOIN {tokens.table(entity)} t ON t.entity = c.entity "  # noqa: S608  # names of ours
        f"SET c.bridged_since = UTC_TIMESTAMP(6) WHERE c.entity = :entity AND c.bridged_since IS NULL{latest}"
    )
    if server.execute(sql, {**_values(entity), **given}):
        time.sleep(CREATED_UNIT_SECONDS)


def disconnect(server: DataApi, entity: Entity, token: int) -> None:
    """Let the bridge apply nothing until `connect`, unless a higher token has acted or the fence is up.

    It waits for no batch under way but its present statement.
    """
    server.execute(
        f"UPDATE {table(entity)} c JOIN {tokens.table(entity)} t ON t.entity = c.entity SET c.bridged_since = NULL "  # noqa: S608
        "WHERE c.entity = :entity AND c.fenced = 0 AND t.token <= :token",
        {**_values(entity), "token": {"longValue": token}},
    )


def missing(server: DataApi, entity: Entity) -> list[str]:
    """The columns that the table of an older version lacks."""
    rows = server.query(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = :database AND table_name = :name",
        {"database": {"stringValue": entity.legacy.database}, "name": {"stringValue": names.CONTROL_TABLE}},
    )
    present = {cell_text(row[0]) for row in rows}
    return [name for name in LATER_COLUMNS if name not in present]


def prepare(server: DataApi, entity: Entity) -> None:
    """Make the row and the procedure, unless they are there as they should be."""
    sql = f"INSERT IGNORE INTO {table(entity)} (entity) VALUES (:entity)"  # noqa: S608  # a checked name
    server.execute(sql, _values(entity))
    procedures.prepare(server, entity, FENCE)


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
    procedures.drop(server, entity, names.FENCE_PROCEDURE)


def table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.CONTROL_TABLE}"


def _values(entity: Entity) -> dict[str, dict[str, str]]:
    return {"entity": {"stringValue": entity.name}}
