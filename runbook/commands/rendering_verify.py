"""How a comparison looks: counts, each difference by field with both values, and what repair would do or did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from runbook.checks.check import Check
from runbook.commands import _output
from runbook.repair import Repaired, RepairPlan, summary
from runbook.verify.compare import Difference
from runbook.verify.run import Verification

LONGEST = 60  # characters of a value in a table


@dataclass(frozen=True)
class Finding:
    """What was found of one entity, and what is or was to be done about it.

    Attributes:
        plan: what would be done; None when nobody asked, or when it was done.
        repaired: what was done; None when nothing was to be.
    """

    found: Verification
    plan: Sequence[RepairPlan] | None = None
    checks: Sequence[Check] = ()
    repaired: Repaired | None = None

    @property
    def clean(self) -> bool:
        """Whether both sides are the same, in the end."""
        return self.repaired.clean if self.repaired else self.found.clean


def finding(one: Finding, show: int) -> None:
    """A comparison, the first differences, and the repair."""
    found = one.found
    _output.out().print(
        f"{_output.MARKS[found.clean]} [bold]{escape(found.entity)}[/]  {_counts(found)}  [dim]{found.seconds:.1f} s[/]"
    )
    if found.resumed:
        line = f"It went on from a run that was interrupted and began at {found.started_at}."
        _output.out().print(f"[dim]{line}[/]", soft_wrap=True)
    if found.differences:
        _differences(found.differences[:show], len(found.differences))
    if found.more:
        line = f"Very much differs: it ended early, with {len(found.differences):,} differences. There are more."
        _output.out().print(f"[red]{line}[/]", soft_wrap=True)
    if one.plan:
        _plan(one.plan, one.checks)
    if one.repaired:
        _repaired(one.repaired, show)


def document(one: Finding) -> dict[str, Any]:
    """A finding as one JSON value."""
    found: dict[str, Any] = _output.plain(one.found) | {"clean": one.clean}
    if one.plan is not None:
        intents = [{"key": each.difference.key, "wrong": each.wrong, **_action(each)} for each in one.plan]
        found["repair"] = {"executed": False, "checks": _output.plain(list(one.checks)), "records": intents}
    if one.repaired:
        found["repair"] = {"executed": True, "records": _output.plain(list(one.repaired.resolutions))}
        found["repair"]["left"] = _output.plain(list(one.repaired.left))
    return found


def _action(intent: RepairPlan) -> dict[str, str]:
    return {"action": intent.action.name.lower(), "does": intent.action.value}


def _counts(found: Verification) -> str:
    sample = "" if found.sample >= 1 else f" (a sample of {found.sample:.0%})"
    counts = f"{found.equal:,} of {found.compared:,} equal{sample}"
    if found.items is None or found.rows is None:
        return f"{counts}; those that changed since {found.since}"
    return f"{counts}; {found.items:,} items, {found.rows:,} rows"


def _differences(shown: Sequence[Difference], total: int) -> None:
    table = _table("key", "what", "legacy", "modern")
    for difference in shown:
        if not difference.fields:
            table.add_row(escape(difference.key), escape(difference.reason or difference.kind), "", "")
        for field in difference.fields:
            cells = _shown(field.legacy), _shown(field.modern)
            table.add_row(escape(difference.key), escape(field.field), *cells)
    _output.out().print(table)
    _more(len(shown), total)


def _plan(plan: Sequence[RepairPlan], checks: Sequence[Check]) -> None:
    table = _table("key", "wrong", "repair would")
    for intent in plan:
        table.add_row(escape(intent.difference.key), intent.wrong, escape(intent.action.value))
    _output.out().print(table)
    if any(check.ok is False for check in checks):
        _output.out().print("The bridge is not whole, so repair would be refused:")
        _output.checks(checks)


def _repaired(repaired: Repaired, show: int) -> None:
    for says, count in summary(repaired.resolutions).items():
        _output.out().print(f"{count:,} records: {escape(says)}")
    stay = [outcome for outcome in repaired.resolutions if not outcome.resolved]
    for outcome in stay[:show]:
        _output.out().print(f"{_output.MARKS[False]} {escape(outcome.key)}: {escape(outcome.says)}")
    if repaired.more:
        _output.out().print("Much more differed than was told and repaired: run it again.")
    if repaired.left:
        _output.out().print("Afterwards these still differ:")
        _differences(repaired.left[:show], len(repaired.left))
    else:
        _output.out().print(f"{_output.MARKS[True]} repaired: both sides of these records are the same")


def _more(shown: int, total: int) -> None:
    if shown < total:
        _output.out().print(f"[dim]… and {total - shown:,} more; --json has all of them[/]")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
