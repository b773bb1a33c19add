"""Workers of Lambda as the target of a fault: killed, or stopped for a while."""

import contextlib
import time
from collections.abc import Sequence

import psutil

from functions.copy.lease import LEASE_SECONDS
from sandbox.chaos.faults.attack import Attack


def kill(attack: Attack, workers: Sequence[psutil.Process], what: str) -> None:
    """Kill -9 of each."""
    for worker in workers:
        attack.arena.kills.append(time.monotonic())
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
        attack.arena.kills.append(time.monotonic())
    if workers:
        attack.note(f"kill -9 of {len(workers)} {what}")


def pause(attack: Attack, workers: Sequence[psutil.Process], what: str, seconds: float) -> None:
    """SIGSTOP of each, and SIGCONT after some seconds, whatever the stretch does meanwhile."""
    if not workers:
        return
    began = time.monotonic()
    attack.note(f"SIGSTOP of {len(workers)} {what} for {seconds:.1f} s")
    _each(workers, "suspend")
    try:
        time.sleep(seconds)
    finally:
        _each(workers, "resume")
        attack.arena.pauses.append((began, time.monotonic()))
    attack.note(f"SIGCONT of {what}")


def _each(workers: Sequence[psutil.Process], verb: str) -> None:
    for worker in workers:
        with contextlib.suppress(psutil.Error):
            getattr(worker, verb)()


def pause_of_api(attack: Attack) -> float:
    """Seconds for a worker behind the API: one in five is longer than the gate counts its request."""
    return attack.rng.uniform(36.0, 40.0) if attack.rng.random() < 0.2 else attack.rng.uniform(1.0, 8.0)  # noqa: PLR2004


def pause_of_adopted(attack: Attack) -> float:
    """Seconds for an adopted writer: one in four outlasts the gate, and may be resumed before Lambda ends it."""
    return attack.rng.uniform(27.2, 33.0) if attack.rng.random() < 0.25 else attack.rng.uniform(1.0, 8.0)  # noqa: PLR2004


def pause_of_bridge(attack: Attack) -> float:
    """Seconds for a worker of the bridge, which has no lease."""
    return attack.rng.uniform(1.0, 10.0)


def pause_of_lane(attack: Attack) -> float:
    """Seconds for a worker of copy: longer than its lease."""
    return LEASE_SECONDS + attack.rng.uniform(1.0, 4.0)
