"""The legacy database through the Data API: the only place that builds one, and waits for a database that wakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from functions.aws.data_api import DataApi, Sessions
from functions.aws.mysql_errors import NO_DATABASE, NO_TABLE, DataApiError, TransientError
from functions.aws.retry import retry
from functions.bridge.ownership import OutdatedTablesError
from functions.copy.queue import ChangeQueue
from functions.domain.entities import Entity
from functions.install import control_row
from functions.install.control_row import Control
from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_rds_data.type_defs import FieldOutputTypeDef

Answer = TypeVar("Answer")
TIMEOUT = 60.0  # seconds; Aurora Serverless v2 wakes from zero in about 15
MOST_COUNTED = 1_000_000  # rows by InnoDB's own estimate, above which a table is not counted
ROWS_IN_PLAN = {12: 9, 10: 8}  # the place of `rows` in a line of EXPLAIN, of MySQL's 12 columns or MariaDB's 10


@dataclass(frozen=True, kw_only=True)
class RecordCount:
    """How many records a side has; not `exact` where it is the system's estimate, because there are many."""

    records: int
    exact: bool


@dataclass(frozen=True)
class Aurora:
    """The legacy cluster. Without the bridge's secret there is no bridge, and so none of streamback's tables."""

    client: RDSDataServiceClient
    cluster_arn: str
    master_secret_arn: str
    bridge_secret_arn: str = ""
    sessions: Sessions | None = None

    def database(self, name: str = "") -> DataApi:
        """The Data API as the master user; unlike `query` it does not wait for a database that wakes."""
        return DataApi(self.client, self.cluster_arn, self.master_secret_arn, name, sessions=self.sessions)

    def as_bridge(self, name: str) -> DataApi:
        """The Data API as the bridge's user: the fence lets it through, and the triggers capture nothing of it."""
        return DataApi(self.client, self.cluster_arn, self.bridge_secret_arn, name)

    def queue(self, entity: Entity) -> ChangeQueue:
        return ChangeQueue(self.database(entity.legacy.database), entity)

    def query(
        self, database: str, sql: str, values: Mapping[str, str] | None = None, *, timeout: float = TIMEOUT
    ) -> list[list[Any]]:
        """The rows of a SELECT that takes text parameters (`:name`).

        Raises:
            PreconditionError: the table or database is not there: `runbook init` makes both.
            FailedError: the database did not answer in `timeout` seconds, or refused.
        """
        api = self.database(database)
        typed = {name: {"stringValue": value} for name, value in (values or {}).items()}
        return [[_value(cell) for cell in row] for row in self.ask(lambda: api.query(sql, typed), timeout)]

    def ask(self, question: Callable[[], Answer], timeout: float = TIMEOUT) -> Answer:
        """The answer to a question that can be asked again; raises what `query` does."""
        try:
            return retry(question, TransientError, timeout=timeout, failure=_no_answer)
        except DataApiError as error:
            raise refusal(error) from error

    def count(self, entity: Entity, *, exact: bool, timeout: float = TIMEOUT) -> RecordCount:
        """The rows of the legacy table; unless `exact`, an estimate of a big one. Raises what `query` does."""
        table = entity.legacy
        name = f"`{table.database}`.`{table.table}`"  # both checked to be plain names when the mapping was read
        if not exact:
            # Not information_schema's number: MySQL 8 keeps that for a day.
            explain = f"EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM {name}"  # noqa: S608  # MySQL 9 has another default
            plan = self.query(table.database, explain, timeout=timeout)[0]
            estimate = int(plan[ROWS_IN_PLAN[len(plan)]] or 0)
            if estimate > MOST_COUNTED:
                return RecordCount(records=estimate, exact=False)
        rows = self.query(table.database, f"SELECT COUNT(*) FROM {name}", timeout=timeout)  # noqa: S608  # see above
        return RecordCount(records=int(rows[0][0]), exact=True)

    def find_control(self, entity: Entity, *, timeout: float = TIMEOUT) -> Control | None:
        """The entity's control row; None when the table has none. Raises what `query` does."""
        database = self.database(entity.legacy.database)
        return self.ask(lambda: control_row.read(database, entity), timeout)

    def control(self, entity: Entity) -> Control:
        """The entity's control row.

        Raises:
            PreconditionError: there is none: `runbook init` makes it.
            FailedError: the database does not answer, or refused.
        """
        try:
            found = self.find_control(entity)
        except PreconditionError:
            found = None
        if found is None:
            raise PreconditionError(f"{entity.name} has no fence in Aurora yet", "Run `runbook init` first.")
        return found


def _no_answer(error: Exception) -> FailedError:
    return FailedError(f"Aurora does not answer: {error}", "See the cluster's state.")


def refusal(error: DataApiError) -> FailedError | PreconditionError:
    """What to say of an error that no retry cures."""
    if error.code in {NO_TABLE, NO_DATABASE} or isinstance(error, OutdatedTablesError):
        return PreconditionError(f"Aurora is not prepared: {error}", "Run `runbook init` first.")
    return FailedError(f"Aurora says: {error}", "Run the command again.")


def _value(cell: FieldOutputTypeDef) -> Any:
    return None if cell.get("isNull") else next(iter(cell.values()), None)
