"""A change of the fence takes effect late, perhaps after another operation has raised or lowered it."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_fence(attack: Attack) -> None:
    calls.late(attack, "a change of the fence", calls.FENCE)
