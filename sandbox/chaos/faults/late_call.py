"""A call of the operator, the gate, copy or the bridge takes effect late, after its caller has left."""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_call(attack: Attack) -> None:
    what = attack.rng.choice(sorted(calls.LATE))
    calls.late(attack, what, calls.LATE[what](attack.arena))
