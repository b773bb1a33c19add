"""What every fault gets: where it may do harm, and random choices of the seed."""

import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sandbox.chaos.commands import Runbook
from sandbox.chaos.system import Arena


class Attack:
    """What a fault may use: the arena, the runbook, random choices, the stretch's command, and whether it has ended."""

    def __init__(
        self, arena: Arena, runbook: Runbook, rng: random.Random, words: Sequence[str], over: Callable[[], bool]
    ) -> None:
        self.arena = arena
        self.runbook = runbook
        self.rng = rng
        self.words = words
        self.over = over
        self.name = ""  # of the fault under way

    def note(self, text: str) -> None:
        """Write into the diary what the fault does."""
        self.arena.note(f"  fault {self.name}: {text}")


Fault: TypeAlias = "Callable[[Attack], None]"
