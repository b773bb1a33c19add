"""A foreign writer changes and deletes items of legacy's rows while legacy is the source of truth: no row may change.

Rows that modern made follow their items in both phases (docs/adr/0017), so those are left alone. An operator then
repairs the items from the rows.
"""

import time
from collections.abc import Sequence
from itertools import count

from sandbox.chaos import cure, final_state
from sandbox.chaos.faults.attack import Attack
from sandbox.chaos.foreign import effects
from sandbox.chaos.foreign.client import once
from sandbox.chaos.foreign.items import Items

MOST = 20  # items
DIGESTED = 2.0  # seconds in which the bridge may have looked at them


def foreign_items(attack: Attack) -> None:
    items = _writer(attack)
    present = [key for key in final_state.keys(attack.arena) if attack.arena.made_by_legacy(key)]
    chosen = attack.rng.sample(present, min(len(present), attack.rng.randint(1, MOST)))
    begun = time.monotonic()
    for key in chosen:
        call = items.delete(key) if attack.rng.random() < 0.5 else items.update(key)  # noqa: PLR2004  # every second
        attack.arena.conflict(effects.attempts(effects.conflicting(call), 0))
    attack.note(f"a foreign writer changed or deleted {len(chosen)} items in {time.monotonic() - begun:.1f} s")
    _resolve(attack, chosen)


def _resolve(attack: Attack, changed: Sequence[str]) -> None:
    if changed:
        time.sleep(DIGESTED)
        cure.cure(attack.arena, attack.runbook)


def _writer(attack: Attack) -> Items:
    arena, numbers = attack.arena, count(1)
    shape, prefix = arena.shape(), f"conflict-{attack.rng.randrange(10**9)}"
    client = once(arena)
    return Items(
        client, arena.deployed.modern_table, arena.entity, shape, lambda: f"{prefix}-{next(numbers)}", attack.rng
    )
