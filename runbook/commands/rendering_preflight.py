"""How `runbook preflight` looks: a table per entity, and the remedy of each red check below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from runbook.commands import _output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbook.checks.check import Check


def checks(entity: str, found: Sequence[Check]) -> None:
    """One entity's checks."""
    red = sum(check.ok is False for check in found)
    said = f"[red]{red} of {len(found)} checks do not hold[/]" if red else f"{len(found)} checks hold"
    _output.out().print(f"[bold]{escape(entity)}[/]  {said}")
    _output.checks(found)
