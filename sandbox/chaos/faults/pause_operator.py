"""SIGSTOP of the operator's command for longer than its lease, then SIGCONT. Another operator may get its lock.

A second operator, who knows nothing of the first, may run the same command or the opposite one.
"""

import time

from runbook.journal.lock import LEASE
from sandbox.chaos.commands import opposite
from sandbox.chaos.faults import journal
from sandbox.chaos.faults.attack import Attack

LONGER = 4.0  # seconds at most
SECOND, OPPOSITE = 0.6, 0.5  # shares: of the pauses in which somebody acts, and of those that do the opposite


def pause_operator(attack: Attack) -> None:
    rng = attack.rng
    seconds = LEASE + rng.uniform(1.0, LONGER)
    acts = rng.random() < SECOND
    words = opposite(attack.words) if rng.random() < OPPOSITE else attack.words
    at = journal.boundary(attack)
    if not at or not attack.runbook.pause():
        return
    attack.note(f"SIGSTOP of the runbook for {seconds:.1f} s at a boundary: {at}")
    try:
        time.sleep(seconds)
        if acts:
            ended = attack.runbook.once(words)
            command = " ".join(words[:2])
            attack.note(f"meanwhile a second operator's `{command}` ended with {ended.code}: {ended.said}")
    finally:
        attack.runbook.resume()
    attack.note("SIGCONT of the runbook")
