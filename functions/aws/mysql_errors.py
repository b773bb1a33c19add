"""What an error of the Data API means. The numbers are those that MySQL 8 and MariaDB raise for our statements.

| class | whose fault | what the bridge does |
|---|---|---|
| TransientError (`functions.aws.retry`) | none | applies the same batch again |
| PermanentError, FINAL_CODES | one record's | puts it in quarantine; first tries the order that MySQL minds |
| UnwritableKeyError | one record's key | finds no row for it; an insert puts it in quarantine |
| BlockedError, BLOCKED_CODES | the schema's or the user's rights | waits for an operator |
| FencedError, ReadOnlyError | none | never meets them |
| DataApiError | unknown | applies it again, and puts it in quarantine after some tries |
"""

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
from functions.domain import names

UNKNOWN_COLUMN, NO_TABLE, NO_DATABASE, NO_PROCEDURE, DUPLICATE = 1054, 1146, 1049, 1305, 1062
PROCEDURE_EXISTS = 1304
SYNTAX = 1064

# What the order of changes can cause: another row has the value still; a row of a foreign key is not there, or still.
UNIQUE_CODES, FOREIGN_KEY_CODES = frozenset({DUPLICATE, 1169, 1586}), frozenset({1216, 1217, 1451, 1452})

# Errors of one record that no retry cures.
FINAL_CODES = frozenset(
    {1048, 1364}  # null, or no value, where one is needed
    | {1978}  # MariaDB: the default of a column without a value is a date that the session's sql_mode refuses
    | UNIQUE_CODES
    | {1557, 1569, 1761, 1762}  # what must be unique is there already
    | {1264, 1365, 1441, 1690, 3752}  # out of range, division by zero
    | {1265, 1292, 1366, 1411, 1416, 1525, 3751}  # cut, or not of the column's type
    | {1406, 1118, 1153, 1301, 1713}  # too long for the column, the row, the packet, the undo log
    | FOREIGN_KEY_CODES
    | {1526, 1591, 1748}  # no partition for it
    | {3105, 1906, 1907}  # a generated column's value
    | {1300, 3140, 3141, 3144, 3156, 3157, 3158, 3903, 3904, 3905, 3907}  # bad Unicode, bad JSON
    | {3819, 4025}  # a check
)
# The column's character set cannot write the text that it is compared with: no row has it.
UNWRITABLE_CODES = frozenset({1267, 1270, 1271, 3854, 3988})
# What an operator must cure: rights, passwords, tables, columns, indexes, procedures, space.
BLOCKED_CODES = frozenset(
    {1044, 1045, 1130, 1142, 1143, 1227, 1370, 1698, 1820, 1862, 3118, 3159, 3955, 4151}  # rights and accounts
    | {NO_DATABASE, UNKNOWN_COLUMN, NO_TABLE, NO_PROCEDURE, 1136, 1176, 1318, 1356, 1449, 1604}  # what is there
    | {1021, 1030, 1041, 1114, 1419, 1785}  # space and settings
)
SIGNALLED = 1644  # what a SIGNAL is called, of our own triggers and of others
OURS = "streamback: "  # at the start of what our own triggers and procedures say
FENCE = re.compile(r"streamback: .*fenced")
OWN_STATE = re.compile(r"SQLState: 45000\W*$", re.IGNORECASE)  # of a SIGNAL with a number of its owner's
# What the Data API calls its own refusals, and errors that it does not know.
REFUSALS = ("BadRequestException", "DatabaseErrorException", "UnsupportedResultException", "ValidationException")
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
    (1176, "doesn't exist in table"),
    (DEADLOCK, "deadlock found"),
    (LOCK_WAIT, "lock wait timeout exceeded"),
    (AUTO_INCREMENT_LOCK, "failed to read auto-increment value"),
    (1290, "read-only option"),
    (1317, "query execution was interrupted"),
    (2013, "lost connection"),
    (2013, "communications link failure"),
    (1040, "too many connections"),
    (1267, "illegal mix of collations"),
    (3854, "cannot convert string"),
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


class ReadOnlyError(DataApiError):
    """`complete` has left the table read-only. Nothing was written."""


class PermanentError(DataApiError):
    """This record can never be written as it is."""


class UnwritableKeyError(PermanentError):
    """The column's character set cannot write the key, so no row has it."""


class BlockedError(DataApiError):
    """An operator must act: a right, a table, a column or space is missing. No record is at fault."""


KINDS: tuple[tuple[frozenset[int], type[DataApiError]], ...] = (
    (FINAL_CODES, PermanentError),
    (UNWRITABLE_CODES, UnwritableKeyError),
    (BLOCKED_CODES, BlockedError),
)


def classify(error: ClientError | BotoCoreError) -> DataApiError:
    """The meaning of what boto3 raised."""
    if not isinstance(error, ClientError):
        return TransientError(f"the Data API could not be reached: {error}")
    details = cast("dict[str, str]", error.response.get("Error", {}))
    name, text = details.get("Code", ""), details.get("Message", str(error))
    return _by_code(code_of(text), name, text)


def of_mysql(code: int, state: str, text: str) -> DataApiError:
    """The meaning of an error that MySQL has reported without the Data API."""
    return _by_code(code, "MySQL", f"{text}; Error code: {code}; SQLState: {state}")


def is_refusal(error: DataApiError) -> bool:
    """Whether the Data API may not take such a text at all: it names no error of MySQL's, or one of syntax.

    AWS documents no words for it but those for several statements (ValidationException). One that cuts a text at each
    semicolon would give MySQL a part, which is no SQL.
    """
    unknown = type(error) is DataApiError and error.code in {0, SYNTAX}
    return unknown and str(error).startswith(REFUSALS)


def _by_code(code: int, name: str, text: str) -> DataApiError:
    if code in {0, SIGNALLED} and (ours := _signalled(text)):
        return ours
    if code in TRANSIENT_NUMBERS:
        return TransientError(text, code, maybe_written=code not in NOT_WRITTEN)
    if kind := next((kind for codes, kind in KINDS if code in codes), None):
        return kind(text, code)
    if name in TRANSIENT_CODES and not code:
        return TransientError(f"{name}: {text}", maybe_written=name not in BUSY_CODES)
    if OURS not in text and (code == SIGNALLED or OWN_STATE.search(text)):
        return PermanentError(text, code)  # a rule of the table's owner, which this record breaks
    return DataApiError(f"{name}: {text}", code)


def _signalled(text: str) -> DataApiError | None:
    """What our own triggers say; None for all else."""
    if names.READ_ONLY in text:
        return ReadOnlyError(text, SIGNALLED)
    return FencedError(text, SIGNALLED) if FENCE.search(text) else None


def code_of(text: str) -> int:
    """MySQL's error number in a Data API message; 0 when it has none."""
    found = AT_THE_END.search(text) or AT_THE_START.match(text)
    if found:
        return int(found[1])
    lowered = text.lower()
    places = [(lowered.find(words), code) for code, words in TEXTS if words in lowered]
    return min(places)[1] if places else 0  # the first words are MySQL's, later ones may be quoted
