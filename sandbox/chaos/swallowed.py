"""What an answer of an adopted function comes to, given what happened meanwhile. Pure.

The shop's functions swallow errors: whatever goes wrong, they answer with an `errorMessage`. Their SDK repeats calls.
So while the database or an answer is away, a write of theirs is as unknown as one with the gate's 503, a DELETE may
find nothing because its first attempt was done, and a write may be done after its client got an answer: until its
function's timeout. While another tool's deployment sends requests past the gate, one may meet the fence, and has then
changed nothing. At any other time such an answer is a broken promise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sandbox.load.records import DELETE, LATE, MAYBE, NOTHING, UNAVAILABLE, Attempt

SWALLOWED = "errorMessage"
FENCED = "are fenced"  # in the fence's error
INTERNAL = "Internal server error"  # API Gateway's answer where it may not call a function
NOT_FOUND, ERROR = 404, 500
AROUND = 0.25  # seconds by which the note of a disturbance may be off

Windows: TypeAlias = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Disturbances:
    """From when to when something was wrong, in seconds of the monotonic clock.

    Attributes:
        outages: the database or the answer to a call was away.
        pauses: a worker stood still.
        strays: requests could go past the gate.
        closed: API Gateway could not call a function.
    """

    outages: Windows = field(default=())
    pauses: Windows = field(default=())
    strays: Windows = field(default=())
    closed: Windows = field(default=())


def judged(attempts: Iterable[Attempt], during: Disturbances) -> list[Attempt]:
    """The attempts with the outcomes that the checker knows; a failure that nothing explains stays one."""
    return [_judged(one, during) for one in attempts]


def _judged(one: Attempt, during: Disturbances) -> Attempt:
    if FENCED in one.outcome:
        return _as(one, NOTHING) if _within(one, during.strays) else one
    if one.status == ERROR and INTERNAL in one.outcome:
        return _as(one, NOTHING) if _within(one, during.closed) else one
    disturbed = _within(one, during.outages)
    if SWALLOWED in one.outcome and disturbed:
        return _as(one, LATE if one.writes else NOTHING)
    if one.maybe and (disturbed or _within(one, during.pauses)):
        return replace(one, outcome=LATE)
    if one.kind == DELETE and one.status == NOT_FOUND and disturbed:
        return replace(one, outcome=MAYBE)
    return one


def without(windows: Windows, left_out: Windows) -> list[tuple[float, float]]:
    """What is left of windows."""
    found = list(windows)
    for begin, end in left_out:
        found = [part for one in found for part in ((one[0], min(one[1], begin)), (max(one[0], end), one[1]))]
        found = [(first, last) for first, last in found if first < last]
    return found


def _as(one: Attempt, outcome: str) -> Attempt:
    return replace(one, status=UNAVAILABLE, outcome=outcome)


def _within(one: Attempt, windows: Windows) -> bool:
    return any(one.begun - AROUND <= end and begin <= one.ended + AROUND for begin, end in windows)
