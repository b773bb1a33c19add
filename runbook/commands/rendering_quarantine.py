"""How the quarantine looks: entries as a table, one with both sides, what replay would do and what it did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from runbook.commands import _output
from runbook.quarantine.actions import EntryPlan, EntryView
from runbook.quarantine.entry import Entry
from runbook.quarantine.resolve import Resolution

LONGEST = 200  # characters of a value
ROWS = 50  # of a table


def entries(found: Sequence[Entry]) -> None:
    """Every entry, a line each."""
    if not found:
        _output.out().print("The quarantine is empty.")
        return
    table = _table("entity", "key", "what", "when", "where", "code", "reason")
    for entry in found[:ROWS]:
        code = str(entry.code) if entry.code else ""
        cells = (entry.entity, entry.key, entry.kind, entry.at, _where(entry), code, entry.reason)
        table.add_row(*map(escape, cells))
    _print(table, len(found))


def exhibits(found: Sequence[EntryView]) -> None:
    """Each entry with all that is known of it, and its fields on both sides."""
    for one in found:
        entry = one.plan.entry
        facts = Table(box=None, show_header=False, pad_edge=False)
        for name, value in _facts(entry, one.plan).items():
            facts.add_row(f"[dim]{name}[/]", escape(value))
        _output.out().print(f"[bold]{escape(f'{entry.entity} {entry.key}')}[/]")
        _output.out().print(facts)
        if one.fields:
            table = _table("field", "legacy now", "modern now")
            for pair in one.fields:
                mark = "" if pair.same else "[red]"
                table.add_row(escape(pair.field), *(mark + _shown(value) for value in (pair.legacy, pair.modern)))
            _output.out().print(table)
        _output.out().print()


def plan(found: Sequence[EntryPlan], what: str, act: str) -> None:
    """What would be done with each entry, and the command that does it."""
    if not found:
        _output.out().print("Nothing to do: it is not in quarantine.")
        return
    table = _table("entity", "key", what)
    for intent in found[:ROWS]:
        does = intent.action.value if intent.action else intent.refused or what
        table.add_row(escape(intent.entry.entity), escape(intent.entry.key), escape(does))
    _print(table, len(found))
    _output.out().print(f"Nothing has changed. Act with: {escape(act)}", soft_wrap=True)


def outcomes(found: Sequence[Resolution]) -> None:
    """What became of each entry."""
    if not found:
        _output.out().print("Nothing to do: it is not in quarantine.")
        return
    table = _table("", "entity", "key", "now")
    stay_first = sorted(found, key=lambda outcome: outcome.resolved)
    for outcome in stay_first[:ROWS]:
        says = outcome.says if outcome.resolved else f"stays: {outcome.says}"
        table.add_row(_output.MARKS[outcome.resolved], escape(outcome.entity), escape(outcome.key), escape(says))
    _print(table, len(found))


def document(entry: Entry) -> dict[str, Any]:
    """An entry as one JSON value; sequences have more digits than JSON's numbers, so they are text."""
    return {
        "entity": entry.entity,
        "key": entry.key,
        "kind": entry.kind.value,
        "reason": entry.reason,
        "code": entry.code,
        "sequence": str(entry.sequence),
        "stream": entry.stream,
        "at": entry.at,
        "table": entry.noted is not None,
        "objects": list(entry.objects),
    }


def planned(intent: EntryPlan) -> dict[str, Any]:
    """An intent as one JSON value."""
    action = intent.action.name.lower() if intent.action else None
    return {
        **document(intent.entry),
        "action": action,
        "does": intent.action.value if intent.action else "",
        "refused": intent.refused,
    }


def exhibited(one: EntryView) -> dict[str, Any]:
    """An exhibit as one JSON value."""
    return {**planned(one.plan), "fields": _output.plain(list(one.fields))}


def _facts(entry: Entry, intent: EntryPlan) -> dict[str, str]:
    facts = {
        "what": entry.kind.value,
        "reason": entry.reason,
        "error code": str(entry.code) if entry.code else "none",
        "quarantined": entry.at or "unknown",
        "sequence": str(entry.sequence),
        "where": ", ".join([*(["table"] if entry.noted else []), *entry.objects]),
        "replay would": intent.action.value if intent.action else f"be refused: {intent.refused}",
    }
    return {name: value for name, value in facts.items() if value}


def _where(entry: Entry) -> str:
    objects = f"{len(entry.objects)} object{'s' if len(entry.objects) > 1 else ''}" if entry.objects else ""
    return " + ".join(part for part in ("table" if entry.noted else "", objects) if part)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table, total: int) -> None:
    _output.out().print(table)
    if total > ROWS:
        _output.out().print(f"[dim]… and {total - ROWS:,} more; --json has all of them[/]")
