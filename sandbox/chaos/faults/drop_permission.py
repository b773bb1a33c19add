"""Another tool removes API Gateway's right to call a function, so requests to it fail until it is adopted again."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.chaos.faults import adopted
from sandbox.chaos.faults.attack import Attack


def drop_permission(attack: Attack) -> None:
    """The shop's own statements in the policies of its legacy functions stay: no tool of its own removes those."""
    arena, client = attack.arena, adopted.account(attack).client("lambda")
    deployed = arena.deployed
    function = attack.rng.choice((arena.target.gate_function, deployed.read_function, deployed.write_function))
    present = _statements(client, function)
    if not present:
        return
    sid = str(attack.rng.choice(present)["Sid"])
    with arena.noted(arena.closed):
        client.remove_permission(FunctionName=function, StatementId=sid)
        attack.note(f"API Gateway lost its right {sid} to call {function}")
        adopted.adopt_again(attack, lambda: _missing(client, function, len(present)))
    attack.note("adopted again")


def _statements(client: Any, function: str) -> list[Mapping[str, Any]]:
    try:
        return list(json.loads(client.get_policy(FunctionName=function)["Policy"])["Statement"])
    except client.exceptions.ResourceNotFoundException:
        return []


def _missing(client: Any, function: str, before: int) -> list[str]:
    return [function] if len(_statements(client, function)) < before else []
