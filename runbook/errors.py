"""The ways a command can end other than well, each with its exit code and the next thing to do."""


class RunbookError(Exception):
    """A command that did not do what it was asked to.

    Args:
        message: what is wrong, one sentence.
        remedy: the next command or action, one sentence; empty when the message says it all.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class FailedError(RunbookError):
    """Something went wrong on the way (exit 1)."""

    exit_code = 1


class UsageError(RunbookError):
    """The command line or the target cannot be used as given (exit 2)."""

    exit_code = 2


class MismatchError(RunbookError):
    """Both sides were compared and differ (exit 3)."""

    exit_code = 3


class PreconditionError(RunbookError):
    """A check does not hold, or the command stopped and rolled everything back (exit 4)."""

    exit_code = 4


class RefusedError(RunbookError):
    """The operator said no, or another operator holds the lock (exit 5)."""

    exit_code = 5


class LockLostError(RefusedError):
    """Another operator took this one's lock over; nothing more may be done here."""
