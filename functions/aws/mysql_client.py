"""Statements to MySQL by the calls of boto3's `rds-data` that DataApi makes, for a database without a Data API.

Requests and answers have the Data API's form: parameters by name with typed values, cells that say their type. So all
SQL of streamback, and all that reads its answers, is the same on both ways.

Two answers say more than the Data API's. A TINYINT(1) is a number, not a boolean, and an INSERT's answer always has the
key that the row got. A statement that is not answered in time is left alone, since a KILL through a proxy may hit
another session: what it was to write may be written later, as after an answer that was lost.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from pymysql.constants import FIELD_TYPE

from functions.aws.data_api import answering_keys
from functions.aws.mysql_connections import Connections, Key, close
from functions.aws.mysql_errors import DataApiError, TransientError

if TYPE_CHECKING:
    from pymysql import Connection

Answer: TypeAlias = "dict[str, Any]"
Cell: TypeAlias = "dict[str, Any]"
Encode: TypeAlias = "Callable[[Any], Cell]"

NULL: Cell = {"isNull": True}
ABOVE_LONG = 2**63
# What is quoted or a comment stays as it is; a name after one colon is a parameter, but not in `:=` or `a:b`.
PARTS = re.compile(
    r"""
    ( '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `[^`]*` | --(?=\s|$)[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?<![:\w]) : ([A-Za-z_]\w*)
    | (%)
    """,
    re.DOTALL | re.VERBOSE,
)


class MySqlClient:
    """A function's way to its database.

    Args:
        connections: to the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open: dict[str, tuple[Key, Connection]] = {}
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
        if transactionId:
            connection = self._joined(transactionId)[1]
            with self._connections.meaning(connection):
                return execute(connection, sql, parameters)
        with self._connections.use(secretArn, database) as connection:
            return execute(connection, sql, parameters)

    def begin_transaction(self, *, secretArn: str, database: str = "", **_: Any) -> Answer:  # noqa: N803
        place = (secretArn, database)
        connection = self._connections.take(place)
        with self._connections.meaning(connection):
            connection.begin()
        number = str(uuid.uuid4())
        self._open[number] = place, connection
        return {"transactionId": number}

    def commit_transaction(self, *, transactionId: str, **_: Any) -> Answer:  # noqa: N803
        self._end(transactionId, lambda connection: connection.commit())
        return {"transactionStatus": "Transaction Committed"}

    def rollback_transaction(self, *, transactionId: str, **_: Any) -> Answer:  # noqa: N803
        self._end(transactionId, lambda connection: connection.rollback())
        return {"transactionStatus": "Transaction Rolled Back"}

    def _joined(self, number: str) -> tuple[Key, Connection]:
        if number not in self._open:
            raise TransientError(f"there is no transaction {number}")
        return self._open[number]

    def _end(self, number: str, how: Callable[[Connection], None]) -> None:
        key, connection = self._joined(number)
        del self._open[number]
        try:
            with self._connections.meaning(connection):
                how(connection)
        except BaseException:
            close(connection)
            raise
        self._connections.keep(key, connection)


def execute(connection: Connection, sql: str, parameters: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """Run one statement on a connection; the answer is the Data API's.

    Raises:
        MySQLError: PyMySQL's.
        DataApiError: the statement names a parameter that has no value.
    """
    values = {one["name"]: _value(one["value"]) for one in parameters}
    text, names = placed(sql)
    if missing := names - values.keys():
        raise DataApiError(f"the statement has no value for its parameters {', '.join(sorted(missing))}")
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        if cursor.description:
            return {"numberOfRecordsUpdated": 0, "generatedFields": [], "records": _records(cursor)}
        key = [{"longValue": cursor.lastrowid}] if cursor.lastrowid else []
        return {"numberOfRecordsUpdated": max(cursor.rowcount, 0), "generatedFields": key, "records": []}


@lru_cache(maxsize=512)
def placed(sql: str) -> tuple[str, frozenset[str]]:
    """The statement with PyMySQL's place of a value for each `:name`, and these names."""
    names: set[str] = set()

    def place(found: re.Match[str]) -> str:
        kept, name, _ = found.groups()
        if name:
            names.add(name)
            return f"%({name})s"
        return (kept or "%").replace("%", "%%")

    return PARTS.sub(place, sql), frozenset(names)


def _value(typed: Mapping[str, Any]) -> Any:
    """What PyMySQL writes as exactly this value."""
    return None if typed.get("isNull") else next(iter(typed.values()))


def _records(cursor: Any) -> list[list[Cell]]:
    encodes = [_encode(column) for column in cursor._result.fields]  # noqa: SLF001  # the public ones lack the length
    return [[encode(value) for encode, value in zip(encodes, row, strict=True)] for row in cursor.fetchall()]


def _encode(column: Any) -> Encode:
    """How a column's values become cells."""
    if column.type_code == FIELD_TYPE.BIT and column.length == 1:
        return lambda value: NULL if value is None else {"booleanValue": value != b"\x00"}
    return _cell


def _cell(value: Any) -> Cell:
    match value:
        case None:
            return NULL
        case bytes():
            return {"blobValue": value}
        case float():
            return {"doubleValue": value}
        case int() if value < ABOVE_LONG:
            return {"longValue": value}
        case _:
            return {"stringValue": str(value)}
