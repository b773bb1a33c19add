"""Kill -9 of some Lambda workers, whatever they are at. Lambda starts others."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def kill_workers(attack: Attack) -> None:
    found = attack.arena.workers()
    chosen = attack.rng.sample(found, min(len(found), attack.rng.randint(1, 3)))
    workers.kill(attack, chosen, "Lambda workers")
