"""What a reason tells when the entity has fields that are not to be shown: where to look, and nothing of a value."""

from __future__ import annotations

import pytest
from runbook_outputs import MAPPING

from functions.domain import entities
from functions.domain.errors import shown
from runbook.quarantine.entry import without_masked

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
    first = {**MAPPING["chefs"]["fields"]["firstName"], "masked": masked}
    fields = {**MAPPING["chefs"]["fields"], "firstName": first}
    return entities.parse({"chefs": {**MAPPING["chefs"], "fields": fields}})["chefs"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("message", MESSAGES)
def test_nothing_of_a_value_is_told_whatever_is_in_it(message, secret):
    for reason in (message.format(secret), message.format(secret) + CODE):
        told = without_masked(_entity(), reason)
        assert "Brien" not in told
        assert told.startswith(message.partition("'")[0] + "'***'")


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_is_told_of_what_the_mapping_got(secret):
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
def test_a_reason_that_quotes_only_a_column_stays_whole(reason):
    assert without_masked(_entity(), reason) == reason


def test_the_column_after_a_value_stays_and_so_does_the_code():
    told = without_masked(_entity(), f"Incorrect string value: 'x' for column 'cheffirst' at row 1{CODE}")
    assert told == f"Incorrect string value: '***' for column 'cheffirst' at row 1{CODE}"


def test_without_masked_fields_a_reason_stays_whole():
    reason = "Duplicate entry 'O'Brien-77' for key 'uk'"
    assert without_masked(_entity(masked=False), reason) == reason
