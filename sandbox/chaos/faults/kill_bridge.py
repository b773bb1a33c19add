"""Kill -9 of the bridge's workers. The stream mapping delivers their batches again."""

from sandbox.chaos.faults import workers
from sandbox.chaos.faults.attack import Attack


def kill_bridge(attack: Attack) -> None:
    workers.kill(
        attack, attack.arena.workers(frozenset({attack.arena.deployed.bridge_function})), "workers of the bridge"
    )
