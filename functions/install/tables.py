"""What streamback adds to a legacy database: invisible columns in each entity's table, and tables of its own."""

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, online_ddl, tokens, triggers

COLUMNS = {
    names.KEY_COLUMN: f"VARBINARY({names.KEY_BYTES}) NULL INVISIBLE",
    names.SEQUENCE_COLUMN: "DECIMAL(40,0) NULL INVISIBLE",
    names.EPOCH_COLUMN: "INT NULL INVISIBLE",
}

TABLES = {
    names.DELETES_TABLE: (
        f"entity VARCHAR(64) NOT NULL, item_key VARBINARY({names.KEY_BYTES}) NOT NULL, "
        "sequence DECIMAL(40,0) NOT NULL, deleted_at DATETIME(6) NOT NULL, legacy_stamp INT NULL, "
        "PRIMARY KEY (entity, item_key), INDEX deleted_at (deleted_at)"
    ),
    names.HEARTBEATS_TABLE: (
        "entity VARCHAR(64) NOT NULL PRIMARY KEY, token VARCHAR(64) NOT NULL, "
        "sequence DECIMAL(40,0) NOT NULL, applied_at DATETIME(6) NOT NULL"
    ),
    names.STREAMS_TABLE: "entity VARCHAR(64) NOT NULL PRIMARY KEY, stream_arn VARCHAR(1024) NOT NULL",
    names.CONTROL_TABLE: control_row.COLUMNS,
    names.TOKENS_TABLE: tokens.COLUMNS,
    names.CHANGES_TABLE: (
        "change_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, entity VARCHAR(64) NOT NULL, "
        f"lane SMALLINT NOT NULL, item_key VARBINARY({names.KEY_BYTES}) NOT NULL, "
        "enqueued_at DATETIME(6) NOT NULL, backfill TINYINT NOT NULL DEFAULT 0, "
        "INDEX lane (entity, lane, change_id)"
    ),
}
REPLAY_TABLES = {  # beside TABLES, for an entity with bridge = "replay"
    names.REPLAYS_TABLE: (
        f"entity VARCHAR(64) NOT NULL, item_key VARBINARY({names.KEY_BYTES}) NOT NULL, "
        "sequence DECIMAL(40,0) NOT NULL, owner VARCHAR(64) CHARACTER SET ascii NOT NULL, "
        "deadline DATETIME(6) NOT NULL, PRIMARY KEY (entity, item_key)"
    )
}
EVERY_TABLE = (*TABLES, *REPLAY_TABLES)


def helpers(entity: Entity) -> dict[str, str]:
    """The columns of each helper table that an entity needs, by name."""
    return {**TABLES, **(REPLAY_TABLES if entity.replayed else {})}


def prepare(server: DataApi, entity: Entity, deadline: float | None = None, *, block_writers: bool = False) -> None:
    """Add what is missing for one entity; a change of a large table is waited for until `deadline`.

    Raises:
        StillAlteringError: that change goes on; call again.
        BlockedWritersError: it would block writers, and `block_writers` does not allow that.
    """
    database = entity.legacy.database
    for name, columns in helpers(entity).items():
        server.execute(f"CREATE TABLE IF NOT EXISTS `{database}`.{name} ({columns}) CHARACTER SET utf8mb4")
    tokens.prepare(server, entity)
    control_row.prepare(server, entity)
    _complete_control(server, entity)
    missing = [f"ADD COLUMN {name} {kind}" for name, kind in COLUMNS.items() if not has_column(server, entity, name)]
    if missing:
        online_ddl.alter(
            server,
            entity,
            ", ".join(missing),
            lambda: all(has_column(server, entity, name) for name in COLUMNS),
            deadline,
            block_writers=block_writers,
        )
    if not has_index(server, entity):
        index = f"ADD UNIQUE INDEX {names.KEY_COLUMN} ({names.KEY_COLUMN})"
        online_ddl.alter(
            server, entity, index, lambda: has_index(server, entity), deadline, block_writers=block_writers
        )


def _complete_control(server: DataApi, entity: Entity) -> None:
    """Add what the control table of an older version lacks; no writer waits longer than a few seconds for it."""
    lacking = control_row.missing(server, entity)
    if not lacking:
        return
    adds = ", ".join(f"ADD COLUMN {name} {control_row.LATER_COLUMNS[name]}" for name in lacking)
    try:
        triggers.change(server, entity, [f"ALTER TABLE {control_row.table(entity)} {adds}"])
    except DataApiError:
        if control_row.missing(server, entity):  # another call may just have added them
            raise


def grants(entity: Entity) -> list[str]:
    """The bridge's rights: rows of the entity's table and of the helper tables, nothing else."""
    places = [f"`{entity.legacy.database}`.{name}" for name in helpers(entity)]
    return [granted(table) for table in (place(entity), *places)]


def granted(table: str) -> str:
    """What the bridge's user may do with a table."""
    return f"SELECT, INSERT, UPDATE, DELETE ON {table}"


def place(entity: Entity) -> str:
    """The entity's table in a statement."""
    return f"`{entity.legacy.database}`.`{entity.legacy.table}`"


def _named(entity: Entity, name: str) -> dict[str, dict[str, str]]:
    parts = {"database": entity.legacy.database, "table": entity.legacy.table, "name": name}
    return {key: {"stringValue": value} for key, value in parts.items()}


def has_column(server: DataApi, entity: Entity, name: str) -> bool:
    sql = (
        "SELECT 1 FROM information_schema.columns "
        "WHERE table_schema = :database AND table_name = :table AND column_name = :name"
    )
    return bool(server.query(sql, _named(entity, name)))


def has_index(server: DataApi, entity: Entity) -> bool:
    """Whether the entity's table has the index of item keys."""
    sql = (
        "SELECT 1 FROM information_schema.statistics "
        "WHERE table_schema = :database AND table_name = :table AND index_name = :name"
    )
    return bool(server.query(sql, _named(entity, names.KEY_COLUMN)))
