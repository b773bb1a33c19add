"""SIGSTOP of a worker of modern's writer, sometimes for longer than the gate counts a request."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def pause_writer(attack: Attack) -> None:
    found = attack.arena.workers(frozenset({attack.arena.deployed.write_function}))
    chosen = attack.rng.sample(found, min(1, len(found)))
    workers.pause(attack, chosen, "worker of modern's writer", workers.pause_of_api(attack))
