"""What an error of the Data API means: transient (by `functions.aws.retry`), permanent, the fence, or unknown."""

import re
from typing import cast

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.retry import (
    AUTO_INCREMENT_LOCK,
    BUSY_CODES,
    DEADLOCK,
    LOCK_WAIT,
    NOT_WRITTEN,
    TRANSIENT_CODES,
    TRANSIENT_NUMBERS,
)

UNKNOWN_COLUMN, NO_TABLE, NO_DATABASE, NO_PROCEDURE, DUPLICATE = 1054, 1146, 1049, 1305, 1062
PROCEDURE_EXISTS = 1304

# Errors of one record that no retry mends: null, duplicate, range, truncation, foreign key, bad value, check, bad JSON.
FINAL_CODES = frozenset(
    {1048, DUPLICATE, 1264, 1265, 1292, 1364, 1366, 1406, 1411, 1416, 1441, 1451, 1452, 1690}
    | {3140, 3141, 3156, 3819, 4025}
)
SIGNALLED = 1644  # what a SIGNAL of our own triggers is called
FENCE = re.compile(r"streamback: .*fenced")
# Where MySQL's number stands: at the end since the Data API of Serverless v2, at the start in older forms. Never in
# the middle, which may quote what a client sent.
AT_THE_END = re.compile(r"error code:? (\d{4,5}); SQLState: \w+\W*$", re.IGNORECASE)
AT_THE_START = re.compile(r"\W*(?:database )?error(?: code)?:? (\d{4,5})\b", re.IGNORECASE)
# The forms without a number have MySQL's words alone.
TEXTS = (
    (1406, "data too long for column"),
    (1264, "out of range value"),
    (1265, "data truncated for column"),
    (DUPLICATE, "duplicate entry"),
    (1048, "cannot be null"),
    (1364, "doesn't have a default value"),
    (1366, "incorrect string value"),
    (1366, "incorrect integer value"),
    (1366, "incorrect decimal value"),
    (1292, "incorrect datetime value"),
    (1292, "incorrect date value"),
    (1452, "a foreign key constraint fails"),
    (3140, "invalid json text"),
    (3819, "check constraint"),
    (UNKNOWN_COLUMN, "unknown column"),
    (DEADLOCK, "deadlock found"),
    (LOCK_WAIT, "lock wait timeout exceeded"),
    (AUTO_INCREMENT_LOCK, "failed to read auto-increment value"),
    (1290, "read-only option"),
    (1317, "query execution was interrupted"),
    (2013, "lost connection"),
    (2013, "communications link failure"),
    (1040, "too many connections"),
)


class DataApiError(Exception):
    """A statement failed in an unknown way; the subclasses are the known ways.

    Attributes:
        code: MySQL's error number; 0 when there is none.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class TransientError(DataApiError):
    """It may work when tried again. `maybe_written` is False when the statement surely changed nothing."""

    def __init__(self, text: str, code: int = 0, *, maybe_written: bool = True) -> None:
        super().__init__(text, code)
        self.maybe_written = maybe_written


class FencedError(DataApiError):
    """The fence is up: legacy writes of this entity are held. Nothing was written."""


class PermanentError(DataApiError):
    """This record can never be written as it is."""


def classify(error: ClientError | BotoCoreError) -> DataApiError:
    """The meaning of what boto3 raised."""
    if not isinstance(error, ClientError):
        return TransientError(f"the Data API could not be reached: {error}")
    details = cast("dict[str, str]", error.response.get("Error", {}))
    name, text = details.get("Code", ""), details.get("Message", str(error))
    return _by_code(code_of(text), name, text)


def _by_code(code: int, name: str, text: str) -> DataApiError:
    if code in (0, SIGNALLED) and FENCE.search(text):
        return FencedError(text, SIGNALLED)
    if code in TRANSIENT_NUMBERS:
        return TransientError(text, code, maybe_written=code not in NOT_WRITTEN)
    if code in FINAL_CODES:
        return PermanentError(text, code)
    if name in TRANSIENT_CODES and not code:
        return TransientError(f"{name}: {text}", maybe_written=name not in BUSY_CODES)
    return DataApiError(f"{name}: {text}", code)


def code_of(text: str) -> int:
    """MySQL's error number in a Data API message; 0 when it has none."""
    found = AT_THE_END.search(text) or AT_THE_START.match(text)
    if found:
        return int(found[1])
    lowered = text.lower()
    places = [(lowered.find(words), code) for code, words in TEXTS if words in lowered]
    return min(places)[1] if places else 0  # the first words are MySQL's, later ones may be quoted
