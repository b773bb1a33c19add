"""Calls as the target of a fault: one takes effect late, after its caller has left, or its answer is lost.

The emulator does it (sandbox/emulator/behaviour/unsure_calls.py). The calls of a client are known by what they say.
"""

import re
import time
from collections.abc import Callable, Mapping

from sandbox.chaos.faults import emulator
from sandbox.chaos.faults.attack import Attack
from sandbox.chaos.system import Arena
from sandbox.emulator.behaviour.unsure_calls import PATH

LONGEST_DELAY = 60.0  # seconds
GIVES_UP = 2.0  # seconds at most until the caller of a late call loses its connection
WINDOW = 20.0  # seconds in which a call must come; the last of a switch is its route
POLL = 0.1  # seconds

ROUTE = r"^PATCH /restapis/[^ ]+/stages/.*_writes"
FENCE = r"CALL streamback_fence\("
INSTALL = r'^POST /2015-03-31/functions/.*\{"action": "(capture|release)"'
LANE = r'TransactWriteItems\n.*"streamback_origin": \{"S": "legacy:'
CLAIM = r"CALL streamback_claim\("
STATE = r'(UpdateItem|TransactWriteItems)\n.*"record": \{"S": "state"\}'
LEASE = r'UpdateItem\n.*"record": \{"S": "lane#'
GATE = r'UpdateItem\n.*"record": \{"S": "gate"\}'
MAPPING = r"^PUT /2015-03-31/event-source-mappings/"
VARIABLE = "a change of the stage"
# By which `runbook adopt` changes a system.
ADOPTION: Mapping[str, str] = {
    "a change of an integration": r"^PATCH /restapis/[^ ]+/integration",
    "a deployment": r"^POST /restapis/[^ /]+/deployments",
    VARIABLE: r"^PATCH /restapis/[^ ]+/stages/",
    "a permission": r"^(POST|DELETE) /2015-03-31/functions/[^ ]+/policy",
    "a change of the table": r"DynamoDB_20120810\.UpdateTable",
    "a record of what was before": r'(PutItem|TransactWriteItems)\n.*"record": \{"S": "adopted',
}
# Which calls may come late. A writer's own call to legacy, or the gate's to a writer, may not: its client was warned
# that the write may still happen, and so it may come after a later one.
LATE: Mapping[str, Callable[[Arena], str]] = {
    "a claim of the operator": lambda _: CLAIM,
    "a change of the operator's journal": lambda _: STATE,
    "a renewal of a lane's lease": lambda _: LEASE,
    "a count of the gate": lambda _: GATE,
    "a change of the stream mapping": lambda _: MAPPING,
    "a statement of bridge or copy": lambda arena: (
        rf"^POST /(Batch)?Execute.*{re.escape(arena.target.bridge_secret_arn)}"
    ),
}
LOST: Mapping[str, Callable[[Arena], str]] = {
    **LATE,
    "a change of the fence": lambda _: FENCE,
    "an install call": lambda _: INSTALL,
    "a change of the route of writes": lambda _: ROUTE,
    "a lane's write": lambda _: LANE,
    "a transaction of an item": lambda _: r"TransactWriteItems\n.*ClientRequestToken",
    "any call to DynamoDB": lambda _: r"DynamoDB_20120810\.",
    "any statement": lambda _: r"^POST /(Batch)?Execute",
    "any call of a function": lambda _: r"^POST /2015-03-31/functions/.*/invocations",
}


def delay(attack: Attack) -> float:
    """Seconds by which a call is late: short ones come more often, so that most arrive while something goes on."""
    return 0.5 + (LONGEST_DELAY - 0.5) * attack.rng.random() ** 2


def late(attack: Attack, what: str, pattern: str) -> None:
    """Have the next call with this pattern take effect late; its caller sees the connection break long before."""
    seconds, leaves = delay(attack), attack.rng.uniform(0.0, GIVES_UP)
    if _hit(attack, pattern, late=seconds, leaves=leaves):
        attack.note(f"{what} takes effect {seconds:.1f} s late; its caller left after {leaves:.1f} s")


def lost(attack: Attack, what: str, pattern: str) -> None:
    """Have the next calls with this pattern take effect at once, and their callers get no answer."""
    calls = attack.rng.randint(1, 3)
    attack.arena.may_fail(WINDOW)
    if hit := _hit(attack, pattern, calls=calls):
        attack.note(f"the answer to {what} was lost, {hit} times")


def await_late(arena: Arena) -> None:
    """Wait until every late call has taken effect."""
    deadline = time.monotonic() + LONGEST_DELAY
    while int(emulator.ask(arena, PATH, {"name": ""})["waiting"]) and time.monotonic() < deadline:
        time.sleep(0.2)


def _hit(attack: Attack, pattern: str, **how: float) -> int:
    """Wait until a call is hit, or none comes; how many were."""
    name, deadline = f"{attack.name}-{attack.rng.randrange(10**9)}", time.monotonic() + WINDOW
    emulator.ask(attack.arena, PATH, {"name": name, "pattern": pattern, "seconds": WINDOW, **how})
    while not attack.over() and time.monotonic() < deadline:
        if hit := int(emulator.ask(attack.arena, PATH, {"name": name})["hit"]):
            return hit
        time.sleep(POLL)
    return int(emulator.ask(attack.arena, PATH, {"name": name})["hit"])
