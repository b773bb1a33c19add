"""What faults on an adopted system share: the operator finds by a check what differs, and adopts again."""

import time
from collections.abc import Callable, Sequence

from sandbox.chaos.commands import DONE, StuckError
from sandbox.chaos.faults.attack import Attack
from sandbox.engine.aws import Aws

UNSEEN = 3.0  # seconds at most until the team's pipeline runs preflight
AS_DEPLOYED = ("preflight", "--quick", "--json")


def account(attack: Attack) -> Aws:
    """The account as its owner, who may do everything."""
    return Aws(attack.arena.sandbox.outputs["endpointUrl"])


def adopt_again(attack: Attack, wrong: Callable[[], Sequence[str]]) -> None:
    """What docs/adopt.md says: preflight after a deployment, which names what differs, and then `adopt --execute`.

    Args:
        wrong: what differs now. The operator of the stretch's own command may adopt before this one does.
    """
    time.sleep(attack.rng.uniform(0.0, UNSEEN))
    this = ("--entity", attack.arena.name)
    found = attack.runbook.once((*AS_DEPLOYED, *this))
    if found.code == DONE and (left := wrong()):
        attack.arena.problem(f"preflight is green, and {', '.join(left)} differs")
    try:
        attack.runbook.until_done(("adopt", *this, "--execute"), main=False)
    except StuckError as error:
        attack.arena.problem(str(error))
