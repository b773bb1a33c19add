"""The options that several commands share, their completion in a shell, and which of them the operator gave."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from runbook.errors import RunbookError, UsageError
from runbook.stack import resolve

HOLDING = ("--settle", "--hold", "--warm")


def complete_entity(context: typer.Context, incomplete: str) -> list[str]:
    """The target's entities that begin with what is typed; none when the target cannot be read."""
    given: dict[str, Any] = context.params
    outputs = given.get("outputs")
    try:
        found = resolve(given.get("stack"), Path(outputs) if outputs else None)
    except (RunbookError, OSError):
        return []
    return [name for name in found.entities if name.startswith(incomplete)]


def refuse_given(command: typer.Context, options: Collection[str], why: str) -> None:
    """Refuse options that were given and would change nothing, instead of ignoring them.

    Args:
        command: the invocation.
        options: as typed, such as `--probe-timeout`.
        why: completes "… does nothing".

    Raises:
        UsageError: naming those that were given.
    """
    given = [option for option in options if _is_given(command, option)]
    if given:
        do, remedy = ("does", "Leave it out.") if len(given) == 1 else ("do", "Leave them out.")
        raise UsageError(f"{', '.join(given)} {do} nothing {why}", remedy)


def refuse_both(execute: bool, dry_run: bool) -> None:
    if execute and dry_run:
        raise UsageError("--execute and --dry-run exclude each other", "Give one of them.")


def _is_given(command: typer.Context, option: str) -> bool:
    source = command.get_parameter_source(option.removeprefix("--").replace("-", "_"))
    return source is not None and source.name != "DEFAULT"


def changed(values: object, defaults: object, fields: Mapping[str, str]) -> list[str]:
    """The options whose field has another value than its default, as words of a command line."""
    differing = {option: getattr(values, name) for option, name in fields.items()}
    return [
        word
        for option, value in differing.items()
        if value != getattr(defaults, fields[option])
        for word in (option, f"{value:g}")
    ]


def in_panel(panel: str) -> Callable[..., Any]:
    """`typer.Option` for options that `--help` lists in a panel of their own."""
    return partial(typer.Option, rich_help_panel=panel)


def _entity(text: str, default: str) -> Any:
    return typer.Option("--entity", metavar="NAME", help=text, show_default=default, autocompletion=complete_entity)


_target = partial(in_panel("Target"), show_default="the running sandbox")
_holding = in_panel("Holding clients")

StackOption = Annotated[
    str | None, _target("--stack", metavar="NAME", help="Use a Pulumi stack, read with the pulumi CLI.")
]
OutputsOption = Annotated[Path | None, _target("--outputs", metavar="FILE", help="Use a JSON file of stack outputs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and never prompt.")]
EntityOption = Annotated[str | None, _entity("Act on this entity, e.g. chefs.", "the only one")]
EntitiesOption = Annotated[str | None, _entity("Select one entity.", "all")]
EntityNamesOption = Annotated[list[str] | None, _entity("Select an entity; may be repeated.", "all")]
ExecuteOption = Annotated[bool, typer.Option("--execute", help="Act, instead of printing the plan.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the plan, as without --execute.")]
YesOption = Annotated[
    str | None,
    typer.Option("--yes", metavar="STACK", help="Confirm a production stack by its name.", show_default="prompt"),
]
ReadsStayOption = Annotated[
    bool, typer.Option("--reads-stay", help="Move writes alone; clients read their own writes seconds later.")
]
TakeOverOption = Annotated[
    bool, typer.Option("--take-over", help="Take the lock from another operator who may be at work.")
]
BlockWritersOption = Annotated[
    bool, typer.Option("--block-writers", help="Change the table even if MySQL blocks its writers meanwhile.")
]
HeartbeatOption = Annotated[
    float, typer.Option("--probe-timeout", metavar="SECONDS", min=1, help="Wait this many seconds for the heartbeat.")
]
SettleOption = Annotated[
    float, _holding("--settle", metavar="SECONDS", min=0, help="Give API Gateway this many seconds to apply the route.")
]
HoldOption = Annotated[
    float, _holding("--hold", metavar="SECONDS", min=1, max=15, help="Hold clients for at most this many seconds.")
]
WarmOption = Annotated[
    int, _holding("--warm", metavar="N", min=0, max=200, help="Start N instances of gate and writer first.")
]
