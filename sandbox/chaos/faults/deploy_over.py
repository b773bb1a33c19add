"""Another tool deploys the adopted API as it knows it: methods call the legacy functions, past the gate.

A write past the gate is legacy's in phase legacy. Otherwise the fence refuses it. A read past the route is legacy's.
"""

from sandbox.brownfield import api
from sandbox.chaos.faults import adopted
from sandbox.chaos.faults.attack import Attack


def deploy_over(attack: Attack) -> None:
    arena, account = attack.arena, adopted.account(attack)
    chosen = attack.rng.sample(api.ROUTES, attack.rng.randint(1, len(api.ROUTES)))
    with arena.noted(arena.strays):
        api.deploy_again(account, arena.target.api_id, chosen)
        attack.note(f"{', '.join(map(' '.join, chosen))} call the legacy functions after a deployment")
        adopted.adopt_again(attack, lambda: api.serves_legacy(account, arena.target.api_id))
    attack.note("adopted again")
