"""What of streamback stands guard in Aurora: the triggers on the entity's table, and the procedure for the fence.

A table that is swapped for a copy of itself (pt-osc, gh-ost, a rename) loses its triggers: then writers pass a fence
that nobody reads, and copy hears of nothing.
"""

from __future__ import annotations

from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, triggers
from runbook.aws.aurora import Aurora
from runbook.checks.check import Check
from runbook.checks.schema import text

TRIGGERS = "streamback's triggers"  # the check that `copy start` mends
PROCEDURE = (
    "SELECT routine_definition FROM information_schema.routines "
    "WHERE routine_schema = :database AND routine_name = :name"
)
MADE = (
    "SELECT CAST(UNIX_TIMESTAMP(MAX(created)) AS CHAR) FROM information_schema.triggers "
    "WHERE trigger_schema = :database AND trigger_name IN "
)


def checks(aurora: Aurora, entity: Entity) -> list[Check]:
    """Whether triggers and procedure are there with the text that this version gives them."""
    return [installed(aurora, entity), _procedure(aurora, entity)]


def wrong(aurora: Aurora, entity: Entity) -> dict[str, str]:
    """What is wrong with each trigger of the entity that is not as it should be, by name."""
    rows = aurora.query("", triggers.PRESENT, {"database": entity.legacy.database})
    present = triggers.by_name([[text(cell) for cell in row] for row in rows])
    return triggers.differences(present, entity)


def made_at(aurora: Aurora, entity: Entity) -> float:
    """When the youngest of them was made, in epoch seconds: what was written before may not have been captured."""
    names_of_ours = ", ".join(f"'{name}'" for name in triggers.bodies(entity))
    rows = aurora.query("", MADE + f"({names_of_ours})", {"database": entity.legacy.database})
    return float(text(rows[0][0]) or 0)


def installed(aurora: Aurora, entity: Entity) -> Check:
    """Whether each trigger of copy and fence is on the entity's table."""
    found, count = wrong(aurora, entity), len(triggers.bodies(entity))
    return Check(
        name=TRIGGERS,
        ok=not found,
        value=", ".join(f"{name} {problem}" for name, problem in found.items()) or f"{count}",
        limit=f"{count}, as made by copy",
        remedy=f"Run `runbook copy start --entity {entity.name}`, which puts them back, then `runbook verify`: what "
        "was written without them was not captured.",
    )


def _procedure(aurora: Aurora, entity: Entity) -> Check:
    rows = aurora.query("", PROCEDURE, {"database": entity.legacy.database, "name": names.FENCE_PROCEDURE})
    right = [text(row[0]) for row in rows] == [control_row.BODY]
    return Check(
        name="fence's procedure",
        ok=right,
        value="there" if right else "another text" if rows else "missing",
        limit="there",
        remedy="Run `runbook init`.",
    )
