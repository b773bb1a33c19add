"""Raises and lowers an entity's fence in Aurora: its control row, which the triggers on the legacy table read.

Raising it waits for every writer that is inside: the triggers hold a shared lock on the control row, and the change
takes the exclusive one (functions/install/control_row.py). It waits a few seconds at most. Writers that arrive
meanwhile wait behind it, so it backs off, lets all of them through, and tries again.
"""

import contextlib
import random
import time

from functions.aws.mysql_errors import DEADLOCK, LOCK_WAIT, NO_PROCEDURE, DataApiError, TransientError
from functions.domain import names
from functions.install import control_row
from functions.install.control_row import NO_EPOCH, Control, ControlChange
from runbook.aws.aurora import refusal
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError, PreconditionError
from runbook.stack import Context

LOCK_SECONDS = 3  # that writers inside are waited for; the database counts in whole seconds
ATTEMPTS = 3
BACK_OFF_SECONDS = 0.5  # between attempts, for the writers that waited behind
LOOKS = 5  # at a control row that others change meanwhile
RAISE_TIMEOUT_SECONDS = 5.0  # with a database that does not answer; requests are held meanwhile
TIMEOUT_SECONDS = 60.0  # otherwise; Aurora restarts in less
TRANSIENT_WAIT_SECONDS = 0.2
BARRING = 2  # added to the token by what undoes


class MovedError(PreconditionError):
    """Another command changed the fence after this one had read the control row; nothing was changed."""


class Fence:
    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self._described = context.target.mapping[entity.name]
        self._aurora = context.aurora
        self._database = context.aurora.database(self._described.legacy.database)
        self._known: int | None = None  # the token that was read last

    def control(self) -> Control:
        """The control row as it is now.

        Raises:
            PreconditionError: it is not there: `runbook init` makes it.
        """
        found = self._aurora.control(self._described)
        self._known = found.token
        return found

    def is_up(self) -> bool:
        """Whether it is up; before `runbook init` it is not."""
        with contextlib.suppress(PreconditionError):
            return self.control().fenced
        return False

    def raise_(self) -> None:
        """Stop legacy's writers once those inside have finished; the bridge may write everything from now on.

        It is decided by what `control` returned last, so that Aurora is not asked while clients wait.

        Raises:
            PreconditionError: a writer stays inside, or another command changed the fence; no writer waits any longer.
        """
        known = self.control().token if self._known is None else self._known
        self._change(ControlChange(fenced=True, epoch=NO_EPOCH, known=known, token=known + 1), RAISE_TIMEOUT_SECONDS)
        self._known = known + 1

    def lower(self, epoch: int) -> None:
        """Let legacy's writers in, in this epoch: what they write, the bridge leaves alone."""
        known = self.control().token
        self._change(ControlChange(fenced=False, epoch=epoch, known=known, token=known + 1))

    def undo_raise(self) -> None:
        """Lower it in the present epoch, whether it is up or on its way up: a call under way is barred."""
        for left in reversed(range(LOOKS)):
            control = self.control()
            try:
                return self._change(_barring(control, fenced=False, epoch=control.last_epoch))
            except MovedError:  # the call of a command that was killed came in between
                if not left:
                    raise
        return None

    def undo_lower(self) -> None:
        """Keep it up: bar a call under way that would lower it. Does nothing when it came down before."""
        control = self.control()
        if control.fenced:
            with contextlib.suppress(MovedError):
                self._change(_barring(control, fenced=True, epoch=NO_EPOCH))

    def _change(self, to: ControlChange, timeout: float | None = None) -> None:
        deadline, attempts = time.monotonic() + (TIMEOUT_SECONDS if timeout is None else timeout), 0
        while attempts < ATTEMPTS:
            try:
                return control_row.change(self._database, self._described, to, LOCK_SECONDS)
            except DataApiError as error:
                attempts += _wait_after(error, deadline)
        raise PreconditionError(
            f"a transaction on {self._described.name}'s table did not end within {ATTEMPTS} times {LOCK_SECONDS} s",
            "Find it with SHOW PROCESSLIST and end it, then run the command again.",
        )


def _barring(seen: Control, *, fenced: bool, epoch: int) -> ControlChange:
    """A change that bars one under way: that one adds 1 to the token, and so fits neither before this nor after."""
    return ControlChange(fenced=fenced, epoch=epoch, known=seen.token, token=seen.token + BARRING)


def _wait_after(error: DataApiError, deadline: float) -> bool:
    """Wait after a failure that a further try may mend; whether a writer was inside.

    Raises:
        RunbookError: for every other failure, or when the deadline has passed.
    """
    if error.code in {LOCK_WAIT, DEADLOCK}:
        time.sleep(BACK_OFF_SECONDS * random.uniform(1, 2))  # noqa: S311  # jitter
        return True
    if error.code == NO_PROCEDURE:
        raise PreconditionError("the fence in Aurora is of an older version", "Run `runbook init` first.")
    if names.FENCE_MOVED in str(error):
        raise MovedError("another command has changed the fence since", "See `runbook history`.")
    if not isinstance(error, TransientError):
        raise refusal(error) from error
    if time.monotonic() > deadline:
        raise FailedError(f"Aurora does not answer: {error}", "See the cluster's state.") from error
    time.sleep(TRANSIENT_WAIT_SECONDS)  # the call may be repeated: it sets the same values under the same token
    return False
