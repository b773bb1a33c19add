"""What an operator does when foreign writers have changed items while legacy was the source of truth.

Such a change is a conflict: Aurora stays as it is, the item differs from its row, and quarantine may have an entry.
"""

import json

from sandbox.chaos.commands import Runbook
from sandbox.chaos.system import Arena


def cure(arena: Arena, runbook: Runbook) -> None:
    """Repair the items from the rows and drop the entries; nothing if no foreign writer has caused a conflict.

    Raises:
        StuckError: a command did not end well.
    """
    found = arena.conflicts
    if not found:
        return
    this = ("--entity", arena.name)
    arena.note("  cure: items of foreign writers are repaired from their rows")
    runbook.until_done(("verify", "--repair", "--execute", *this), main=False)
    if entries(arena, runbook):
        runbook.until_done(("quarantine", "drop", "--all", "--execute", *this), main=False)
    arena.conflicts -= found  # only now: until then both sides may differ


def entries(arena: Arena, runbook: Runbook) -> int:
    """How many entries quarantine has."""
    ended = runbook.once(("quarantine", "list", "--entity", arena.name, "--json"))
    return len(json.loads(ended.out)["entries"]) if ended.code == 0 else 0
