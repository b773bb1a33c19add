"""The columns against the mapping: those that do not fit, have no field, or cannot hold all that items can."""

from __future__ import annotations

from runbook.checks.check import Check
from runbook.checks.schema import Facts

MEND = "Mend the fields in entities.toml, or the table."


def checks(facts: Facts) -> list[Check]:
    """What the dictionary tells; no row is read."""
    return [_fields(facts), _unmapped(facts), _generated(facts), _unique(facts), _charsets(facts)]


def _fields(facts: Facts) -> Check:
    problems = facts.problems("fields.")
    value = "; ".join(problems) or f"{len(facts.mapped)} fit their columns"
    return Check(name="fields", ok=not problems, value=value, limit="fit their columns", remedy=MEND)


def _unmapped(facts: Facts) -> Check:
    """Columns without a field stay in Aurora: not copied, and the bridge leaves them at their default."""
    refused = facts.problems("fields:")
    mapped = {column.name for column in facts.mapped.values()} | {facts.key.name if facts.key else ""}
    left = [
        column.name
        for column in facts.columns.values()
        if column.name not in mapped and not column.own and not column.generated
    ]
    told = f"{', '.join(left)}: not copied, at their default in rows that the bridge makes" if left else "none"
    return Check(
        name="unmapped columns",
        ok=not refused,
        value="; ".join(refused) or told,
        limit="NULL or a default",
        remedy="Map them in entities.toml, or give them a default: the bridge cannot insert a row without.",
    )


def _generated(facts: Facts) -> Check:
    computed = {column.name for column in facts.columns.values() if column.generated}
    mapped = [f"{name} ({column.name})" for name, column in facts.mapped.items() if column.name in computed]
    others = f"{', '.join(sorted(computed))}: not mapped, computed by Aurora" if computed else "none"
    return Check(
        name="generated columns",
        ok=not mapped,
        value=f"mapped: {', '.join(mapped)}" if mapped else others,
        limit="none mapped",
        remedy="Leave these fields out of entities.toml: nobody can write them.",
    )


def _unique(facts: Facts) -> Check:
    """Informs: DynamoDB keeps no index unique."""
    found = [f"{name} ({', '.join(columns)})" for name, columns in facts.unique.items()]
    told = f"{', '.join(found)}: DynamoDB takes duplicates, which the bridge quarantines" if found else "none"
    return Check(name="unique indexes", ok=True, value=told, limit="any")


def _charsets(facts: Facts) -> Check:
    """Informs: an item holds any text."""
    narrow = [
        f"{column.name} ({column.charset})" for column in facts.mapped.values() if column.charset not in {"", "utf8mb4"}
    ]
    told = f"{', '.join(narrow)}: text that it cannot write is quarantined" if narrow else "utf8mb4"
    return Check(name="character sets", ok=True, value=told, limit="any")
