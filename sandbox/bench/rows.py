"""A row of the table: medians with their spread, the ratio of two interleaved variants, and the goal for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_NAME = 31  # characters that the table has room for
SMALL_RATIO = 0.1  # under it, a ratio has three digits of its fraction; so do dollars
WHOLE_RATIO = 10  # from here on a ratio is written without a fraction


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one round's value."""
        return cls(median=statistics.median(values), low=min(values), high=max(values))


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a row's ratio, or its figure if it has no ratio, should be.

    Attributes:
        at_least: the lowest value that is good enough; None when lower is better.
        at_most: the highest value that is; None when higher is better.
    """

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        group: of rows that are measured together.
        name: what is measured, and against what; unlike any other of the group.
        unit: of both figures: `/s`, `ms`, `s`, `us`, `MB`, `calls` or `USD`.
        measured: streamback's figure.
        other: the figure of what it is compared with; None where it is compared with nothing.
        ratio: the first over the second, each round's pair by itself.
        goal: None where the project has set none.
    """

    group: str
    name: str
    unit: str
    measured: Spread
    other: Spread | None = None
    ratio: Spread | None = None
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None without one."""
        return self.goal.is_met((self.ratio or self.measured).median) if self.goal else None


def compared(  # noqa: PLR0913, PLR0917  # what a row has
    group: str, name: str, unit: str, measured: Sequence[float], other: Sequence[float], goal: Goal | None = None
) -> Row:
    """The row of two variants that took turns; the ratio is that of each round."""
    ratios = [one / two for one, two in zip(measured, other, strict=True)]
    return Row(
        group=group,
        name=_fitting(name),
        unit=unit,
        measured=Spread.of(measured),
        other=Spread.of(other),
        ratio=Spread.of(ratios),
        goal=goal,
    )


def alone(group: str, name: str, unit: str, measured: Sequence[float], goal: Goal | None = None) -> Row:
    """The row of a figure that is compared with nothing but its goal."""
    return Row(group=group, name=_fitting(name), unit=unit, measured=Spread.of(measured), goal=goal)


def _fitting(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{name!r} has more than {LONGEST_NAME} characters")
    return name


def ratio_text(value: float) -> str:
    """A ratio in at most six characters."""
    if value >= WHOLE_RATIO:
        return f"{value:.0f}x"
    return f"{value:.2f}x" if value >= SMALL_RATIO else f"{value:.3f}x"


def figure_text(value: float, unit: str) -> str:
    """A figure with its unit, in at most nine characters."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    if unit == "USD":
        return f"${value:,.2f}" if value >= SMALL_RATIO else f"${value:.3f}"
    if unit == "calls":
        return f"{value:,.0f}"
    digits = 0 if value >= 100 else 1 if value >= WHOLE_RATIO else 2  # noqa: PLR2004  # three digits are enough
    return f"{value:,.{digits}f} {unit}"


def spread_text(row: Row) -> str:
    """The lowest and the highest ratio, or figure where there is no ratio; empty where they are the same."""
    spread = row.ratio or row.measured
    return "" if spread.low == spread.high else f"{_plain(spread.low)}-{_plain(spread.high)}"


def goal_text(row: Row) -> str:
    """The goal of a row with its sign; empty without one."""
    if row.goal is None:
        return ""
    sign, limit = ("<=", row.goal.at_most) if row.goal.at_least is None else (">=", row.goal.at_least)
    return f"{sign} {limit:g}{'x' if row.ratio else ' ' + row.unit}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if value >= WHOLE_RATIO else f"{value:.2f}"
