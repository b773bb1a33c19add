"""Somebody empties the DynamoDB table while legacy is the source of truth, as after a trial. Every row must stay.

An operator then repairs the items from the rows.
"""

import time

from sandbox.chaos import cure, final_state
from sandbox.chaos.faults.attack import Attack

DIGESTED = 3.0  # seconds in which the bridge may have looked at them


def empty_table(attack: Attack) -> None:
    arena = attack.arena
    name, present = arena.entity.modern.key, final_state.keys(arena)
    for key in present:
        arena.clients.dynamodb.delete_item(TableName=arena.deployed.modern_table, Key={name: {"S": key}})
    attack.note(f"the DynamoDB table was emptied of {len(present)} items")
    arena.conflict(())
    time.sleep(DIGESTED)
    cure.cure(arena, attack.runbook)
