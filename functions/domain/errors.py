"""What can be wrong with a record, told without the words of any database."""

from __future__ import annotations


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
