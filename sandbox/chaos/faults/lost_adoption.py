"""The answers to some calls by which `adopt` changes an API, a function or a table are lost."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def lost_adoption(attack: Attack) -> None:
    what = attack.rng.choice(sorted(calls.ADOPTION))
    calls.lost(attack, what, calls.ADOPTION[what])
