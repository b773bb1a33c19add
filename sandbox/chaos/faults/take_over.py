"""The operator's command is stopped at a boundary; a second operator takes over and acts; then the first continues.

The second one runs the same command to its end, or the opposite one. Its clock may be wrong.
"""

from sandbox.chaos.commands import DONE, opposite
from sandbox.chaos.faults import journal
from sandbox.chaos.faults.attack import Attack

SKEWED = 0.3  # share of the second operators
OPPOSITE = 0.5  # likewise
MOST_SKEW = 300.0  # seconds


def take_over(attack: Attack) -> None:
    skew = attack.rng.uniform(-MOST_SKEW, MOST_SKEW) if attack.rng.random() < SKEWED else 0.0
    words = opposite(attack.words) if attack.rng.random() < OPPOSITE else attack.words
    at = journal.boundary(attack)
    if not at or not attack.runbook.pause():
        return
    attack.note(f"SIGSTOP of the runbook at a boundary: {at}")
    try:
        ended = attack.runbook.once((*words, "--take-over"), skew=skew)
        clock = f" with a clock {skew:+.0f} s wrong" if skew else ""
        command = " ".join(words[:2])
        attack.note(f"a second operator{clock} took over by `{command}`, which ended with {ended.code}: {ended.said}")
    finally:
        attack.runbook.resume()
    attack.note("SIGCONT of the runbook" + ("" if ended.code == DONE else "; it may continue"))
