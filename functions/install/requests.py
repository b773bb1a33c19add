"""Runs the runbook's statements: the operator is outside of the database's network, and this function is inside.

functions/aws/statement_function.py invokes it and says what becomes of transactions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from functions.aws import environment
from functions.aws.mysql_client import execute
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.aws.statement_function import LARGEST, written

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from pymysql import Connection

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers `answer`, that of the last statement, or the `error` of the first that failed.

    The event names a user by its `secret`, and is one of:
        `{"secret", "database", "statements": [one]}` runs a statement.
        `{…, "statements", "answered", "transaction": true, "commit": whether}` runs them in one transaction, and adds
            `stands_for`, which stands for the answer. All but the last, or to commit all of them, must be answered as
            `answered` says. Else the error is transient, and nothing is written.
        `{"secret", "session": [SQL]}` runs texts on a connection of their own, which is then closed.
    """
    try:
        found = _session(event) if "session" in event else _answered(event)
    except DataApiError as error:
        logger.warning("a statement failed", extra={"error": str(error), "number": error.code})
        return {"error": written(error)}
    size = len(json.dumps(found, ensure_ascii=False).encode())
    return (
        found if size < LARGEST else {"error": written(DataApiError(f"Lambda answers 6 MB, and this is {size} bytes"))}
    )


def _answered(event: Mapping[str, Any]) -> dict[str, Any]:
    with environment.connections().use(event["secret"], event.get("database", "")) as connection:
        if event.get("transaction"):
            return _transaction(connection, event["statements"], event["answered"], commit=bool(event.get("commit")))
        return {"answer": _plain(_run(connection, event["statements"][0]))}


def _transaction(
    connection: Connection, statements: Sequence[Mapping[str, Any]], answered: Sequence[str], *, commit: bool
) -> dict[str, Any]:
    connection.begin()
    answer: dict[str, Any] = {}
    for number, statement in enumerate(statements):
        if key := statement.get("key"):
            execute(connection, f"SET INSERT_ID = {int(key)}")
        answer = _plain(_run(connection, statement))
        if number < len(answered) and stands_for(answer) != answered[number]:
            connection.rollback()
            text = f"rows have changed since statement {number + 1} of the transaction was answered"
            raise TransientError(text, maybe_written=False)
    connection.commit() if commit else connection.rollback()
    return {"answer": answer, "stands_for": stands_for(answer)}


def _session(event: Mapping[str, Any]) -> dict[str, Any]:
    connections = environment.connections()
    with connections.alone(event["secret"]) as connection, connection.cursor() as cursor:
        for statement in event["session"]:
            cursor.execute(statement)
    return {}


def _run(connection: Connection, statement: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [{**one, "value": _value(one["value"])} for one in statement["parameters"]]
    return execute(connection, statement["sql"], parameters)


def _value(typed: Mapping[str, Any]) -> Mapping[str, Any]:
    """A typed value whose bytes are bytes, which are base64 in the event."""
    return {"blobValue": base64.b64decode(typed["blobValue"])} if "blobValue" in typed else typed


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as JSON can hold it."""
    return {**answer, "records": [[_cell(cell) for cell in row] for row in answer["records"]]}


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    return {"blobValue": base64.b64encode(cell["blobValue"]).decode()} if "blobValue" in cell else cell


def stands_for(answer: Mapping[str, Any]) -> str:
    """A short text that is the same for the same answer."""
    seen = json.dumps([answer["records"], answer["numberOfRecordsUpdated"], answer["generatedFields"]])
    return hashlib.sha256(seen.encode()).hexdigest()
