"""A check: a condition with its value now, its limit, and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.errors import PreconditionError


@dataclass(frozen=True, kw_only=True)
class Check:
    """`ok` is None when the check could not be made because an earlier one failed."""

    name: str
    ok: bool | None
    value: str
    limit: str
    remedy: str = ""


def green(checks: Sequence[Check]) -> bool:
    """Whether all hold; one that was not made does not."""
    return all(check.ok for check in checks)


def demand(checks: Sequence[Check]) -> None:
    """Continue only when all hold.

    Raises:
        PreconditionError: naming the first that does not, and what to do about it.
    """
    for check in checks:
        if check.ok is False:
            raise PreconditionError(
                f"{check.name} is {check.value}, expected {check.limit}; nothing was changed", check.remedy
            )
    if not green(checks):
        raise PreconditionError("not every check could be made; nothing was changed", "See `runbook status`.")
