"""Raises and lowers an entity's fence in Aurora: its control row, which the triggers on the legacy table read.

Raising it waits for every writer that is inside: the triggers hold a shared lock on the control row, and the change
takes the exclusive one (functions/install/control_row.py). It waits a few seconds at most. Writers that arrive
meanwhile wait behind it, so it backs off, lets all of them through, and tries again.
"""

import contextlib
import random
import time

from functions.aws.mysql_errors import DEADLOCK, LOCK_WAIT, NO_PROCEDURE, DataApiError, TransientError
from functions.aws.retry import retry
from functions.domain import names
from functions.install import control_row, tokens
from functions.install.control_row import NO_EPOCH, Control, ControlChange
from runbook.aws.aurora import refusal
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError, PreconditionError
from runbook.journal.lock import Lease
from runbook.stack import Context

LOCK_SECONDS = 3  # that writers inside are waited for; the database counts in whole seconds
WRONG_ARGUMENTS = 1318  # of the procedure that an older version made
ATTEMPTS = 3
BACK_OFF_SECONDS = 0.5  # between attempts, for the writers that waited behind
RAISE_TIMEOUT_SECONDS = 5.0  # with a database that does not answer; requests are held meanwhile
TIMEOUT_SECONDS = 60.0  # otherwise; Aurora restarts in less
TRANSIENT_WAIT_SECONDS = 0.2


class MovedError(Exception):
    """A higher token has acted in Aurora: a newer operation, or a later change of this one. Nothing was changed."""


class Fence:
    """The fence of an entity; it can be looked at without a lease, and changed only under one."""

    def __init__(self, context: Context, entity: EntityTarget, lease: Lease | None = None) -> None:
        self._described = context.target.mapping[entity.name]
        self._aurora = context.aurora
        self._database = context.aurora.database(self._described.legacy.database)
        self._given_lease = lease

    @property
    def _lease(self) -> Lease:
        assert self._given_lease is not None, "a fence is changed under a lease"
        return self._given_lease

    def claim(self) -> None:
        """Bar all calls of earlier leases, and the earlier ones of this; those under way have ended when it returns.

        Raises:
            LockLostError: a newer lease has acted.
            PreconditionError: Aurora is not prepared.
        """
        try:
            self._claim()
        except MovedError as error:
            acted = self._aurora.ask(lambda: tokens.read(self._database, self._described))
            if not acted:
                raise PreconditionError("the fence in Aurora has no token", "Run `runbook init` first.") from error
            self._lease.outgrow(acted)  # if the lock is still ours, the journal is younger than Aurora's row
            try:
                self._claim()
            except MovedError:
                raise self._lease.lost() from error

    def _claim(self) -> None:
        token = self._lease.next_token()
        try:
            retry(
                lambda: tokens.claim(self._database, self._described, token),
                TransientError,
                timeout=TIMEOUT_SECONDS,
                failure=_no_answer,
            )
        except DataApiError as error:
            raise _refused(error) from error

    def control(self) -> Control:
        """The control row as it is now.

        Raises:
            PreconditionError: it is not there: `runbook init` makes it.
        """
        return self._aurora.control(self._described)

    def is_up(self) -> bool:
        """Whether it is up; before `runbook init` it is not."""
        with contextlib.suppress(PreconditionError):
            return self.control().fenced
        return False

    def raise_(self) -> None:
        """Stop legacy's writers once those inside have finished; the bridge may write everything from now on.

        Raises:
            PreconditionError: a writer stays inside; no writer waits any longer.
            LockLostError: a newer operation has acted; nothing was changed.
        """
        self._change(fenced=True, epoch=NO_EPOCH, timeout=RAISE_TIMEOUT_SECONDS)

    def lower(self, epoch: int, *, drained: bool) -> None:
        """Let legacy's writers in, in this epoch: what they write, the bridge leaves alone.

        Args:
            epoch: the one that begins.
            drained: whether Aurora has all that modern wrote.
        """
        self._change(fenced=False, epoch=epoch, drained=drained)

    def note_modern(self) -> None:
        """Note in Aurora that modern is the source of truth from now on, so that nothing later is taken for copy's."""
        token = self._lease.next_token()
        self._aurora.ask(lambda: control_row.note_modern(self._database, self._described, token))

    def undo_raise(self) -> None:
        """Lower it in the present epoch, whether it is up or on its way up: a call under way is barred."""
        self._change(fenced=False, epoch=self.control().last_epoch)

    def undo_lower(self) -> None:
        """Bar a call under way that would lower it; one that came before has lowered it."""
        self.claim()

    def _change(self, *, fenced: bool, epoch: int, timeout: float | None = None, drained: bool = False) -> None:
        to = ControlChange(fenced=fenced, epoch=epoch, token=self._lease.next_token(), drained=drained)
        deadline, attempts = time.monotonic() + (TIMEOUT_SECONDS if timeout is None else timeout), 0
        while attempts < ATTEMPTS:
            try:
                return control_row.change(self._database, self._described, to, LOCK_SECONDS)
            except DataApiError as error:
                attempts += self._wait_after(error, deadline)
        raise PreconditionError(
            f"a transaction on {self._described.name}'s table did not end within {ATTEMPTS} times {LOCK_SECONDS} s",
            "Find it with SHOW PROCESSLIST and end it, then run the command again.",
        )

    def _wait_after(self, error: DataApiError, deadline: float) -> bool:
        """Wait after a failure that a retry may cure; whether a writer was inside.

        Raises:
            RunbookError: for every other failure, or when the deadline has passed.
        """
        if error.code in {LOCK_WAIT, DEADLOCK}:
            time.sleep(BACK_OFF_SECONDS * random.uniform(1, 2))  # noqa: S311  # jitter
            return True
        if not isinstance(error, TransientError):
            try:
                raise _refused(error) from error
            except MovedError:
                raise self._lease.lost() from error
        if time.monotonic() > deadline:
            raise _no_answer(error) from error
        time.sleep(TRANSIENT_WAIT_SECONDS)  # the call may be repeated: it sets the same values under the same token
        return False


def _no_answer(error: Exception) -> FailedError:
    return FailedError(f"Aurora does not answer: {error}", "See the cluster's state.")


def _refused(error: DataApiError) -> Exception:
    """What to raise for an error that no retry cures."""
    if error.code in {NO_PROCEDURE, WRONG_ARGUMENTS}:
        return PreconditionError("the fence in Aurora is of an older version", "Run `runbook init` first.")
    if names.FENCE_MOVED in str(error):
        return MovedError(str(error))
    if names.NOT_PREPARED in str(error):
        return PreconditionError("the entity has no fence in Aurora yet", "Run `runbook init` first.")
    if names.TRIGGERS_BUSY in str(error):
        return FailedError("a change of the triggers does not end", "See SHOW PROCESSLIST, then run the command again.")
    return refusal(error)
