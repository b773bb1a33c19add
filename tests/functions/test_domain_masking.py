"""A reason shows where to look, and no value, when the entity has masked fields."""

from __future__ import annotations

import pytest

from functions.domain import entities
from functions.domain.errors import shown
from functions.domain.masking import without_masked

CODE = "; Error code: 1062; SQLState: 23000"
SECRETS = (
    "O'Brien-77",
    "'Brien'77'",
    "Brien'",
    "'Brien",
    'the "Brien"',
    "Brien' for column 'cheffirst",
    "cheffirst' Brien",
    "cheffirst', 'Brien",
    "a' at row 1 Brien",
    "he got Brien",
    "Brien, in the item 'x'",
    "Brien\\",
    "Brien `cheffirst` at row 1",
    "Brien; Error code: 1; SQLState: 2",
)
MESSAGES = (
    "Duplicate entry '{}' for key 'cheftable.uk'",
    "Database error code: 1062. Message: Duplicate entry '{}' for key 'uk'",
    "Incorrect string value: '{}' for column 'cheffirst' at row 1",
    "Incorrect string value: '{}' for column `chefdb`.`cheftable`.`cheffirst` at row 1",
    "Data truncation: Incorrect date value: '{}' for column 'cheffirst' at row 1",
    "Duplicate entry '{}",  # MySQL cuts a message after 511 bytes
)


def _entity(*, masked: bool = True):
    return entities.parse(
        {
            "chefs": {
                "legacy": {"database": "chefdb", "table": "cheftable", "key": "id"},
                "modern": {"table": "chef", "key": "ChefId"},
                "fields": {
                    "firstName": {"column": "cheffirst", "type": "string", "masked": masked},
                    "lastName": {"column": "cheflast", "type": "string"},
                },
            }
        }
    )["chefs"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("message", MESSAGES)
def test_a_database_message_shows_nothing_of_a_value_whatever_it_holds(message, secret):
    for reason in (message.format(secret), message.format(secret) + CODE):
        shown = without_masked(_entity(), reason)
        assert "Brien" not in shown
        assert shown.startswith(message.partition("'")[0] + "'***'")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_mapping_message_shows_nothing_of_what_it_got(secret):
    reason = f"firstName: expected a date, got {shown(secret)}, in the item 'k'"
    assert without_masked(_entity(), reason) == "firstName: expected a date, got '***', in the item '***'"
    assert without_masked(_entity(), f"row: firstName: expected a date, got {shown(secret)}").endswith("got '***'")


@pytest.mark.parametrize(
    "reason",
    [
        f"Data too long for column 'cheffirst' at row 1{CODE}",
        "Column 'cheffirst' cannot be null",
        "Field 'cheffirst' doesn't have a default value",
        "firstName: expected an attribute for string, got DynamoDB type N",
        "the column is gone",
    ],
)
def test_a_reason_that_quotes_only_a_column_is_unchanged(reason):
    assert without_masked(_entity(), reason) == reason


def test_the_column_and_the_error_code_after_a_value_stay():
    shown = without_masked(_entity(), f"Incorrect string value: 'x' for column 'cheffirst' at row 1{CODE}")
    assert shown == f"Incorrect string value: '***' for column 'cheffirst' at row 1{CODE}"


def test_without_masked_fields_a_reason_is_unchanged():
    reason = "Duplicate entry 'O'Brien-77' for key 'uk'"
    assert without_masked(_entity(masked=False), reason) == reason
