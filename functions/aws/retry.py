"""Decides which errors are transient, by the one list of codes, and retries calls that ended with one.

mysql_errors.py and dynamodb.py apply the list to what boto3 raises. A lost connection is transient, too.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Answer = TypeVar("Answer")
Errors = type[Exception] | tuple[type[Exception], ...]

# MySQL's numbers. The first set: another's lock rolled the statement back, so it can be repeated at once.
DEADLOCK, LOCK_WAIT = 1213, 1205
AUTO_INCREMENT_LOCK = 1467  # a deadlock on the table's counter
LOST_LOCK = frozenset({AUTO_INCREMENT_LOCK, DEADLOCK, LOCK_WAIT})
# Too many connections, failover to read-only, no connection: nothing was written.
NOT_WRITTEN = LOST_LOCK | {1040, 1203, 1290, 1836, 2002, 2003}
# A definition that changed meanwhile, shutdown, lost connections, interruption, timeout: the write may have happened.
TRANSIENT_NUMBERS = (
    NOT_WRITTEN | {1412, 1615} | {1053, 1158, 1159, 1160, 1161, 1317, 1927, 1969, 2006, 2013, 2055, 3024, 3169}
)

# AWS' codes. The first set: the service was busy and did nothing.
BUSY_CODES = frozenset(
    {
        "ConflictException",
        "DatabaseResumingException",
        "EC2ThrottledException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ResourceNotReadyException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
    }
)
TRANSIENT_CODES = BUSY_CODES | {
    "DatabaseUnavailableException",
    "InternalServerError",
    "InternalServerErrorException",
    "InvalidResourceStateException",
    "ServiceException",
    "ServiceUnavailable",
    "ServiceUnavailableError",
    "ServiceUnavailableException",
    "StatementTimeoutException",
    "TransactionNotFoundException",
}
# What the error of a function says while its database wakes; but not that Lambda ended the function itself.
TRANSIENT_WORDS = ("resuming", "starting", "unavailable", "timed out", "timeout", "throttl", "transient")
FUNCTION_TIMEOUT = "task timed out"


def is_transient_text(text: str) -> bool:
    """Whether a function's error, of which only the text is known, is transient."""
    lowered = text.lower()
    words = lowered.startswith("503") or any(word in lowered for word in TRANSIENT_WORDS)
    return words and FUNCTION_TIMEOUT not in lowered


def back_off(attempt: int, first: float = 0.05, longest: float = 5.0) -> float:
    """Seconds to wait before try `attempt` + 1, with full jitter above the first step."""
    return first + random.uniform(0, min(longest, first * 2**attempt))  # noqa: S311  # jitter


def waits(first: float, longest: float, factor: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each further try: `first`, each time longer by `factor`, `longest` at most."""
    wait = first
    while True:
        yield wait
        wait = min(wait * factor, longest)


def retry(  # noqa: PLR0913  # how to try, and how to give up
    call: Callable[[], Answer],
    errors: Errors,
    *,
    timeout: float,
    first: float = 0.2,
    longest: float = 5.0,
    failure: Callable[[Exception], Exception] = lambda error: error,
    sleep: Callable[[float], object] = time.sleep,
) -> Answer:
    """Call until it succeeds; try again after a transient error, for `timeout` seconds.

    Args:
        call: what to do; it may be done twice.
        errors: the exceptions that are transient.
        timeout: seconds.
        first: seconds before the second try; doubled each time.
        longest: seconds between two tries at most.
        failure: makes the exception to raise when time is up out of the last error.
        sleep: waits, and may raise to stop.

    Raises:
        Exception: what `failure` made, or an error that is not transient.
    """
    deadline = time.monotonic() + timeout
    for wait in waits(first, longest):
        try:
            return call()
        except errors as error:
            if time.monotonic() >= deadline:
                raise failure(error) from error
        sleep(wait)
    raise AssertionError  # the waits never end


def poll(
    look: Callable[[], Answer],
    *,
    timeout: float,
    first: float = 0.05,
    longest: float = 1.0,
    sleep: Callable[[float], object] = time.sleep,
) -> Answer:
    """Look until the answer is true, for `timeout` seconds; returns the last answer."""
    deadline = time.monotonic() + timeout
    for wait in waits(first, longest, 1.5):
        answer = look()
        if answer or time.monotonic() >= deadline:
            return answer
        sleep(wait)
    raise AssertionError  # the waits never end
