"""The answers to some calls are lost: the effect happens, and the client sees a broken connection."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def lost_answer(attack: Attack) -> None:
    what = attack.rng.choice(sorted(calls.LOST))
    calls.lost(attack, what, calls.LOST[what](attack.arena))
