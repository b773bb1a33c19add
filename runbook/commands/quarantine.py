"""`runbook quarantine`: list, show, replay, drop."""

import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from runbook import render
from runbook.context import Context
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.options import (
    ExecuteOption,
    JsonOption,
    OutputsOption,
    StackOption,
    YesOption,
    complete_entity,
)
from runbook.rendering import quarantine as rendering
from runbook.services.quarantine import Intent, Quarantine
from runbook.session import confirm, opened
from runbook.settling import Outcome

app = typer.Typer(
    no_args_is_help=True,
    help="What the bridge could not apply: look at it, bring both sides together, or forget it.",
)

SomeEntitiesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--entity",
        metavar="NAME",
        help="Only this entity; may be given again. All of them by default.",
        autocompletion=complete_entity,
    ),
]
KeysArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys, as `quarantine list` shows them.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every entry, instead of naming keys.")]


@app.command("list")
def list_(
    keys: KeysArgument = None,
    entity: SomeEntitiesOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is parked, oldest first, with its reason.

    From the quarantine table, where the bridge puts what can never be applied as it is, and from the failure
    bucket, where the stream mapping puts what it gave up. Changes nothing.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        found = [entry for one in _quarantines(context, entity) for entry in one.entries(keys or ())]
        if as_json:
            render.document({"entries": [rendering.document(entry) for entry in found]})
        else:
            rendering.entries(found)


@app.command()
def show(  # noqa: PLR0913, PLR0917  # each is an option of the command
    keys: KeysArgument = None,
    everything: AllOption = False,
    entity: SomeEntitiesOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show entries with both sides as they are now.

    And what replay would do. Fields that entities.toml masks show no value. Changes nothing.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        wanted = _wanted(keys, everything=everything)
        found = [one for each in _quarantines(context, entity) for one in each.exhibit(wanted)]
        missing = [key for key in wanted if key not in {one.intent.entry.key for one in found}]
        if missing:
            raise PreconditionError(
                f"not in quarantine: {', '.join(missing)}", "See `runbook quarantine list`."
            )
        if as_json:
            render.document({"entries": [rendering.exhibited(one) for one in found]})
        else:
            rendering.exhibits(found)


@app.command()
def replay(  # noqa: PLR0913, PLR0917  # each is an option of the command
    keys: KeysArgument = None,
    everything: AllOption = False,
    entity: SomeEntitiesOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring both sides of what is parked together.

    Never by the old change: what is the source of truth in the present phase is read as it is now, and the other
    side is written. What fails again stays, with its new reason (exit 1). Refused while a switch is under way.
    Shows the plan; --execute acts.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        wanted, chosen = _wanted(keys, everything=everything), _quarantines(context, entity)
        act = _act("replay", wanted, entity, stack, outputs)
        if not execute:
            _plan([intent for one in chosen for intent in one.plan(wanted)], "replay", act, as_json=as_json)
            return
        confirm(context, act, yes, as_json=as_json)
        _perform(chosen, lambda one: one.replay(wanted), as_json=as_json)


@app.command()
def drop(  # noqa: PLR0913, PLR0917  # each is an option of the command
    keys: KeysArgument = None,
    everything: AllOption = False,
    entity: SomeEntitiesOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget what is parked, without applying it.

    Both sides stay as they are, so they may differ: `runbook verify` tells. The history keeps what was dropped.
    Shows the plan; --execute acts.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        wanted, chosen = _wanted(keys, everything=everything), _quarantines(context, entity)
        act = _act("drop", wanted, entity, stack, outputs)
        if not execute:
            found = [entry for one in chosen for entry in one.entries(wanted)]
            intents = [Intent(entry=entry, action=None, refused="forget it") for entry in found]
            _plan(intents, "drop", act, as_json=as_json)
            return
        confirm(context, act, yes, as_json=as_json)
        _perform(chosen, lambda one: one.drop(wanted), as_json=as_json)


def _quarantines(context: Context, entities: Sequence[str] | None) -> list[Quarantine]:
    target = context.target
    chosen = [target.entity(name) for name in dict.fromkeys(entities or ())] or target.chosen(None)
    return [Quarantine(context, one) for one in chosen]


def _wanted(keys: Sequence[str] | None, *, everything: bool) -> list[str]:
    """The keys asked for; none of them stands for all."""
    if bool(keys) == everything:
        raise UsageError(
            "keys and --all exclude each other" if keys else "which entries?",
            "Name their keys, or say --all.",
        )
    return list(keys or ())


def _plan(found: Sequence[Intent], what: str, act: str, *, as_json: bool) -> None:
    if as_json:
        render.document({"executed": False, "entries": [rendering.planned(intent) for intent in found]})
    else:
        rendering.plan(found, what, act)


def _perform(
    chosen: Sequence[Quarantine], act: Callable[[Quarantine], list[Outcome]], *, as_json: bool
) -> None:
    found = [outcome for one in chosen for outcome in act(one)]
    stay = sum(not outcome.settled for outcome in found)
    if as_json:
        render.document({"executed": True, "settled": len(found) - stay, "stay": stay, "entries": found})
        raise typer.Exit(FailedError.exit_code if stay else 0)
    rendering.outcomes(found)
    if stay:
        raise FailedError(
            f"{stay} of {len(found)} stay in quarantine",
            "Mend the record or its column, then replay again; or `runbook quarantine drop`.",
        )


def _act(
    verb: str, keys: Sequence[str], entities: Sequence[str] | None, stack: str | None, outputs: Any
) -> str:
    words = ["runbook", "quarantine", verb, *(keys or ["--all"])]
    words += [word for name in entities or () for word in ("--entity", name)]
    words += ["--stack", stack] if stack else ["--outputs", str(outputs)] if outputs else []
    return shlex.join([*words, "--execute"])
