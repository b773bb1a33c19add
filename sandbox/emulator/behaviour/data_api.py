"""RDS Data API on a real database.

On AWS the Data API runs SQL on the cluster. MiniStack runs it on a container that it starts, or on nothing, and on its
event loop, so that one lock wait freezes every service. Here every cluster is the sandbox's database, and statements
run in threads. What it refuses and leaves out are its traits (data_api_traits.py). This file can go when MiniStack
takes an external server and leaves its loop free.
"""

# pyright: basic
# MiniStack, uvicorn and PyMySQL's inner parts have no types that a strict check could use.
import asyncio
import contextlib
import contextvars
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pymysql
from ministack.core.responses import json_response
from ministack.services import rds_data as stock

from sandbox.emulator.behaviour import prepared_databases, sql, sql_text
from sandbox.emulator.behaviour.connections import Connections, Login, lost
from sandbox.emulator.behaviour.data_api_traits import Trait, Traits
from sandbox.emulator.behaviour.prepared_databases import PreparedDatabases
from sandbox.emulator.patching import check_version

MOST_SETS = 1000
THREADS = 96  # statements at a time; on threads of their own: functions that wait for a statement hold MiniStack's
TIMED_OUT = frozenset({1969, 3024})
GENERAL = "HY000"  # the SQLSTATE of errors that have none of their own
CLUSTER = ":cluster:"  # in the ARN of one
NOT_ENABLED = "HttpEndpointNotEnabledException"


class StockError(Exception):
    """An answer that MiniStack itself made."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


class DataApi:
    """The five calls of the Data API on the database.

    Args:
        connections: to the sandbox's server.
        prepared: makes what a cluster has, where the server was down when it should have been made.
        traits: what it refuses and leaves out.
    """

    def __init__(self, connections: Connections, prepared: PreparedDatabases, traits: Traits) -> None:
        self._connections = connections
        self._traits = traits
        self._prepared = prepared
        self.calls: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/Execute": self._execute,
            "/BatchExecute": self._batch,
            "/BeginTransaction": self._begin,
            "/CommitTransaction": lambda request: self._end(request, commit=True),
            "/RollbackTransaction": lambda request: self._end(request, commit=False),
        }

    def _execute(self, request: dict[str, Any]) -> dict[str, Any]:
        values = sql.parameters(request.get("parameters"))
        text = sql.statement(self._text(request), values)
        with self._connection(request) as connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            if cursor.description:
                return sql.answer(request, cursor._result.fields, cursor.fetchall(), self._traits)  # column flags
            return {
                "numberOfRecordsUpdated": max(cursor.rowcount, 0),
                **sql.generated(_generated(cursor), self._traits),
                **({} if request.get("formatRecordsAs") == "JSON" else {"records": []}),
            }

    def _batch(self, request: dict[str, Any]) -> dict[str, Any]:
        sets = request.get("parameterSets") or [[]]
        if len(sets) > MOST_SETS:
            raise sql.RefusedError(f"Number of parameter sets exceeds {MOST_SETS}")
        self._text(request)
        with self._connection(request) as connection, connection.cursor() as cursor:
            if request.get("transactionId"):
                return {"updateResults": [self._one(cursor, request, each) for each in sets]}
            connection.begin()
            try:
                results = [self._one(cursor, request, each) for each in sets]
                connection.commit()
            except BaseException:
                with contextlib.suppress(pymysql.err.MySQLError):  # on a lost connection it says less than the cause
                    connection.rollback()
                raise
            return {"updateResults": results}

    def _one(self, cursor: Any, request: dict[str, Any], given: list[Any]) -> dict[str, Any]:
        values = sql.parameters(given)
        cursor.execute(sql.statement(request["sql"], values), values)
        return sql.generated(_generated(cursor), self._traits)

    def _text(self, request: dict[str, Any]) -> str:
        """The request's SQL.

        Raises:
            RefusedError: the traits have no room for it.
        """
        text, traits = _required(request, "sql"), self._traits
        if (Trait.ONE_STATEMENT in traits and sql_text.has_several(text)) or (
            Trait.NO_COMPOUND in traits and sql_text.is_compound(text)
        ):
            raise sql.RefusedError("Multistatements aren't supported.", "ValidationException")  # AWS's words
        if Trait.NO_DDL_IN_TRANSACTION in traits and request.get("transactionId") and sql_text.is_ddl(text):
            raise sql.RefusedError("Data definition statements aren't supported in a transaction.")
        return text

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"transactionId": self._connections.begin(self._login(request), request["resourceArn"])}

    def _end(self, request: dict[str, Any], *, commit: bool) -> dict[str, Any]:
        self._login(request)
        try:
            self._connections.end(request.get("transactionId", ""), request["resourceArn"], commit=commit)
        except KeyError as error:
            number = request.get("transactionId")
            raise StockError(_stock("_transaction_completion_not_found_error")(number)) from error
        return {"transactionStatus": "Transaction Committed" if commit else "Transaction Rolled Back"}

    def _connection(self, request: dict[str, Any]) -> Any:
        login, number = self._login(request), request.get("transactionId")
        return self._connections.joined(number, request["resourceArn"]) if number else self._connections.use(login)

    def _login(self, request: dict[str, Any]) -> Login:
        """Who asks for which database; MiniStack checks the cluster and the secret.

        Raises:
            RefusedError: it is no cluster, or one whose Data API is off.
            StockError: there is no such cluster or secret.
        """
        arn = _required(request, "resourceArn")
        instance, engine, cluster = _stock("_resolve_target")(arn)
        if CLUSTER not in arn:
            raise sql.RefusedError(f"Invalid cluster id: {arn}")
        if cluster and not cluster["HttpEndpointEnabled"]:
            raise sql.RefusedError(f"HttpEndpoint is not enabled for resource {arn}", NOT_ENABLED)  # AWS's words
        if not instance:
            raise StockError(_stock("_cluster_resolution_error")(arn, engine))
        user, password, refused = _stock("_require_secret_credentials")(_required(request, "secretArn"))
        if refused:
            raise StockError(refused)
        self._prepared.prepare(cluster)
        database = request.get("database") or cluster["DatabaseName"] or ""
        return Login(user or cluster["MasterUsername"], password, database)


def _stock(name: str) -> Any:
    return getattr(cast("Any", stock), name)


def _required(request: Mapping[str, Any], name: str) -> str:
    if not request.get(name):
        raise sql.RefusedError(f"{name} is required")
    return request[name]


def _generated(cursor: Any) -> list[dict[str, Any]]:
    return [{"longValue": cursor.lastrowid}] if cursor.lastrowid and not cursor.description else []


def _answered(api: DataApi, path: str, body: bytes) -> Any:
    error = _stock("_error")
    try:
        return json_response(api.calls[path](json.loads(body or b"{}")))
    except StockError as refused:
        return refused.response
    except KeyError as missing:
        return error("BadRequestException", f"Transaction {missing} is not found")
    except sql.RefusedError as refused:
        return error(refused.name, str(refused))
    except pymysql.err.MySQLError as failure:
        return _failed(failure)


def _failed(failure: pymysql.err.MySQLError) -> Any:
    error = _stock("_error")
    code, text = (*failure.args, "", "")[:2]
    if lost(failure):
        return error("DatabaseUnavailableException", f"The database is not available: {text}", 504)
    name = "StatementTimeoutException" if code in TIMED_OUT else "BadRequestException"
    return error(name, f"{text}; Error code: {code}; SQLState: {getattr(failure, 'sqlstate', None) or GENERAL}")


def install(socket: Path, traits: Traits) -> None:
    """Put the database behind the Data API."""
    check_version("behaviour/data_api")
    connections = Connections(socket)
    api = DataApi(connections, prepared_databases.install(connections, socket.parent), traits)
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="data-api")

    async def handle_request(_method: str, path: str, _headers: Any, body: bytes, _query: Any) -> Any:
        scope = contextvars.copy_context()  # the account and region of the request
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, lambda: scope.run(_answered, api, path, body))

    cast("Any", stock).handle_request = handle_request
