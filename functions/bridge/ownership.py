"""Which rows the stream may change: the bridge's view of the control row, as a condition in SQL and in Python.

While legacy is the source of truth, a record of the stream changes only rows that modern made, and that legacy has not
written in this epoch. A record from before that moment is modern's, come late after `rollback --force`: it changes each
row that legacy has not written in this epoch. An entity whose copy was ended with `copy stop --remove-triggers` is
disconnected: its records change nothing.

Before copy's first start legacy has no epoch, and is the source of truth all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import UNKNOWN_COLUMN, BlockedError, DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.origin import Idle
from functions.legacy.table import key_as_bytes

if TYPE_CHECKING:
    from mypy_boto3_rds_data.type_defs import FieldOutputTypeDef

MOMENT = "%Y-%m-%d %H:%M:%S.%f"  # in Python; Aurora's clock, UTC
INIT = "run `runbook init`"
EVER = datetime(1970, 1, 1, tzinfo=UTC)  # since when an entity that was never disconnected is connected
LATEST = "9999-12-31 23:59:59"  # of a change that the stream gives no time for: after every moment
# Columns of the control row, which a user's own table has no part in, whatever its name is.
CONTROL = names.CONTROL_TABLE
MODERN = f"({CONTROL}.legacy_stamp = 0 AND ({CONTROL}.generation > 0 OR {CONTROL}.fenced = 1))"


class OutdatedTablesError(BlockedError):
    """The control table is of an older version; `runbook init` adds what is missing."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Who is the source of truth.

    Attributes:
        epoch: legacy's; 0 where it has none.
        modern: whether modern is.
        legacy_since: since when legacy is; None for always.
        modern_since: since when modern is, or was before legacy, and copy writes no more; None while copy may write.
        bridged_since: since when the stream's records are applied; None while the entity is disconnected.
        fenced: whether the fence is up, so that only the bridge may write, and whom it permits to.
    """

    epoch: int
    modern: bool
    legacy_since: datetime | None
    modern_since: datetime | None
    bridged_since: datetime | None
    fenced: bool = False

    @property
    def copy_idle(self) -> Idle | None:
        """When copy wrote nothing last."""
        if self.modern_since is None:
            return None
        return Idle(self.modern_since, None if self.modern else self.legacy_since)

    def applies(self, created: datetime | None) -> bool:
        """Whether the bridge applies a change of this time."""
        return self.bridged_since is not None and (created is None or created > self.bridged_since)

    def keeps(self, created: datetime | None, *, epoch: int, made: bool) -> bool:
        """Whether legacy's row stays as it is, whatever a change of this time says.

        Args:
            created: when the change was made.
            epoch: in which legacy last wrote the row; 0 for none.
            made: whether modern made the row.
        """
        if self.modern:
            return False
        late = self.legacy_since is not None and created is not None and created <= self.legacy_since
        return 0 < epoch == self.epoch or not (made or late)


def read(database: DataApi, entity: Entity) -> Authority:
    """What the control row says now.

    Raises:
        OutdatedTablesError: the row is missing, or lacks columns.
    """
    moments = ", ".join(f"DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f')" for name in names.CONTROL_MOMENTS)
    sql = f"SELECT legacy_stamp, {MODERN}, fenced, {moments} FROM {CONTROL} WHERE entity = :entity"  # noqa: S608  # names of ours
    try:
        rows = database.query(sql, {"entity": {"stringValue": entity.name}})
    except DataApiError as error:
        if error.code != UNKNOWN_COLUMN:
            raise
        raise OutdatedTablesError(f"{names.CONTROL_TABLE} is of an older version: {INIT}", error.code) from error
    if not rows:
        raise OutdatedTablesError(f"{entity.name} has no row in {names.CONTROL_TABLE}: {INIT}", UNKNOWN_COLUMN)
    epoch, modern, fenced, *since = rows[0]
    legacy_since, modern_since, bridged_since = map(moment, since)
    return Authority(
        epoch=int(cell_text(epoch)),
        modern=int(cell_text(modern)) == 1,
        legacy_since=legacy_since,
        modern_since=modern_since,
        bridged_since=bridged_since,
        fenced=cell_text(fenced) in {"1", "True"},
    )


def moment(cell: FieldOutputTypeDef) -> datetime | None:
    """A moment of the control row, formatted as `read` asks for it."""
    return None if cell.get("isNull") else datetime.strptime(cell_text(cell), MOMENT).replace(tzinfo=UTC)


def text(created: datetime | None) -> str:
    """A moment as `changeable` and `bridged` take it."""
    return LATEST if created is None else created.astimezone(UTC).strftime(MOMENT)


def bridged(created: str) -> str:
    """The condition that the bridge applies a change made at `created`, an expression in SQL."""
    return _control(_after_connection(created))


def changeable(entity: Entity, created: str) -> str:
    """The condition that a change made at `created`, an expression in SQL, may update or delete a row.

    It reads the control row with a shared lock, so that no row is changed while the source of truth is.
    """
    epoch = f"({names.EPOCH_COLUMN} IS NULL OR {names.EPOCH_COLUMN} <> {CONTROL}.legacy_stamp)"
    owner = f"({made(entity)} OR {CONTROL}.legacy_since >= {_moment(created)})"
    return _control(f"{_after_connection(created)} AND ({MODERN} OR ({epoch} AND {owner}))")


def made(entity: Entity) -> str:
    """The condition that modern made a row, and that legacy has not moved it to another key since."""
    if entity.legacy.key_type == "integer":
        return f"{names.KEY_COLUMN} IS NOT NULL"
    return f"COALESCE({names.KEY_COLUMN} = {key_as_bytes(entity)}, FALSE)"


def _after_connection(created: str) -> str:
    return f"{CONTROL}.bridged_since < {_moment(created)}"


def _moment(created: str) -> str:
    return f"CAST({created} AS DATETIME(6))"


def _control(condition: str) -> str:
    return f"(SELECT {condition} FROM {CONTROL} WHERE {CONTROL}.entity = :entity)"  # noqa: S608  # names of ours
