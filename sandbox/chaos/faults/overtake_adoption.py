"""The operator's `adopt` or its undo is stopped at any moment; a second one takes over; then the first continues."""

import time

from sandbox.chaos.faults.attack import Attack

LONGEST = 3.0  # seconds until it is stopped; about as long as the command takes


def overtake_adoption(attack: Attack) -> None:
    time.sleep(attack.rng.uniform(0.5, LONGEST))
    if not attack.runbook.pause():
        return
    attack.note("SIGSTOP of the runbook")
    try:
        ended = attack.runbook.once((*attack.words, "--take-over"))
        attack.note(f"a second operator took over, and ended with {ended.code}: {ended.said}")
    finally:
        attack.runbook.resume()
    attack.note("SIGCONT of the runbook")
