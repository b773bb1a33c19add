"""The columns against the mapping: those that do not fit, have no field, or cannot hold what items can."""

from runbook.checks.check import Check
from runbook.checks.schema import Facts

CORRECT = "Correct the fields in entities.toml, or the table."


def checks(facts: Facts) -> list[Check]:
    return [_fields(facts), _unmapped(facts), _generated(facts), _unique(facts), _charsets(facts)]


def _fields(facts: Facts) -> Check:
    problems = facts.problems("fields.")
    value = "; ".join(problems) or f"{len(facts.mapped)} fit their columns"
    return Check(name="fields", ok=not problems, value=value, limit="fit their columns", remedy=CORRECT)


def _unmapped(facts: Facts) -> Check:
    """Columns without a field stay in Aurora: not copied, and the bridge leaves them at their default."""
    refused = facts.problems("fields:")
    mapped = {column.name for column in facts.mapped.values()} | {facts.key.name if facts.key else ""}
    left = [
        column.name
        for column in facts.columns.values()
        if column.name not in mapped and not column.own and not column.generated
    ]
    notes = f"{', '.join(left)}: not copied, at their default in rows that the bridge makes" if left else "none"
    value = "; ".join(refused) or notes
    remedy = "Map them in entities.toml, or give them a default: the bridge cannot insert a row without."
    return Check(name="unmapped columns", ok=not refused, value=value, limit="NULL or a default", remedy=remedy)


def _generated(facts: Facts) -> Check:
    computed = {column.name for column in facts.columns.values() if column.generated}
    mapped = [f"{name} ({column.name})" for name, column in facts.mapped.items() if column.name in computed]
    others = f"{', '.join(sorted(computed))}: not mapped, computed by Aurora" if computed else "none"
    value = f"mapped: {', '.join(mapped)}" if mapped else others
    remedy = "Leave these fields out of entities.toml: only Aurora writes them."
    return Check(name="generated columns", ok=not mapped, value=value, limit="none mapped", remedy=remedy)


def _unique(facts: Facts) -> Check:
    """Never red: DynamoDB keeps no index unique."""
    found = [f"{name} ({', '.join(columns)})" for name, columns in facts.unique.items()]
    value = f"{', '.join(found)}: DynamoDB accepts duplicates, which the bridge quarantines" if found else "none"
    return Check(name="unique indexes", ok=True, value=value, limit="any")


def _charsets(facts: Facts) -> Check:
    """Never red: an item holds any text."""
    narrow = [
        f"{column.name} ({column.charset})" for column in facts.mapped.values() if column.charset not in {"", "utf8mb4"}
    ]
    value = f"{', '.join(narrow)}: text that it cannot store is quarantined" if narrow else "utf8mb4"
    return Check(name="character sets", ok=True, value=value, limit="any")
