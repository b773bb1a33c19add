"""SIGSTOP of a worker of copy for longer than its lease."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def pause_lane(attack: Attack) -> None:
    found = attack.arena.workers(frozenset({attack.arena.target.copy_function}))
    chosen = attack.rng.sample(found, min(1, len(found)))
    workers.pause(attack, chosen, "worker of copy", workers.pause_of_lane(attack))
