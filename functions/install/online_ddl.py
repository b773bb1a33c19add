"""Runs ALTER TABLE on an entity's table, however long it takes, without blocking its writers.

An index on a large table takes longer than the 45 seconds of a Data API call and than a function may run. So the
database continues the statement after its caller has ended. The next caller finds it there and waits for it.
"""

import time
import zlib
from collections.abc import Callable

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import LOCK_WAIT, NO_PROCEDURE, PROCEDURE_EXISTS, DataApiError, TransientError
from functions.domain import names
from functions.domain.entities import Entity

TIMEOUT_SECONDS = 200.0  # seconds; with a last call of 50 it is under the function's own limit of 300
LOCK_SECONDS = 3  # that a change of the table or a trigger may wait; every user of the table waits behind it
ATTEMPTS = 5
LOOK_SECONDS = 1.0  # between two looks at a statement that still runs
# ALTER TABLE checks the defaults of all columns. A table may have been made by a session that takes dates such as
# '0000-00-00', which ours refuses (1067); TRADITIONAL contains both modes that refuse them.
ANY_DATE = (
    "CONCAT_WS(',', REPLACE(REPLACE(REPLACE(@@SESSION.sql_mode, 'TRADITIONAL', ''), 'NO_ZERO_IN_DATE', ''), "
    "'NO_ZERO_DATE', ''), 'ALLOW_INVALID_DATES')"
)
PROCEDURE = f"{names.RESERVED_PREFIX}alter_"
# Columns, indexes or procedures that are there already or no longer: another caller did the same at the same time.
DONE_ALREADY = frozenset({1060, 1061, 1091, NO_PROCEDURE})
# LOCK=NONE is not to be had: an index of text or places, or one on a virtual column.
NOT_ONLINE = frozenset({1845, 1846})


class TableBusyError(Exception):
    """A transaction holds the table; no writer waited for it longer than a few seconds."""


class BlockedWritersError(Exception):
    """The change would copy the table and block its writers meanwhile, which was not allowed."""


class StillAlteringError(Exception):
    """The statement still runs in the database; call again to wait for it."""


def alter(  # noqa: PLR0913  # what to change, and how
    server: DataApi,
    entity: Entity,
    change: str,
    done: Callable[[], bool],
    deadline: float | None = None,
    *,
    block_writers: bool = False,
) -> None:
    """Run an ALTER TABLE, unless it is done; wait for one that an earlier caller has left running.

    Args:
        server: the Data API.
        change: what follows the table's name; text of ours.
        done: looks whether it took effect.
        deadline: monotonic seconds until which one that goes on is waited for.
        block_writers: allow a change during which no writer can write.

    Raises:
        StillAlteringError: it still runs.
        BlockedWritersError: MySQL can make this change only while writers wait, and they may not.
        TableBusyError: a transaction uses the table all the time; no writer waited behind it for long.
    """
    end = time.monotonic() + TIMEOUT_SECONDS if deadline is None else deadline
    for _ in range(ATTEMPTS):
        _await(server, entity, end)
        if done():
            return
        try:
            _run(server, entity, change if block_writers else f"{change}, LOCK=NONE")
        except DataApiError as error:
            if error.code in NOT_ONLINE:
                raise BlockedWritersError(
                    f"{entity.legacy.database}.{entity.legacy.table}: MySQL would copy the table and block its writers "
                    f"meanwhile, about 2 s for 100,000 rows; --block-writers allows it ({error})"
                ) from error
            if not (_again(error) or running(server, entity) or done()):
                raise
    _await(server, entity, end)
    if not done():
        raise TableBusyError(
            f"{entity.legacy.table} was in use for {ATTEMPTS} times {LOCK_SECONDS} seconds; end its long transactions "
            "(see SHOW PROCESSLIST), then run the command again"
        )


def _again(error: DataApiError) -> bool:
    return error.code in DONE_ALREADY or (isinstance(error, TransientError) and error.code == LOCK_WAIT)


def running(server: DataApi, entity: Entity) -> str:
    """The ALTER TABLE of the entity's table that runs now, as its text; empty for none."""
    sql = "SELECT info FROM information_schema.processlist WHERE LEFT(info, 11) = 'ALTER TABLE'"
    found = [cell_text(row[0]) for row in server.query(sql)]
    return next((text for text in found if text.startswith(_statement(entity))), "")


def _await(server: DataApi, entity: Entity, deadline: float) -> None:
    while text := running(server, entity):
        if time.monotonic() > deadline:
            raise StillAlteringError(f"Aurora still runs this statement: {text}")
        time.sleep(LOOK_SECONDS)


def _run(server: DataApi, entity: Entity, change: str) -> None:
    """Run it by a procedure, with a limit for its lock: every user of the table waits behind it meanwhile.

    The limit needs the same connection, and a transaction would end with its caller. The mode that takes any date ends
    with the procedure: the database gives a session its own sql_mode again after each procedure, also after an error.
    """
    body = (
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION "
        "BEGIN SET SESSION lock_wait_timeout = DEFAULT; RESIGNAL; END; "
        f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}; SET SESSION sql_mode = {ANY_DATE}; "
        f"{_statement(entity)} {change}; SET SESSION lock_wait_timeout = DEFAULT; END"
    )
    # why of the whole body: an earlier version's procedure, left by a killed caller, must not run instead
    procedure = f"`{entity.legacy.database}`.{PROCEDURE}{zlib.crc32(body.encode()):08x}"
    try:
        server.define(f"CREATE PROCEDURE {procedure}() SQL SECURITY INVOKER {body}")
    except DataApiError as error:
        if error.code != PROCEDURE_EXISTS:
            raise
    try:
        server.once(f"CALL {procedure}()", goes_on=True)
    finally:
        if not running(server, entity):  # it could not be dropped before that ends
            server.execute(f"DROP PROCEDURE IF EXISTS {procedure}")


def sweep(server: DataApi, database: str) -> None:
    """Drop the procedures that killed callers have left."""
    sql = "SELECT routine_name FROM information_schema.routines WHERE routine_schema = :database"
    for row in server.query(sql, {"database": {"stringValue": database}}):
        if (name := cell_text(row[0])).startswith(PROCEDURE):
            server.execute(f"DROP PROCEDURE IF EXISTS `{database}`.{name}")


def _statement(entity: Entity) -> str:
    return f"ALTER TABLE `{entity.legacy.database}`.`{entity.legacy.table}`"
