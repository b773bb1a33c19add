"""Questions to the legacy database through the Data API, asked again while it wakes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_rds_data.type_defs import FieldOutputTypeDef

PATIENCE = 60.0  # seconds; Aurora Serverless v2 wakes from zero in about 15
PASSING = frozenset(
    {
        "DatabaseResumingException",
        "DatabaseUnavailableException",
        "ServiceUnavailableError",
        "StatementTimeoutException",
        "InternalServerErrorException",
    }
)


class Aurora:
    """The legacy cluster, as the master user sees it."""

    def __init__(self, client: RDSDataServiceClient, cluster_arn: str, secret_arn: str) -> None:
        self._client = client
        self._cluster_arn = cluster_arn
        self._secret_arn = secret_arn

    def query(self, database: str, sql: str, parameters: Mapping[str, str] | None = None) -> list[list[Any]]:
        """The rows of a SELECT that takes text parameters (`:name`)."""
        deadline = time.monotonic() + PATIENCE
        wait = 0.5
        while True:
            try:
                return self._rows(database, sql, parameters or {})
            except self._client.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") not in PASSING or time.monotonic() > deadline:
                    raise
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _rows(self, database: str, sql: str, parameters: Mapping[str, str]) -> list[list[Any]]:
        answer = self._client.execute_statement(
            resourceArn=self._cluster_arn,
            secretArn=self._secret_arn,
            database=database,
            sql=sql,
            parameters=[
                {"name": name, "value": {"stringValue": value}} for name, value in parameters.items()
            ],
        )
        return [[_value(field) for field in row] for row in answer.get("records", [])]


def _value(field: FieldOutputTypeDef) -> Any:
    return None if field.get("isNull") else next(iter(field.values()), None)
