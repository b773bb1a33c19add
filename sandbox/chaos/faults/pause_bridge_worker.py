"""SIGSTOP of a worker of the bridge, and SIGCONT after some seconds."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def pause_bridge_worker(attack: Attack) -> None:
    found = attack.arena.workers(frozenset({attack.arena.deployed.bridge_function}))
    chosen = attack.rng.sample(found, min(1, len(found)))
    workers.pause(attack, chosen, "worker of the bridge", workers.pause_of_bridge(attack))
