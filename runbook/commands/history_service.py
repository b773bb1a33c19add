"""`runbook history`: who did what with an entity, when, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.aws.outputs import EntityTarget
from runbook.journal.journal import Event
from runbook.stack import Context


def run(context: Context, entities: Sequence[EntityTarget], limit: int) -> list[Event]:
    """The newest `limit` events of these entities together, newest first."""
    found = [event for entity in entities for event in context.journal.events(entity.name, limit)]
    return sorted(found, key=lambda event: event.at, reverse=True)[:limit]
