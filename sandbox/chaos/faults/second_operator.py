"""Somebody else runs the same command at the same time."""

from sandbox.chaos.commands import DONE, MISMATCH, PRECONDITION, REFUSED
from sandbox.chaos.faults.attack import Attack

FAILED = 1
EXPECTED = {DONE, FAILED, MISMATCH, PRECONDITION, REFUSED}


def second_operator(attack: Attack) -> None:
    ended = attack.runbook.once(attack.words)
    attack.note(f"a second operator ran the same command, which ended with {ended.code}: {ended.said}")
    if ended.code not in EXPECTED:
        attack.arena.problem(f"the second operator's command ended with {ended.code}: {ended.said}")
