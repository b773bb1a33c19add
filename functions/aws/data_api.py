"""Statements to Aurora through the RDS Data API, and what a cell of an answer holds."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from weakref import WeakSet

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.mysql_errors import DataApiError, TransientError, classify, is_refusal
from functions.aws.retry import LOST_LOCK

if TYPE_CHECKING:
    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_rds_data.type_defs import ExecuteStatementResponseTypeDef, FieldOutputTypeDef

Answer = TypeVar("Answer")
Values = dict[str, dict[str, Any]]  # parameter name -> the Data API's typed value
Row = list["FieldOutputTypeDef"]

ATTEMPTS = 4  # at a statement that lost a lock
READ_TIMEOUT = 50  # seconds; the Data API itself times out after 45
# boto3 must not repeat a statement by itself: an INSERT whose answer was lost would be done twice.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=READ_TIMEOUT)


# The clients that answer an INSERT with the key that it got: MySqlClient, and those whose Data API has done so.
answering_keys: WeakSet[Any] = WeakSet()


class Sessions(Protocol):
    """Runs statements on a connection of their own.

    Attributes:
        wanted: the kinds of statements that come here at once.
    """

    wanted: set[str]

    def run(self, statements: Sequence[str]) -> None: ...


class DataApi:
    """One database of a cluster, as one MySQL user sees it.

    Args:
        client: boto3's `rds-data`, made with `CONFIG`.
        cluster_arn: the cluster.
        secret_arn: the secret that holds the user's name and password.
        database: the default database; empty for none.
        transaction: the id of the one that every statement belongs to; empty for none.
        sessions: runs what the Data API refuses, as the same user; None where there is no such function.
    """

    def __init__(  # noqa: PLR0913  # what a statement is sent with
        self,
        client: RDSDataServiceClient,
        cluster_arn: str,
        secret_arn: str,
        database: str = "",
        *,
        transaction: str = "",
        sessions: Sessions | None = None,
    ) -> None:
        self._client = client
        self._sessions = sessions
        self._target = {"resourceArn": cluster_arn, "secretArn": secret_arn}
        if database:
            self._target["database"] = database
        self._attempts = ATTEMPTS
        if transaction:
            self._target["transactionId"], self._attempts = transaction, 1

    def query(self, sql: str, values: Mapping[str, Mapping[str, Any]] | None = None) -> list[Row]:
        """The rows of a SELECT.

        Raises:
            DataApiError: or the subclass that says what the failure means; so do the other methods.
        """
        return list(self._execute(sql, values or {}).get("records", []))

    def execute(self, sql: str, values: Mapping[str, Mapping[str, Any]] | None = None) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._execute(sql, values or {})["numberOfRecordsUpdated"]

    def once(self, sql: str, *, goes_on: bool = False) -> None:
        """Run a statement that waits for locks as long as it wants to: it is not repeated here.

        With `goes_on` the database continues it when the Data API times out, as a long DDL should.
        """
        more: dict[str, Any] = {"continueAfterTimeout": True} if goes_on else {}
        _once(lambda: self._client.execute_statement(**cast("Any", self._target), sql=sql, **more))

    def insert(self, sql: str, values: Mapping[str, Mapping[str, Any]]) -> int:
        """Run an INSERT of one row into a table with AUTO_INCREMENT; returns the key it got.

        The answer has the key, or else the same connection knows it. Which it is shows the first INSERT: it is sent in
        a transaction, and so is every later one where the answer has none.
        """
        if self._client not in answering_keys:
            return self._persistent(lambda: self._insert_and_ask(sql, values))
        key = _generated(self._execute(sql, values))
        if key is None:
            answering_keys.discard(self._client)
            raise TransientError("the Data API did not answer which key the row got")
        return key

    def _insert_and_ask(self, sql: str, values: Mapping[str, Mapping[str, Any]]) -> int:
        with _transient_before_commit() as committing, self.transaction() as inside:
            key = _generated(inside._execute(sql, values))  # noqa: SLF001  # of this class
            if key is not None:
                answering_keys.add(self._client)
            else:
                key = int(cell_text(inside.query("SELECT LAST_INSERT_ID()")[0][0]))
            committing.set()
        return key

    def define(self, sql: str) -> None:
        """Make a stored procedure: its text has a body of several statements."""
        self._or_by_session("define", lambda: self.execute(sql), [sql])

    def together(self, statements: Sequence[str], variables: Mapping[str, int], closing: Sequence[str] = ()) -> None:
        """Run statements without parameters on one connection, in a transaction, under these session variables.

        When it ends, however it ends, `closing` is run, and the variables have their defaults again. Statements that
        the Data API refuses, or refuses in a transaction, run on a connection of their own, which then is closed. So
        they may run twice up to the one that was refused.
        """
        settings = [f"SET SESSION {name} = {int(value)}" for name, value in variables.items()]
        resets = [f"SET SESSION {name} = DEFAULT" for name in variables]
        opened = [*settings, *statements]
        self._or_by_session("together", lambda: self._together(opened, [*closing, *resets]), opened)

    def _together(self, statements: Sequence[str], closing: Sequence[str]) -> None:
        with self.transaction() as inside:
            try:
                for statement in statements:
                    inside.once(statement)
            finally:
                with contextlib.suppress(DataApiError):  # why: a connection that is lost needs no reset
                    for statement in closing:
                        inside.once(statement)

    def _or_by_session(self, kind: str, send: Callable[[], object], statements: Sequence[str]) -> None:
        """Send a kind of statements by the Data API, or by a connection of their own once it has refused that kind."""
        sessions = self._sessions
        if sessions is None or kind not in sessions.wanted:
            try:
                send()
            except DataApiError as error:
                if sessions is None or not is_refusal(error):
                    raise
                sessions.wanted.add(kind)
            else:
                return
        sessions.run(statements)

    @contextlib.contextmanager
    def transaction(self) -> Generator[DataApi]:
        """The same database in a transaction, which ends with the block: committed, or rolled back by an error.

        No statement is repeated in it: one that lost a lock has lost the transaction.
        """
        client, place = self._client, dict(self._target)
        database = place.pop("database", "")
        begun = self._retried(lambda: client.begin_transaction(**cast("Any", self._target)))["transactionId"]
        ending: Any = {**place, "transactionId": begun}
        try:
            yield DataApi(client, place["resourceArn"], place["secretArn"], database, transaction=begun)
        except BaseException:
            with contextlib.suppress(DataApiError):  # why: the first error says more
                _once(lambda: client.rollback_transaction(**ending))
            raise
        _once(lambda: client.commit_transaction(**ending))

    def _execute(self, sql: str, values: Mapping[str, Mapping[str, Any]]) -> ExecuteStatementResponseTypeDef:
        return self._retried(
            lambda: self._client.execute_statement(**cast("Any", self._target), sql=sql, parameters=_parameters(values))
        )

    def _retried(self, call: Callable[[], Answer]) -> Answer:
        return self._persistent(lambda: _once(call))

    def _persistent(self, run: Callable[[], Answer]) -> Answer:
        """Repeat what lost a lock: it was rolled back, so it can be run again at once."""
        for attempt in range(1, self._attempts + 1):
            try:
                return run()
            except DataApiError as error:
                if error.code not in LOST_LOCK or attempt == self._attempts:
                    raise
            time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311  # jitter
        raise TransientError("unreachable")


@contextlib.contextmanager
def _transient_before_commit() -> Generator[Event]:
    """A transient error of a transaction has written nothing, unless the event is set: then it is being committed."""
    committing = Event()
    try:
        yield committing
    except TransientError as error:
        if committing.is_set():
            raise
        raise TransientError(str(error), error.code, maybe_written=False) from error


def _generated(answer: ExecuteStatementResponseTypeDef) -> int | None:
    return next((cell["longValue"] for cell in answer.get("generatedFields", []) if "longValue" in cell), None)


def _once(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (ClientError, BotoCoreError) as raised:
        raise classify(raised) from raised


def _parameters(values: Mapping[str, Mapping[str, Any]]) -> Any:
    return [{"name": name, "value": value} for name, value in values.items()]


def cell_text(cell: Any) -> str:
    """A cell as text, whatever type the column has."""
    value = cell.get("blobValue")
    return value.decode() if isinstance(value, bytes) else str(next(iter(cell.values())))
