"""SIGSTOP of a worker of the gate, sometimes for longer than the gate counts a request."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def pause_gate(attack: Attack) -> None:
    found = attack.arena.workers(frozenset({attack.arena.target.gate_function}))
    chosen = attack.rng.sample(found, min(1, len(found)))
    workers.pause(attack, chosen, "worker of the gate", workers.pause_of_api(attack))
