"""streamback's own triggers on the entity's table, and the fence's procedure.

A table that is swapped for a copy of itself (pt-osc, gh-ost, a rename) loses its triggers. Then no writer reads the
fence, and copy misses every change.
"""

from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, read_only, triggers
from runbook.aws.aurora import TIMEOUT, Aurora
from runbook.checks.check import Check
from runbook.checks.schema import text

PROCEDURE = (
    "SELECT routine_definition FROM information_schema.routines "
    "WHERE routine_schema = :database AND routine_name = :name"
)
MADE = (
    "SELECT CAST(UNIX_TIMESTAMP(MAX(created)) AS CHAR) FROM information_schema.triggers "
    "WHERE trigger_schema = :database AND trigger_name IN "
)


def wrong(aurora: Aurora, entity: Entity) -> dict[str, str]:
    """The problem of each trigger of the entity that is missing or differs, by name."""
    rows = aurora.query("", triggers.PRESENT, {"database": entity.legacy.database})
    present = triggers.by_name([[text(cell) for cell in row] for row in rows])
    return triggers.differences(present, entity)


def refusing(aurora: Aurora, entity: Entity, timeout: float = TIMEOUT) -> list[str]:
    """The triggers that refuse every write to the legacy table, left by `complete`, by name."""
    return aurora.ask(lambda: read_only.standing(aurora.database(), entity), timeout)


def not_refusing(aurora: Aurora, entity: Entity) -> list[str]:
    """Those of them that are missing, by name."""
    return aurora.ask(lambda: read_only.missing(aurora.database(), entity))


def made_at(aurora: Aurora, entity: Entity) -> float:
    """When the newest of them was made, in seconds since 1970: earlier writes may not have been captured."""
    names_of_ours = ", ".join(f"'{name}'" for name in triggers.bodies(entity))
    rows = aurora.query("", MADE + f"({names_of_ours})", {"database": entity.legacy.database})
    return float(text(rows[0][0]) or 0)


def installed(aurora: Aurora, entity: Entity) -> Check:
    found, count = wrong(aurora, entity), len(triggers.bodies(entity))
    value = ", ".join(f"{name} {problem}" for name, problem in found.items()) or f"{count}"
    limit = f"{count}, as made by copy"
    remedy = (
        f"Run `runbook copy start --entity {entity.name}`, which adds them, then `runbook verify`: "
        "changes without them were not captured."
    )
    return Check(name="streamback's triggers", ok=not found, value=value, limit=limit, remedy=remedy)


def procedure(aurora: Aurora, entity: Entity) -> Check:
    rows = aurora.query("", PROCEDURE, {"database": entity.legacy.database, "name": names.FENCE_PROCEDURE})
    right = [text(row[0]) for row in rows] == [control_row.BODY]
    value = "there" if right else "another text" if rows else "missing"
    return Check(name="fence's procedure", ok=right, value=value, limit="there", remedy="Run `runbook init`.")
