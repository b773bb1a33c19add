"""Another tool deploys the adopted API as it knows it: methods call the legacy functions, past the gate.

A write past the gate is legacy's in phase legacy. Otherwise the fence refuses it. A read past the route is legacy's.
Half of the deployments during a switch come between two of its steps, after its checks.
"""

from sandbox.brownfield import api
from sandbox.chaos.faults import adopted, journal
from sandbox.chaos.faults.attack import Attack

SWITCHES = frozenset({"cutover", "rollback"})
AT_BOUNDARY = 0.5  # share of the deployments during a switch


def deploy_over(attack: Attack) -> None:
    arena, account = attack.arena, adopted.account(attack)
    chosen = attack.rng.sample(api.ROUTES, attack.rng.randint(1, len(api.ROUTES)))
    if attack.words[0] in SWITCHES and attack.rng.random() < AT_BOUNDARY:
        attack.note(f"it comes at a boundary: {journal.boundary(attack) or 'none was passed'}")
    with arena.noted(arena.strays):
        api.deploy_again(account, arena.target.api_id, chosen)
        attack.note(f"{', '.join(map(' '.join, chosen))} call the legacy functions after a deployment")
        adopted.adopt_again(attack, lambda: api.serves_legacy(account, arena.target.api_id))
    attack.note("adopted again")
