"""The fence of an entity in Aurora: one row, read by the triggers on its table with a shared lock.

Raising it waits for every writer that is inside, for a few seconds at most: whoever comes meanwhile waits behind, so it
backs off, lets all of them through, and tries again.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, field

from functions.aws.data_api import DataApi, Row
from functions.aws.mysql_errors import (
    DEADLOCK,
    LOCK_WAIT,
    NO_DATABASE,
    NO_PROCEDURE,
    NO_TABLE,
    DataApiError,
    TransientError,
)
from functions.bridge.statements import cell_text
from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError, PreconditionError
from runbook.stack import Context

LOCK_SECONDS = 3  # that writers inside are waited for; the database counts in whole seconds
ATTEMPTS = 3
BACK_OFF = 0.5  # seconds between attempts, for those who waited behind
SHORT = 200  # keys in copy's queue, the work of a moment
LOOKS = 5  # at a fence that others change meanwhile
RAISE_PATIENCE = 5.0  # seconds with a database that does not answer; requests are held meanwhile
BARRING = 2  # added to the token by what undoes; a change under way adds 1, and so fits neither before nor after
PATIENCE = 60.0  # seconds, otherwise; Aurora restarts in less


class MovedError(PreconditionError):
    """Another command changed the fence after this one had looked; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """An entity's row of control.

    Attributes:
        fenced: whether legacy's writers are stopped.
        legacy_stamp: what they stamp their rows with; 0 while modern is the source of truth.
        generation: how many periods legacy has had.
        token: of the change that made it so; a change names the token it was decided by, and a later one bars it.
    """

    fenced: bool
    legacy_stamp: int
    generation: int
    token: int = field(default=0, compare=False)


class Fence:
    """The fence of one entity."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        target, clients = context.target, context.clients
        legacy = target.mapping[entity.name].legacy
        self._database = DataApi(clients.rds_data, target.cluster_arn, target.master_secret_arn, legacy.database)
        self._entity = entity.name
        self._known: int | None = None  # the token that was looked at last

    def control(self) -> Control:
        """The row as it is now.

        Raises:
            PreconditionError: it is not there: `runbook init` makes it.
        """
        sql = (
            f"SELECT fenced, legacy_stamp, generation, token FROM {names.CONTROL_TABLE} "  # noqa: S608  # names of ours
            f"WHERE entity = '{self._entity}'"
        )
        rows = self._query(sql)
        if not rows:
            raise PreconditionError(f"{self._entity} has no fence in Aurora yet", "Run `runbook init` first.")
        fenced, stamp, generation, token = (int(cell_text(cell)) for cell in rows[0])
        self._known = token
        return Control(fenced=bool(fenced), legacy_stamp=stamp, generation=generation, token=token)

    def is_up(self) -> bool:
        """Whether it is up; before `runbook init` it is not."""
        rows = self._query(f"SELECT fenced FROM {names.CONTROL_TABLE} WHERE entity = '{self._entity}'")  # noqa: S608
        return bool(rows) and cell_text(rows[0][0]) != "0"

    def queue_empty(self) -> bool:
        """Whether copy has written all that legacy's writers left in its queue."""
        sql = f"SELECT 1 FROM {names.CHANGES_TABLE} WHERE entity = '{self._entity}' LIMIT 1"  # noqa: S608
        return not self._query(sql)

    def queue_short(self) -> bool:
        """Whether copy has so few keys left that nobody would wait for them."""
        few = f"SELECT 1 FROM {names.CHANGES_TABLE} WHERE entity = '{self._entity}' LIMIT {SHORT + 1}"  # noqa: S608
        return int(cell_text(self._query(f"SELECT COUNT(*) FROM ({few}) AS waiting")[0][0])) <= SHORT  # noqa: S608

    def raise_(self) -> None:
        """Stop legacy's writers once those inside have finished; the bridge may write everything from now on.

        It is decided by what `control` told last, so that nothing is asked while clients wait.

        Raises:
            PreconditionError: somebody stays inside, or another command changed the fence; nobody is kept waiting.
        """
        known = self.control().token if self._known is None else self._known
        self._set("1, 0, 0", known, known + 1, RAISE_PATIENCE)
        self._known = known + 1

    def lower(self, generation: int) -> None:
        """Let legacy's writers in, in this period: what they write, the bridge leaves alone."""
        known = self.control().token
        self._set(f"0, {int(generation)}, {int(generation)}", known, known + 1, PATIENCE)

    def undo_raise(self) -> None:
        """Lower it in the present period, whether it is up or on its way up: a call under way is barred."""
        for left in reversed(range(LOOKS)):
            control = self.control()
            period = control.generation
            try:
                return self._set(f"0, {period}, {period}", control.token, control.token + BARRING, PATIENCE)
            except MovedError:  # the call of a command that was killed came in between
                if not left:
                    raise
        return None

    def undo_lower(self) -> None:
        """Keep it up: bar a call under way that would lower it. Does nothing when it came down before."""
        control = self.control()
        if control.fenced:
            with contextlib.suppress(MovedError):
                self._set("1, 0, 0", control.token, control.token + BARRING, PATIENCE)

    def _query(self, sql: str) -> list[Row]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._database.query(sql)
            except TransientError as error:
                _give_up(error, deadline)
            except DataApiError as error:
                if error.code in {NO_TABLE, NO_DATABASE}:
                    return []
                raise FailedError(f"Aurora says: {error}", "Run the command again.") from error

    def _set(self, values: str, known: int, token: int, patience: float) -> None:
        """Set fence, stamp and period (0 leaves it), by one statement: whoever dies here holds no lock."""
        statement = f"CALL {names.FENCE_PROCEDURE}('{self._entity}', {values}, {known}, {token}, {LOCK_SECONDS})"
        attempts, deadline = 0, time.monotonic() + patience
        while attempts < ATTEMPTS:
            try:
                self._database.once(statement)
            except DataApiError as error:
                attempts += self._meaning(error, deadline)
            else:
                return
        raise PreconditionError(
            f"a transaction on {self._entity}'s table did not end within {ATTEMPTS} times {LOCK_SECONDS} s",
            "Look for it with SHOW PROCESSLIST, then run the command again.",
        )

    @staticmethod
    def _meaning(error: DataApiError, deadline: float) -> bool:
        """Wait after a failure that passes; whether it was somebody inside."""
        if error.code in {LOCK_WAIT, DEADLOCK}:
            time.sleep(BACK_OFF * random.uniform(1, 2))  # noqa: S311  # jitter
            return True
        if error.code == NO_PROCEDURE:
            raise PreconditionError("the fence in Aurora is of an older version", "Run `runbook init` first.")
        if names.FENCE_MOVED in str(error):
            raise MovedError("another command has changed the fence since", "See `runbook history`.")
        if not isinstance(error, TransientError):
            raise FailedError(f"Aurora says: {error}", "Run the command again.") from error
        _give_up(error, deadline)  # the statement may be repeated: it sets what it sets
        return False


def _give_up(error: TransientError, deadline: float) -> None:
    """Wait a moment, or end the waiting.

    Raises:
        FailedError: the deadline has passed.
    """
    if time.monotonic() > deadline:
        raise FailedError(f"Aurora does not answer: {error}", "See the cluster's state.") from error
    time.sleep(0.2)
