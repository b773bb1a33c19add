"""Runs statements on a connection to Aurora, which the Data API does not: bodies of triggers, and DDL under a lock.

It is inside the cluster's network, and its certificate authorities are in the archive beside the code. The install
function and the runbook invoke it, by functions/aws/session_function.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pymysql
from aws_lambda_powertools import Logger

from functions.aws import environment
from functions.aws.mysql_connections import connect, described
from functions.aws.mysql_login import Login

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from pymysql import Connection

READ_TIMEOUT = 45  # seconds that a statement may run

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers nothing, or the `error` of the first statement that failed: its code, SQL state and text.

    The event is `{"user": name, "password": text, "statements": [text]}`.
    """
    statements: Sequence[str] = event["statements"]
    try:
        with _connection(Login(event["user"], event["password"])) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except pymysql.MySQLError as error:
        logger.warning("a statement failed", extra={"error": str(error)})
        code, state, text = described(error)
        return {"error": {"code": code, "state": state, "text": text}}
    logger.info("ran", extra={"statements": len(statements)})
    return {}


def _connection(login: Login) -> Connection:
    host, port = environment.variable("DATABASE_HOST"), int(environment.variable("DATABASE_PORT"))
    return connect(host, port, login, "", READ_TIMEOUT)
