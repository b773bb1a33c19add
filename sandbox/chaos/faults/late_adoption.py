"""A call by which `adopt` changes an API, a function or a table takes effect late, in the middle of the migration.

Not that of a stage variable: nothing can refuse a late one (docs/guarantees.md).
"""

from sandbox.chaos.faults import calls
from sandbox.chaos.faults.attack import Attack


def late_adoption(attack: Attack) -> None:
    what = attack.rng.choice(sorted(calls.ADOPTION.keys() - {calls.VARIABLE}))
    calls.late(attack, what, calls.ADOPTION[what])
