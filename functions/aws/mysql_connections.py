"""Connections to MySQL over TLS: kept for the next invocation, checked after a rest, replaced when they are lost.

A Lambda instance works on one event at a time, so it has one connection for each user and database, and more only while
a transaction is open beside other statements. Only archives of functions in the database's network have PyMySQL.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pymysql
from pymysql.connections import TEXT_TYPES
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from functions.aws.mysql_errors import DataApiError, of_mysql

if TYPE_CHECKING:
    from pymysql import Connection

    from functions.aws.mysql_login import Login, Logins

AUTHORITIES = Path(__file__).parents[2] / "database-ca.pem"
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 55  # that a statement is waited for; a wait for a lock ends after 50 with MySQL's own error
RESTING_SECONDS = 1.0  # after which a connection is checked before it is used: Lambda may have frozen the instance
MOST_RESTING = 4  # connections of an instance that does nothing
ACCESS_DENIED, GONE, LOST, UNREACHABLE = 1045, 2006, 2013, 2003
IN_TRANSACTION = 1  # a flag of the server's status
NO_STATE = "HY000"
# After these no connection is used again: the server has gone, or this instance has become a reader.
ENDED = frozenset({0, 1053, 1290, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2055})
# As the server writes them: Python's own dates and times cannot hold all of them. Bits stay bytes.
AS_TEXT = (
    *(FIELD_TYPE.TIME, FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP),
    *(FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL),
)
DECODERS: dict[Any, Any] = {**conversions, **dict.fromkeys(AS_TEXT, str), FIELD_TYPE.BIT: bytes}
TEXT_TYPES.update({FIELD_TYPE.ENUM, FIELD_TYPE.SET})  # of MySQL's expressions; PyMySQL takes them for ASCII

Key: TypeAlias = "tuple[str, str]"  # a secret and a database


def connect(host: str, port: int, login: Login, database: str, seconds: float) -> Connection:
    """A new connection with autocommit, which is encrypted, to a server that proves its name.

    Args:
        seconds: that an answer is waited for.

    Raises:
        MySQLError: PyMySQL's, with the server's number; 2003 where the server is not reached or proves another name.
    """
    return pymysql.connect(
        host=host,
        port=port,
        user=login.user,
        password=login.password,
        database=database or None,
        charset="utf8mb4",
        autocommit=True,
        conv=DECODERS,
        ssl=trusted(AUTHORITIES),
        connect_timeout=CONNECT_SECONDS,
        read_timeout=seconds,
        write_timeout=seconds,
    )


@cache
def trusted(authorities: Path) -> ssl.SSLContext:
    """Trusts certificates of these authorities alone. It takes 20 ms to make, so it is kept."""
    return ssl.create_default_context(cafile=str(authorities))


def described(error: pymysql.MySQLError) -> tuple[int, str, str]:
    """An error's number, SQL state and text. One that PyMySQL itself raised without a number is a lost connection."""
    code, text = (*error.args, "", "")[:2]
    if not isinstance(code, int):
        code, text = LOST, str(error)
    return code or GONE, getattr(error, "sqlstate", None) or NO_STATE, str(text)


class Connections:
    """All connections of one Lambda instance.

    Args:
        logins: of the users.
        seconds: that a statement is waited for.
    """

    def __init__(self, host: str, port: int, logins: Logins, seconds: float) -> None:
        self._host, self._port = host, port
        self._logins = logins
        self._seconds = seconds
        self._resting: list[tuple[float, Key, Connection]] = []
        self._lock = threading.Lock()  # verify and copy may ask from several threads

    @contextlib.contextmanager
    def use(self, secret: str, database: str) -> Generator[Connection]:
        """A connection for one statement, or for a transaction that ends with the block.

        Raises:
            DataApiError: what a MySQLError of the block, or of connecting, means.
        """
        key = (secret, database)
        connection = self.take(key)
        try:
            with self.meaning(connection):
                yield connection
        except DataApiError:
            if connection.open and _rolled_back(connection):
                self.keep(key, connection)
            raise
        except BaseException:
            close(connection)  # why: the rest of an answer may still be in it
            raise
        self.keep(key, connection)

    @contextlib.contextmanager
    def alone(self, secret: str) -> Generator[Connection]:
        """A new connection, which is closed with the block; raises what `use` does."""
        connection = self._connected((secret, ""))
        try:
            with self.meaning(connection):
                yield connection
        finally:
            close(connection)

    @contextlib.contextmanager
    def meaning(self, connection: Connection) -> Generator[None]:
        """Raise what a MySQLError of the block means. One that ends the connection closes it, and those at rest."""
        try:
            yield
        except pymysql.MySQLError as error:
            code, state, text = described(error)
            if code in ENDED:
                close(connection)
                self.forget()
            raise of_mysql(code, state, text) from error

    def take(self, key: Key) -> Connection:
        """A connection at rest that works, or else a new one; raises what `use` does."""
        while True:
            with self._lock:
                index = next((i for i, (_, of, _) in enumerate(self._resting) if of == key), None)
                found = self._resting.pop(index) if index is not None else None
            if found is None:
                return self._connected(key)
            rested, _, connection = found
            if time.monotonic() - rested < RESTING_SECONDS or _works(connection):
                return connection
            close(connection)

    def keep(self, key: Key, connection: Connection) -> None:
        """Keep a connection for the next statement, unless it has a transaction open."""
        if not connection.open or _in_transaction(connection):
            close(connection)
            return
        with self._lock:
            self._resting.append((time.monotonic(), key, connection))
            surplus = self._resting.pop(0)[2] if len(self._resting) > MOST_RESTING else None
        if surplus:
            close(surplus)

    def forget(self) -> None:
        """Close what is at rest: a server that has gone, or become a reader, has ended all of it."""
        with self._lock:
            resting, self._resting = self._resting, []
        for _, _, connection in resting:
            close(connection)

    def _connected(self, key: Key) -> Connection:
        secret, database = key
        login = self._logins.of(secret)
        try:
            return connect(self._host, self._port, login, database, self._seconds)
        except pymysql.MySQLError as error:
            code, state, text = described(error)
            if code == ACCESS_DENIED and self._logins.forget(secret):  # why: the secret may have been rotated
                return self._again(key, of_mysql(code, state, text))
            if code in {GONE, LOST}:  # before there was a statement, so nothing was written
                code = UNREACHABLE
            raise of_mysql(code, state, text) from error

    def _again(self, key: Key, refused: DataApiError) -> Connection:
        try:
            return connect(self._host, self._port, self._logins.of(key[0]), key[1], self._seconds)
        except pymysql.MySQLError as error:
            raise refused from error


def close(connection: Connection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(pymysql.MySQLError, OSError):
        connection.close()


def _in_transaction(connection: Any) -> bool:
    return bool(connection.server_status & IN_TRANSACTION)


def _works(connection: Connection) -> bool:
    try:
        connection.ping(reconnect=False)
    except (pymysql.MySQLError, OSError):
        return False
    return True


def _rolled_back(connection: Connection) -> bool:
    """End what a failed statement may have begun, such as the transaction of a procedure."""
    try:
        connection.rollback()
    except (pymysql.MySQLError, OSError):
        close(connection)
        return False
    return True
