"""Injects the faults of one stretch from a thread of its own while the stretch lasts."""

import random
import threading
import time
from collections import Counter
from typing import Self

from sandbox.chaos.commands import Runbook
from sandbox.chaos.faults import FAULTS, Attack
from sandbox.chaos.scenario import Stretch
from sandbox.chaos.system import Arena


class Nemesis:
    """The faults of one stretch.

    Args:
        arena, runbook: where.
        stretch: which faults may come, and how many.
        seed: the same for the same faults at the same moments of the stretch.
        injected: counts them.
    """

    def __init__(self, arena: Arena, runbook: Runbook, stretch: Stretch, seed: str, injected: Counter[str]) -> None:
        self._arena = arena
        self._over = threading.Event()
        self._injected = injected
        rng = random.Random(seed)  # noqa: S311  # repeatable faults
        count = rng.randint(*stretch.many) if stretch.faults else 0
        self._plan = sorted((rng.uniform(0.0, stretch.span), rng.choice(stretch.faults)) for _ in range(count))
        self._attack = Attack(arena, runbook, rng, stretch.words, self._over.is_set)
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the fault in progress. Faults whose moment has not come are not injected."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        for delay, name in self._plan:
            if self._over.wait(max(0.0, begun + delay - time.monotonic())):
                return
            self._injected[name] += 1
            self._attack.name = name
            try:
                FAULTS[name](self._attack)
            except Exception as error:  # noqa: BLE001  # a fault that fails is no verdict on the product, but is noted
                self._attack.note(f"itself failed: {type(error).__name__}: {error}")
