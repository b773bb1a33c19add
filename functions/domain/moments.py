"""Dates and times between a client's text, the canonical text of the domain, and the text that a column has.

MySQL also keeps dates that no calendar has: zero dates such as 0000-00-00 and 2025-00-15, and with ALLOW_INVALID_DATES
days such as 2025-02-31. They have no canonical text, so each is an error that shows the column's text.
"""

import datetime as dt
import re

from functions.domain.errors import ValueProblemError, shown

FIRST_YEAR = 1000  # DATETIME and DATE begin there
MICROSECONDS = 6  # digits of a second
FRACTION = re.compile(r"[.,](\d+)(?:Z|[+-][\d:]+)?$", re.ASCII | re.IGNORECASE)
COLUMN_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


FIRST_TIMESTAMP, LAST_TIMESTAMP = "1970-01-01T00:00:01", "2038-01-19T03:14:07"  # UTC, what a TIMESTAMP holds


def is_timestamp(canonical: str) -> bool:
    """Whether a TIMESTAMP column can hold a time."""
    return FIRST_TIMESTAMP <= canonical[: len(FIRST_TIMESTAMP)] <= LAST_TIMESTAMP


def instant(value: object, fraction: int = MICROSECONDS, *, rounds: bool = False) -> str:
    """The canonical text of a client's ISO 8601 time: in UTC, with microseconds.

    Args:
        value: what was sent.
        fraction: how many digits of a second may be other than zero.
        rounds: whether more digits are rounded half up, instead of refused.

    Raises:
        ValueProblemError: it is none, has no offset, has more digits of a second, or lies before the first year.
    """
    try:
        moment = dt.datetime.fromisoformat(value)  # pyright: ignore[reportArgumentType]  # TypeError if it is no text
        digits = _digits(str(value), moment)
        if len(digits) > fraction and not rounds:
            raise ValueProblemError(f"expected at most {fraction} digits of a second, got {shown(value)}")
        if moment.tzinfo is not None:
            return _canonical(_rounded(moment, digits, fraction).astimezone(dt.UTC), value)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ValueProblemError):
            raise
        raise ValueProblemError(f"expected an ISO 8601 time, got {shown(value)}") from error
    raise ValueProblemError(f"expected an offset such as Z or +02:00, got {shown(value)}")


def _digits(text: str, moment: dt.datetime) -> str:
    """The digits of the second in an ISO 8601 text, without zeros at the end. Python's own parser drops the seventh.

    Raises:
        ValueProblemError: the offset has such digits.
    """
    found = FRACTION.search(text)
    digits = found[1] if found else ""
    offset = moment.utcoffset()
    if (offset and offset.microseconds) or int(f"{digits:0<6}"[:MICROSECONDS]) != moment.microsecond:
        raise ValueProblemError(f"expected an offset such as Z or +02:00, got {shown(text)}")
    return digits.rstrip("0")


def _rounded(moment: dt.datetime, digits: str, fraction: int) -> dt.datetime:
    """The time rounded half up to some digits of a second, as MySQL does."""
    if len(digits) <= fraction:
        return moment
    unit = 10 ** len(digits)
    rounded = (2 * int(digits) * 10**fraction + unit) // (2 * unit)
    return moment.replace(microsecond=0) + dt.timedelta(microseconds=rounded * 10 ** (MICROSECONDS - fraction))


def day(value: object) -> str:
    """The canonical text of a date.

    Raises:
        ValueProblemError: it is none, or lies before the first year.
    """
    try:
        found = dt.date.fromisoformat(value)  # pyright: ignore[reportArgumentType]  # TypeError if it is no text
    except (TypeError, ValueError) as error:
        raise ValueProblemError(f"expected a date such as 2026-01-31, got {shown(value)}") from error
    if found.year < FIRST_YEAR:
        raise ValueProblemError(f"expected a year from {FIRST_YEAR} on, got {shown(value)}")
    return found.isoformat()


def instant_of_column(text: str, fraction: int = MICROSECONDS) -> str:
    """The canonical text of what a DATETIME or TIMESTAMP column has.

    Raises:
        ValueProblemError: no calendar has it, it has more digits of a second, or it lies before the first year.
    """
    try:
        dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueProblemError(f"expected a date that exists, got {shown(text)}") from error
    return instant(f"{text}Z", fraction)


def is_zero(text: str) -> bool:
    """Whether the text of a column is a zero date: its year, its month or its day is zero."""
    found = COLUMN_DATE.match(text)
    return found is not None and 0 in map(int, found.groups())


def to_column(canonical: str) -> str:
    """The text of a DATETIME or TIMESTAMP column for a canonical one."""
    return canonical.rstrip("Z").replace("T", " ")


def _canonical(moment: dt.datetime, value: object) -> str:
    if moment.year < FIRST_YEAR:
        raise ValueProblemError(f"expected a year from {FIRST_YEAR} on, got {shown(value)}")
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
