"""A write of a lane or range takes effect late.

Another worker may have the lane then, the lanes may have followed the ranges, or modern may be the source of truth.
"""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_lane(attack: Attack) -> None:
    calls.late(attack, "a write of a lane or range", calls.LANE)
