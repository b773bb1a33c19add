"""Kill -9 of one worker of copy, in the middle of its batch as often as not. Another takes its lane or range later."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def kill_lane(attack: Attack) -> None:
    lanes = attack.arena.workers(frozenset({attack.arena.target.copy_function}))
    workers.kill(attack, attack.rng.sample(lanes, min(1, len(lanes))), "worker of copy")
