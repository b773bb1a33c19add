"""An UpdateStage of an operator takes effect late, perhaps after another operation has changed the route."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_route(attack: Attack) -> None:
    calls.late(attack, "an UpdateStage of writes", calls.ROUTE)
