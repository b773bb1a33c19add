"""The Data API's connections to the server: pooled per login, replaced when dead, pinned by transactions."""

# pyright: basic
# MiniStack, uvicorn and PyMySQL's inner parts have no types that a strict check could use.
import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import TEXT_TYPES
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

IDLE_LIMIT = 180.0  # seconds after which AWS ends an idle transaction
RESTING_CHECK = 1.0  # seconds a connection may rest before it is checked
MOST_RESTING = 64  # of all logins; each database of a user is a login of its own
# Lost, refused or ended connections; PyMySQL says 0 where it noticed the loss before.
LOST = frozenset({0, 1053, 1927, 2002, 2003, 2006, 2013})
# Times and dates as the server writes them: PyMySQL's own objects cannot hold all of them.
AS_TEXT = (FIELD_TYPE.TIME, FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)
CONVERSIONS: dict[Any, Any] = {
    **conversions,
    **dict.fromkeys(AS_TEXT, str),
    FIELD_TYPE.BIT: lambda value: value,  # pyright: ignore[reportUnknownLambdaType]
}
# MySQL gives an ENUM in an expression its own type, whose texts PyMySQL would take for ASCII.
TEXT_TYPES.update({FIELD_TYPE.ENUM, FIELD_TYPE.SET})


@dataclass(frozen=True)
class Login:
    user: str
    password: str = field(repr=False)
    database: str


@dataclass
class Transaction:
    """A connection that belongs to a transaction until it ends."""

    cluster: str
    connection: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = field(default_factory=time.monotonic)


class Connections:
    """All connections of one emulator.

    Args:
        socket: the server's.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)
        self._idle: dict[Login, list[tuple[float, Any]]] = {}
        self._transactions: dict[str, Transaction] = {}
        self._lock = threading.Lock()

    def open(self, login: Login) -> Any:
        return pymysql.connect(
            unix_socket=self._socket,
            user=login.user,
            password=login.password,
            database=login.database or None,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,  # a TLS context costs 19 ms a connection, and the socket is local
            conv=CONVERSIONS,
            connect_timeout=3,
        )

    @contextlib.contextmanager
    def use(self, login: Login) -> Iterator[Any]:
        """A pooled connection; one whose use failed on the connection itself is not kept, nor are those beside it."""
        self._reap()
        connection = self._take(login) or self.open(login)
        try:
            yield connection
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.InternalError) as error:
            self._close(connection)
            if lost(error):
                self._forget()
            raise
        except pymysql.err.Error:
            self._keep(login, connection)
            raise
        except BaseException:
            self._close(connection)  # why: the rest of an answer that could not be read is still in it
            raise
        self._keep(login, connection)

    def begin(self, login: Login, cluster: str) -> str:
        """Open a transaction; returns its id."""
        self._reap()
        connection = self.open(login)
        connection.autocommit(False)
        connection.begin()
        number = str(uuid.uuid4())
        with self._lock:
            self._transactions[number] = Transaction(cluster, connection)
        return number

    @contextlib.contextmanager
    def joined(self, number: str, cluster: str) -> Iterator[Any]:
        """The connection of an open transaction.

        Raises:
            KeyError: there is no such transaction.
        """
        self._reap()
        transaction = self._transactions[number]
        if transaction.cluster != cluster:
            raise KeyError(number)
        with transaction.lock:
            transaction.used = time.monotonic()
            yield transaction.connection
            transaction.used = time.monotonic()

    def end(self, number: str, cluster: str, *, commit: bool) -> None:
        """Commit or roll back.

        Raises:
            KeyError: there is no such transaction.
        """
        with self.joined(number, cluster) as connection:
            self._transactions.pop(number, None)
            try:
                connection.commit() if commit else connection.rollback()
            finally:
                self._close(connection)

    def _take(self, login: Login) -> Any:
        while True:
            with self._lock:
                idle = self._idle.get(login)
                rested, connection = idle.pop() if idle else (0.0, None)
            if connection is None:
                return None
            if time.monotonic() - rested < RESTING_CHECK or _is_alive(connection):
                return connection
            self._close(connection)

    def _keep(self, login: Login, connection: Any) -> None:
        with self._lock:
            self._idle.setdefault(login, []).append((time.monotonic(), connection))
            surplus = self._longest_resting() if sum(map(len, self._idle.values())) > MOST_RESTING else None
        if surplus:
            self._close(surplus)

    def _longest_resting(self) -> Any:
        login = min((login for login, idle in self._idle.items() if idle), key=lambda login: self._idle[login][0][0])
        _, connection = self._idle[login].pop(0)
        if not self._idle[login]:
            del self._idle[login]
        return connection

    def _forget(self) -> None:
        """Close what rests: after a crash of the server no connection works."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for rested in idle.values():
            for _, connection in rested:
                self._close(connection)

    def _reap(self) -> None:
        now = time.monotonic()
        for number, transaction in list(self._transactions.items()):
            if now - transaction.used > IDLE_LIMIT and transaction.lock.acquire(blocking=False):
                self._transactions.pop(number, None)
                self._close(transaction.connection)

    @staticmethod
    def _close(connection: Any) -> None:
        with contextlib.suppress(Exception):
            connection.close()


def lost(error: BaseException) -> bool:
    """Whether the server, not the statement, is the matter."""
    return bool(error.args) and error.args[0] in LOST


def _is_alive(connection: Any) -> bool:
    try:
        connection.ping(reconnect=False)
    except pymysql.err.MySQLError:
        return False
    return True
