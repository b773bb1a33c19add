"""What the Data API says is understood in each of its wordings."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from functions.aws.mysql_errors import (
    BlockedError,
    DataApiError,
    FencedError,
    PermanentError,
    TransientError,
    UnwritableKeyError,
    classify,
)

BAD, DATABASE = "BadRequestException", "DatabaseErrorException"


def meaning(name, text):
    return classify(ClientError({"Error": {"Code": name, "Message": text}}, "ExecuteStatement"))


@pytest.mark.parametrize(
    ("name", "text", "kind", "code"),
    [
        (DATABASE, "Data too long for column 'a' at row 1; Error code: 1406; SQLState: 22001", PermanentError, 1406),
        (BAD, "Database error code: 1406. Message: Data too long for column 'a' at row 1", PermanentError, 1406),
        (BAD, "Data too long for column 'a' at row 1", PermanentError, 1406),
        (BAD, "ERROR 1062 (23000): Duplicate entry 'a' for key 'b'", PermanentError, 1062),
        (BAD, "Duplicate entry 'a' for key 'b'", PermanentError, 1062),
        (BAD, "Check constraint 'c' is violated.; Error code: 3819; SQLState: HY000", PermanentError, 3819),
        (BAD, "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`)", PermanentError, 1452),
        (DATABASE, "Deadlock found when trying to get lock; Error code: 1213; SQLState: 40001", TransientError, 1213),
        (BAD, "Lock wait timeout exceeded; try restarting transaction", TransientError, 1205),
        (BAD, "Communications link failure\n\nThe last packet sent successfully was 0 ms ago", TransientError, 2013),
        (DATABASE, "Too many connections; Error code: 1040; SQLState: 08004", TransientError, 1040),
        ("DatabaseResumingException", "The Aurora DB instance is resuming after being auto-paused.", TransientError, 0),
        ("DatabaseUnavailableException", "", TransientError, 0),
        ("ServiceUnavailableError", "", TransientError, 0),
        ("ThrottlingException", "Rate exceeded", TransientError, 0),
        (DATABASE, "streamback: writes to chefs are fenced; Error code: 1644; SQLState: 45000", FencedError, 1644),
        (BAD, "streamback: writes to chefs are fenced", FencedError, 1644),
        (DATABASE, "Unknown column 'x' in 'field list'; Error code: 1054; SQLState: 42S22", BlockedError, 1054),
        (BAD, "Table 'd.t' doesn't exist; Error code: 1146; SQLState: 42S02", BlockedError, 1146),
        (BAD, "INSERT command denied to user; Error code: 1142; SQLState: 42000", BlockedError, 1142),
        (BAD, "Illegal mix of collations; Error code: 1267; SQLState: HY000", UnwritableKeyError, 1267),
        (BAD, "Cannot convert string '\\xF0' from utf8mb4 to latin1", UnwritableKeyError, 3854),
        (BAD, "too few stars; Error code: 1644; SQLState: 45000", PermanentError, 1644),
        (BAD, "too few stars; Error code: 30001; SQLState: 45000", PermanentError, 30001),
        (BAD, "streamback: a lock is held; Error code: 1644; SQLState: 45000", DataApiError, 1644),
        (DATABASE, "Table definition has changed; Error code: 1412; SQLState: HY000", TransientError, 1412),
        (BAD, "You have an error in your SQL syntax; Error code: 1064; SQLState: 42000", DataApiError, 1064),
        ("AccessDeniedException", "not authorized to perform rds-data:ExecuteStatement", DataApiError, 0),
    ],
)  # fmt: skip
def test_an_error_means_the_same_in_every_wording(name, text, kind, code):
    error = meaning(name, text)
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    "quoted", ["ERROR 1213", "Error code: 1205; SQLState: 40001", "deadlock found", "streamback: all is fenced"]
)
@pytest.mark.parametrize("end", ["; Error code: 1062; SQLState: 23000", ""])
def test_what_a_client_wrote_is_never_taken_for_the_databases_word(quoted, end):
    error = meaning(DATABASE, f"Duplicate entry '{quoted}' for key 't.name'{end}")
    assert (type(error), error.code) == (PermanentError, 1062)


def test_a_service_that_cannot_be_reached_is_worth_another_try_and_may_have_written():
    error = classify(EndpointConnectionError(endpoint_url="https://rds-data"))
    assert isinstance(error, TransientError)
    assert error.maybe_written


@pytest.mark.parametrize(
    ("name", "text", "maybe"),
    [
        ("DatabaseResumingException", "", False),
        ("InternalServerErrorException", "", True),
        (DATABASE, "Lost connection to MySQL server; Error code: 2013; SQLState: 08S01", True),
        (DATABASE, "Deadlock found; Error code: 1213; SQLState: 40001", False),
    ],
)
def test_an_error_says_whether_the_write_may_have_happened(name, text, maybe):
    error = meaning(name, text)
    assert isinstance(error, TransientError)
    assert error.maybe_written is maybe
