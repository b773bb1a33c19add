"""Kill -9 of the operator's command at whatever moment it is. The run starts it again."""

from sandbox.chaos.faults.attack import Attack


def kill_runbook(attack: Attack) -> None:
    if attack.runbook.kill():
        attack.note("kill -9 of the runbook")
