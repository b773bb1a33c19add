"""The phases of an entity: which system is its source of truth, or on its way to be."""

from enum import StrEnum


class Phase(StrEnum):
    """The legal transitions between them stand in runbook/journal/phases.py."""

    LEGACY = "legacy"
    SWITCHING = "switching"
    MODERN = "modern"
    RETURNING = "returning"
    COMPLETE = "complete"
