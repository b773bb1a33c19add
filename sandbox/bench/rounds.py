"""Runs variants in turn, round by round, so that whatever else the machine does slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

Variants = Mapping[str, Callable[[], float]]


def interleaved(variants: Variants, rounds: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Each variant's figure of each round.

    Every other round has the opposite order: what a variant leaves behind does not slow the same one always.

    Args:
        variants: by name; each runs once and returns its figure.
        rounds: how often.
        warm: whether one more round comes first, which does not count.
    """
    found: dict[str, list[float]] = {name: [] for name in variants}
    if warm:
        for run in variants.values():
            run()
    for number in range(rounds):
        for name in list(variants)[:: -1 if number % 2 else 1]:
            found[name].append(variants[name]())
    return found


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second `work` does, of `count`."""
    return count / seconds(work)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return max(time.perf_counter() - begun, 1e-9)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed, 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
