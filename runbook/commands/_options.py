"""The options that every command shares, and how they are completed in a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from runbook.errors import RunbookError
from runbook.stack import resolve

TARGET = "Target (default: the sandbox that is running here)"


def complete_entity(context: typer.Context, incomplete: str) -> list[str]:
    """The target's entities that begin with what is typed; none when the target cannot be read."""
    given: dict[str, Any] = context.params
    outputs = given.get("outputs")
    try:
        found = resolve(given.get("stack"), Path(outputs) if outputs else None)
    except (RunbookError, OSError):
        return []
    return [name for name in found.entities if name.startswith(incomplete)]


StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="A Pulumi stack; its outputs are read with the pulumi CLI.",
        rich_help_panel=TARGET,
    ),
]
OutputsOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs",
        metavar="FILE",
        help="A file with the stack's outputs (pulumi stack output --json).",
        rich_help_panel=TARGET,
    ),
]
EntityOption = Annotated[
    str | None,
    typer.Option(
        "--entity",
        metavar="NAME",
        help="The entity, e.g. chefs; may be left out when there is one.",
        autocompletion=complete_entity,
    ),
]
EntitiesOption = Annotated[
    str | None,
    typer.Option(
        "--entity",
        metavar="NAME",
        help="Only this entity; all of them by default.",
        autocompletion=complete_entity,
    ),
]
EntityNamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--entity",
        metavar="NAME",
        help="Only this entity, may be repeated; all of them by default.",
        autocompletion=complete_entity,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and never ask.")]
ExecuteOption = Annotated[bool, typer.Option("--execute", help="Act; without it, only show the plan.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show the plan, which is what happens without --execute too.")
]
YesOption = Annotated[
    str | None,
    typer.Option("--yes", metavar="STACK", help="In production: the stack's name, instead of typing it when asked."),
]
PatienceOption = Annotated[
    float,
    typer.Option("--probe-timeout", metavar="SECONDS", min=1, help="How long a probe may take through the bridge."),
]
