"""Where an operation is, as the journal has it: how a fault finds a boundary between two steps."""

import contextlib
import time

from botocore.exceptions import ClientError

from functions.domain import names
from sandbox.chaos.faults.attack import Attack
from sandbox.chaos.system import Arena

POLL = 0.01  # seconds between two looks at the journal
TIMEOUT = 20.0  # seconds that a fault waits for its moment
MOST_BOUNDARIES = 12


def boundary(attack: Attack) -> str:
    """Wait until the command has passed some boundaries, as many as chance wants; where it is then.

    Empty if the stretch has ended, or too much time has passed, before.
    """
    wanted, seen = attack.rng.randint(1, MOST_BOUNDARIES), [""]
    deadline = time.monotonic() + TIMEOUT
    while not attack.over() and time.monotonic() < deadline:
        at = _place(attack.arena)
        if at not in {"", seen[-1]}:
            seen.append(at)
        if len(seen) > wanted:
            return at
        time.sleep(POLL)
    return ""


def _place(arena: Arena) -> str:
    """Where the operation under way is; empty without one."""
    key = {"entity": {"S": arena.name}, "record": {"S": names.STATE_RECORD}}
    with contextlib.suppress(ClientError):
        item = arena.clients.dynamodb.get_item(TableName=arena.target.journal_table, Key=key).get("Item", {})
        operation = item.get("operation", {}).get("M", {})
        return " ".join(operation[part]["S"] for part in ("direction", "step", "step_state") if part in operation)
    return ""
