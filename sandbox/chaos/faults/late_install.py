"""A call that adds or drops triggers takes effect late, perhaps after they were dropped or added again."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_install(attack: Attack) -> None:
    calls.late(attack, "an install call", calls.INSTALL)
