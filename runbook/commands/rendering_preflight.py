"""How `runbook preflight` looks: a table per entity, and the remedy of each red check below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from runbook.checks.check import Check
from runbook.commands import _output


def checks(entity: str, found: Sequence[Check]) -> None:
    """One entity's checks."""
    red = sum(check.ok is False for check in found)
    said = f"[red]{red} of {len(found)} checks do not hold[/]" if red else f"{len(found)} checks hold"
    _output.out().print(f"[bold]{escape(entity)}[/]  {said}")
    _output.checks(found)
