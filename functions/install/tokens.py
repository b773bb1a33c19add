"""An entity's fencing token in Aurora: calls of an operation that a newer one has overtaken change nothing.

Each operator's lock has a number, and every call that changes the fence or the triggers carries a token made of it. A
call is refused when the row has a higher token. A new holder of the lock raises the row's token first (a claim). So a
call of the one before, however late, is refused also where the new holder changes nothing.

The row is not the control row: each legacy writer holds a shared lock on that one until it commits. A claim there would
wait for the longest transaction, and all new writers would wait behind it (docs/adr/0016).
"""

from functions.aws.data_api import DataApi, cell_text
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import procedures
from functions.install.procedures import Procedure

COLUMNS = "entity VARCHAR(64) NOT NULL PRIMARY KEY, token BIGINT NOT NULL DEFAULT 0"
CHANGES_A_LOCK = 1000  # tokens of one lock
NO_TOKEN = 0  # of a call that no operator's lock covers; it is refused from the first claim on
CLAIM_SECONDS = 5  # that a claim waits for a change of triggers under way, before it ends that session; and then again

ENTITY = "IN of_entity VARCHAR(64) CHARACTER SET ascii"
# Raises the row's token; refuses a lower one. A statement of a transaction, or on its own.
TAKE = (
    f"UPDATE {names.TOKENS_TABLE} SET token = new_token WHERE entity = of_entity AND token <= new_token; "  # noqa: S608
    f"SELECT token INTO found FROM {names.TOKENS_TABLE} WHERE entity = of_entity; "
    "IF NOT (found <=> new_token) THEN SIGNAL SQLSTATE '45000' "
    f"SET MESSAGE_TEXT = '{names.FENCE_MOVED}'; END IF; "
)
# DDL commits, so no transaction can hold the check and the DDL together: a named lock of the session does.
LOCK = "CONCAT('streamback_', LEFT(SHA2(CONCAT(DATABASE(), '.', of_entity), 256), 40))"
FREE = "DO RELEASE_ALL_LOCKS()"
NO_THREAD = 1094

CLAIM = Procedure(
    name=names.CLAIM_PROCEDURE,
    parameters=f"{ENTITY}, IN new_token BIGINT, IN seconds INT",
    # A session that keeps the lock has stopped between its check and its DDL. Ended, it can send no DDL any more.
    body=(
        "BEGIN DECLARE found BIGINT; DECLARE holder BIGINT; "
        f"DECLARE CONTINUE HANDLER FOR {NO_THREAD} BEGIN END; {TAKE}COMMIT; "
        f"IF NOT (GET_LOCK({LOCK}, seconds) <=> 1) THEN SET holder = IS_USED_LOCK({LOCK}); "
        "IF holder IS NOT NULL THEN KILL holder; END IF; "
        f"IF NOT (GET_LOCK({LOCK}, seconds) <=> 1) THEN SIGNAL SQLSTATE '45000' "
        f"SET MESSAGE_TEXT = '{names.TRIGGERS_BUSY}'; END IF; END IF; {FREE}; END"
    ),
)
HOLD = Procedure(
    name=names.HOLD_PROCEDURE,
    parameters=f"{ENTITY}, IN new_token BIGINT, IN unfenced TINYINT, IN seconds INT",
    body=(
        "BEGIN DECLARE found BIGINT; DECLARE up TINYINT; "  # noqa: S608  # a name of ours
        f"DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; {FREE}; RESIGNAL; END; "
        f"IF NOT (GET_LOCK({LOCK}, seconds) <=> 1) THEN SIGNAL SQLSTATE '45000' "
        f"SET MESSAGE_TEXT = '{names.TRIGGERS_BUSY}'; END IF; {TAKE}COMMIT; "
        f"SELECT fenced INTO up FROM {names.CONTROL_TABLE} WHERE entity = of_entity; "
        "IF unfenced AND up <=> 1 THEN SIGNAL SQLSTATE '45000' "
        f"SET MESSAGE_TEXT = '{names.TRIGGERS_NEEDED}'; END IF; END"
    ),
)


def table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.TOKENS_TABLE}"


def prepare(server: DataApi, entity: Entity) -> None:
    """Make the row and the procedures, unless they are there as they should be."""
    sql = f"INSERT IGNORE INTO {table(entity)} (entity) VALUES (:entity)"  # noqa: S608  # a checked name
    server.execute(sql, {"entity": {"stringValue": entity.name}})
    for procedure in (CLAIM, HOLD):
        procedures.prepare(server, entity, procedure)


def drop_procedures(server: DataApi, entity: Entity) -> None:
    for procedure in (CLAIM, HOLD):
        procedures.drop(server, entity, procedure.name)


def read(database: DataApi, entity: Entity) -> int:
    """The highest token that has acted; 0 for none."""
    sql = f"SELECT token FROM {names.TOKENS_TABLE} WHERE entity = :entity"  # noqa: S608  # a name of ours
    rows = database.query(sql, {"entity": {"stringValue": entity.name}})
    return int(cell_text(rows[0][0])) if rows else 0


def claim(database: DataApi, entity: Entity, token: int) -> None:
    """Refuse every call with a lower token from now on. Calls under way have ended when this returns.

    Raises:
        DataApiError: a higher token has acted (FENCE_MOVED), or a change of triggers does not end (TRIGGERS_BUSY).
    """
    database.once(f"CALL {names.CLAIM_PROCEDURE}('{entity.name}', {token}, {CLAIM_SECONDS})")


def holding(entity: Entity, token: int, seconds: int, *, unfenced: bool = False) -> str:
    """The statement before DDL of the same session: later claims wait for that session, and an older token is refused.

    Args:
        token: of the call.
        seconds: that it waits for another change.
        unfenced: refuse it also while the fence is up (TRIGGERS_NEEDED).
    """
    procedure = f"`{entity.legacy.database}`.{names.HOLD_PROCEDURE}"
    return f"CALL {procedure}('{entity.name}', {token}, {int(unfenced)}, {seconds})"
