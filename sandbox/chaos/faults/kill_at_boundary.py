"""Kill -9 of the operator's command right after the journal says that it passed its n-th step boundary."""

from sandbox.chaos.faults import journal
from sandbox.chaos.faults.attack import Attack


def kill_at_boundary(attack: Attack) -> None:
    at = journal.boundary(attack)
    if at and attack.runbook.kill():
        attack.note(f"kill -9 of the runbook at a boundary: {at}")
