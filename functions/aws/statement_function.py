"""Statements from outside the database's network: a function inside runs them, by the calls that DataApi makes.

An invocation knows nothing of the one before, so no transaction stays open between two. A transaction is kept here as a
list of statements instead. For the answer to each new one the function runs all of them and rolls back. To commit, it
runs them once more and commits only if each is answered as it was before. Else nothing is written, and the caller gets
a transient error, as after a deadlock. So what commits is one transaction, whose every answer is the one that the
caller acted on. A row that was inserted gets the same key each time: no other row can have it, since InnoDB counts on
also when a transaction is rolled back.

The function is functions/install/requests.py.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws import mysql_errors
from functions.aws.data_api import answering_keys
from functions.aws.mysql_errors import DataApiError, TransientError, classify
from functions.aws.plain_json import base64_text, with_bytes
from functions.aws.retry import FUNCTION_TIMEOUT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

Statement: TypeAlias = "dict[str, Any]"  # its SQL and parameters, and the key that its row got before
Answer: TypeAlias = "dict[str, Any]"

TIMEOUT = 90  # seconds that the function may run
# boto3 must not repeat the call by itself: a statement whose answer was lost would be run twice.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=TIMEOUT + 10)
LARGEST = 6 * 1024 * 1024  # bytes of a request or an answer, as Lambda takes them
# What ends a transaction as a side effect, and what stays in a session: neither can be run again and rolled back.
NOT_REPEATABLE = re.compile(r"\s*(ALTER|CALL|CREATE|DROP|GRANT|LOCK|RENAME|REVOKE|SET|TRUNCATE)\b", re.IGNORECASE)


@dataclass
class _Transaction:
    """The statements so far, and what stands for the answer to each."""

    place: dict[str, str]
    statements: list[Statement] = field(default_factory=list[Statement])
    answered: list[str] = field(default_factory=list[str])


class StatementFunction:
    """The way to a database by a function in its network; the calls and answers are those of boto3's `rds-data`.

    Args:
        functions: boto3's `lambda`, made with `CONFIG`.
        name: the function's.
    """

    def __init__(self, functions: LambdaClient, name: str) -> None:
        self._functions = functions
        self._name = name
        self._open: dict[str, _Transaction] = {}
        answering_keys.add(self)

    def execute_statement(
        self,
        *,
        secretArn: str,  # noqa: N803  # boto3's name
        sql: str,
        parameters: Sequence[Mapping[str, Any]] = (),
        database: str = "",
        transactionId: str = "",  # noqa: N803  # likewise
        **_: Any,
    ) -> Answer:
        """Run one statement; the answer is the Data API's.

        Raises:
            DataApiError: or the subclass that says what the failure means; so do the other methods.
        """
        statement = {"sql": sql, "parameters": list(parameters)}
        if transactionId:
            return self._inside(self._joined(transactionId), statement)
        return self._sent({"secret": secretArn, "database": database, "statements": [statement]})["answer"]

    def begin_transaction(self, *, secretArn: str, database: str = "", **_: Any) -> Answer:  # noqa: N803
        number = str(uuid.uuid4())
        self._open[number] = _Transaction({"secret": secretArn, "database": database})
        return {"transactionId": number}

    def commit_transaction(self, *, transactionId: str, **_: Any) -> Answer:  # noqa: N803
        """Run the statements in one transaction and commit it; nothing is written if one is answered otherwise."""
        ended = self._joined(transactionId)
        del self._open[transactionId]
        if ended.statements:
            self._sent({**ended.place, **_listed(ended.statements, ended.answered), "commit": True})
        return {"transactionStatus": "Transaction Committed"}

    def rollback_transaction(self, *, transactionId: str, **_: Any) -> Answer:  # noqa: N803
        self._open.pop(transactionId, None)
        return {"transactionStatus": "Transaction Rolled Back"}

    def sessions(self, secret_arn: str) -> FunctionSessions:
        """Runs statements that need a session of their own, as the user of a secret."""
        return FunctionSessions(self, secret_arn)

    def run(self, secret_arn: str, statements: Sequence[str]) -> None:
        """Run statements on one connection of their own, each in a transaction of its own, until one fails."""
        self._sent({"secret": secret_arn, "session": list(statements)})

    def _inside(self, transaction: _Transaction, statement: Statement) -> Answer:
        if NOT_REPEATABLE.match(statement["sql"]):
            raise DataApiError(f"not in a transaction of {self._name}, which runs it again: {statement['sql']}")
        statements = [*transaction.statements, statement]
        found = self._sent({**transaction.place, **_listed(statements, transaction.answered)})
        if key := generated_key(found["answer"]):
            statement["key"] = key
        transaction.statements.append(statement)
        transaction.answered.append(found["stands_for"])
        return found["answer"]

    def _joined(self, number: str) -> _Transaction:
        if number not in self._open:
            raise TransientError(f"there is no transaction {number}", maybe_written=False)
        return self._open[number]

    def _sent(self, event: Mapping[str, Any]) -> dict[str, Any]:
        payload = json.dumps(event, default=base64_text).encode()
        if len(payload) > LARGEST:
            raise DataApiError(f"{self._name} takes requests of 6 MB, and this one has {len(payload)} bytes")
        try:
            reply = self._functions.invoke(FunctionName=self._name, Payload=payload)
            found: dict[str, Any] = json.loads(reply["Payload"].read(), object_hook=with_bytes)
        except (ClientError, BotoCoreError) as raised:
            raise classify(raised) from raised
        if "FunctionError" in reply:
            raise self._failed(f"{found.get('errorType')}: {found.get('errorMessage')}")
        if error := found.get("error"):
            raise read(error)
        return found

    def _failed(self, text: str) -> DataApiError:
        kind = TransientError if FUNCTION_TIMEOUT in text.lower() else DataApiError
        return kind(f"{self._name}: {text}")


@dataclass
class FunctionSessions:
    """Sessions of a statement function; DataApi sends it at once all that needs one.

    Attributes:
        wanted: the kinds of statements.
    """

    function: StatementFunction
    secret_arn: str
    wanted: set[str] = field(default_factory=lambda: {"define", "together"})

    def run(self, statements: Sequence[str]) -> None:
        """Run them on one connection, until one fails; raises what `StatementFunction` does."""
        self.function.run(self.secret_arn, statements)


def generated_key(answer: Answer) -> int | None:
    """The key that an INSERT got, if the database counted it."""
    return next((cell["longValue"] for cell in answer.get("generatedFields", [])), None)


def _listed(statements: Sequence[Statement], answered: Sequence[str]) -> dict[str, Any]:
    return {"statements": list(statements), "answered": list(answered), "transaction": True}


def written(error: DataApiError) -> dict[str, Any]:
    """An error as JSON, with its class."""
    maybe = getattr(error, "maybe_written", True)
    return {"kind": type(error).__name__, "code": error.code, "text": str(error), "maybe_written": maybe}


def read(found: Mapping[str, Any]) -> DataApiError:
    """The error that `written` has written."""
    kind: type[DataApiError] = getattr(mysql_errors, found["kind"])
    if kind is TransientError:
        return TransientError(found["text"], found["code"], maybe_written=found["maybe_written"])
    return kind(found["text"], found["code"])
