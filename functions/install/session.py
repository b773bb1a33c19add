"""Runs statements on a connection to Aurora, which the Data API does not: bodies of triggers, and DDL under a lock.

It is inside the cluster's network, and its certificate authorities are in the archive beside the code. The install
function and the runbook invoke it, by functions/aws/session_function.py.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from aws_lambda_powertools import Logger

from functions.aws import environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from pymysql import Connection

AUTHORITIES = Path(__file__).parents[2] / "database-ca.pem"
CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 45  # seconds that a statement may run
LOST, NO_STATE = 2013, "HY000"

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers nothing, or the `error` of the first statement that failed: its code, SQL state and text.

    The event is `{"user": name, "password": text, "statements": [text]}`.
    """
    statements: Sequence[str] = event["statements"]
    try:
        with _connection(event["user"], event["password"]) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except pymysql.MySQLError as error:
        logger.warning("a statement failed", extra={"error": str(error)})
        return {"error": _described(error)}
    logger.info("ran", extra={"statements": len(statements)})
    return {}


def _connection(user: str, password: str) -> Connection:
    """A new connection, which is encrypted, to a server that proves its name."""
    return pymysql.connect(
        host=environment.variable("DATABASE_HOST"),
        port=int(environment.variable("DATABASE_PORT")),
        user=user,
        password=password,
        charset="utf8mb4",
        autocommit=True,
        ssl=_trusted(),
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
    )


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(AUTHORITIES))


def _described(error: pymysql.MySQLError) -> dict[str, Any]:
    code, text = (*error.args, "", "")[:2]
    state = getattr(error, "sqlstate", None)  # of errors that the server itself reports
    return {"code": code or LOST, "text": str(text), "state": state or NO_STATE}
