"""SIGSTOP of a worker of modern's writer, sometimes for longer than the gate counts a request.

An adopted writer may be legacy's, too. It does not ask whether it is too late, and its write comes after its client has
an answer: the gate waits for 27 seconds, and Lambda ends the function after 30.
"""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def pause_writer(attack: Attack) -> None:
    arena, deployed = attack.arena, attack.arena.deployed
    adopted = arena.target.api_adopted
    writers = {deployed.write_function, *([deployed.legacy_write_function] if adopted else [])}
    found = arena.workers(frozenset(writers))
    chosen = attack.rng.sample(found, min(1, len(found)))
    seconds = workers.pause_of_adopted(attack) if adopted else workers.pause_of_api(attack)
    workers.pause(attack, chosen, "worker of a writer", seconds)
