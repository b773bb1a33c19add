"""What can be wrong with a record, in words that no database owns."""

from decimal import Decimal

SHOWN = 60  # characters of a bad value in an error


class ValueProblemError(ValueError):
    """A value does not fit its field; the text says what was expected."""


class InvalidFieldError(ValueError):
    """A client sent a bad value: 400 with the field's name."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnmappableError(ValueError):
    """An item or a row does not fit the mapping and never will: a matter for the quarantine."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def shown(value: object) -> str:
    """A bad value for an error's text, cut short."""
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def check_unicode(value: str) -> None:
    """Refuse what no UTF-8 can write.

    Raises:
        ValueProblemError: half of a surrogate pair.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueProblemError("expected valid Unicode; it holds half of a surrogate pair") from error
