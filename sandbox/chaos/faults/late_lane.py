"""A write of a lane takes effect late, perhaps when another worker has the lane or modern is the source of truth."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_lane(attack: Attack) -> None:
    calls.late(attack, "a write of a lane", calls.LANE)
