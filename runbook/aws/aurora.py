"""Questions to the legacy database through the Data API, asked again while it wakes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import NO_DATABASE, NO_TABLE, DataApiError, TransientError
from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_rds_data.type_defs import FieldOutputTypeDef

PATIENCE = 60.0  # seconds; Aurora Serverless v2 wakes from zero in about 15


class Aurora:
    """The legacy cluster, as the master user sees it."""

    def __init__(self, client: RDSDataServiceClient, cluster_arn: str, secret_arn: str) -> None:
        self._client = client
        self._cluster_arn = cluster_arn
        self._secret_arn = secret_arn

    def server(self, database: str = "") -> DataApi:
        """The Data API itself, for what the functions ask too; unlike `query` it does not wait for a waking one."""
        return DataApi(self._client, self._cluster_arn, self._secret_arn, database)

    def query(
        self,
        database: str,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        patience: float = PATIENCE,
    ) -> list[list[Any]]:
        """The rows of a SELECT that takes text parameters (`:name`).

        Raises:
            PreconditionError: the table or database is not there: `runbook init` makes both.
            FailedError: the database did not answer in `patience` seconds, or refused.
        """
        api = self.server(database)
        typed = {name: {"stringValue": value} for name, value in (values or {}).items()}
        deadline, wait = time.monotonic() + patience, 0.5
        while True:
            try:
                return [[_value(cell) for cell in row] for row in api.query(sql, typed)]
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise FailedError(f"Aurora does not answer: {error}", "See the cluster's state.") from error
            except DataApiError as error:
                raise _told(error) from error
            time.sleep(wait)
            wait = min(wait * 2, 5.0)


def _told(error: DataApiError) -> FailedError | PreconditionError:
    if error.code in {NO_TABLE, NO_DATABASE}:
        return PreconditionError(f"Aurora is not prepared: {error}", "Run `runbook init` first.")
    return FailedError(f"Aurora says: {error}")


def _value(cell: FieldOutputTypeDef) -> Any:
    return None if cell.get("isNull") else next(iter(cell.values()), None)
