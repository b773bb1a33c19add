"""`runbook quarantine`: list, show, replay, drop."""

import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from runbook.aws.outputs import EntityTarget
from runbook.commands import _entities, _output
from runbook.commands import rendering_quarantine as rendering
from runbook.commands._entities import Several
from runbook.commands._options import (
    ExecuteOption,
    JsonOption,
    OutputsOption,
    StackOption,
    YesOption,
    complete_entity,
)
from runbook.commands._session import confirm, opened
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.quarantine.actions import EntityQuarantine, EntryPlan, bridged
from runbook.quarantine.resolve import Resolution
from runbook.stack import Context

Answer = TypeVar("Answer")

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
        found = _each(context, entity, lambda one: one.entries(keys or ()), _idle(context, entity), None)
        entries = [entry for some in found.done for entry in some]
        if as_json:
            _output.document({"entries": [rendering.document(entry) for entry in entries], **found.document()})
        else:
            rendering.entries(entries)
        found.end(as_json=as_json)


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
        wanted = _wanted(context, entity, keys, everything=everything)
        skip, see = _idle(context, entity, wanted), None if as_json else rendering.exhibits
        found = _each(context, entity, lambda one: one.views(wanted), skip, see)
        if as_json:
            exhibits = [rendering.exhibited(one) for some in found.done for one in some]
            _output.document({"entries": exhibits, **found.document()})
        found.end(as_json=as_json)


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
        wanted = _wanted(context, entity, keys, everything=everything)
        act, skip = (
            _act("replay", wanted, entity, stack, outputs),
            _idle(context, entity, wanted, replaying=True),
        )
        if not execute:
            see = None if as_json else _nothing
            found = _each(context, entity, lambda one: one.plan(wanted), skip, see)
            _plan(found, "replay", act, as_json=as_json)
            return
        confirm(context, act, yes, as_json=as_json)
        see = None if as_json else rendering.outcomes
        _end(_each(context, entity, lambda one: one.replay(wanted), skip, see), as_json=as_json)


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
        wanted = _wanted(context, entity, keys, everything=everything)
        act, skip = _act("drop", wanted, entity, stack, outputs), _idle(context, entity, wanted)
        if not execute:
            see = None if as_json else _nothing
            _plan(
                _each(context, entity, lambda one: _forgotten(one, wanted), skip, see),
                "drop",
                act,
                as_json=as_json,
            )
            return
        confirm(context, act, yes, as_json=as_json)
        see = None if as_json else rendering.outcomes
        _end(_each(context, entity, lambda one: one.drop(wanted), skip, see), as_json=as_json)


def _forgotten(one: EntityQuarantine, keys: Sequence[str]) -> list[EntryPlan]:
    return [EntryPlan(entry=entry, action=None, refused="forget it") for entry in one.entries(keys)]


def _chosen(context: Context, entities: Sequence[str] | None) -> list[EntityTarget]:
    return context.target.several(list(entities) if entities else None)


def _each(
    context: Context,
    entities: Sequence[str] | None,
    act: Callable[[EntityQuarantine], Answer],
    skip: Callable[[EntityTarget], str],
    show: Callable[[Answer], None] | None,
) -> Several[Answer]:
    chosen = _chosen(context, entities)
    return _entities.each(chosen, lambda one: act(EntityQuarantine(context, one)), skip, show)


def _idle(
    context: Context, entities: Sequence[str] | None, keys: Sequence[str] = (), *, replaying: bool = False
) -> Callable[[EntityTarget], str]:
    """Why an entity that was not named is left out: it has nothing to act on, or nothing to act with."""

    def why(one: EntityTarget) -> str:
        if entities:
            return ""
        if not bridged(context, one):
            return f"{one.name} has no bridge, and so no quarantine"
        quarantine = EntityQuarantine(context, one)
        found = quarantine.entries(keys)
        if not found:
            return f"{one.name} has nothing {'of that ' if keys else ''}in quarantine"
        if not (replaying and quarantine.complete):
            return ""
        drop = f"`runbook quarantine drop --all --entity {one.name} --execute`"
        return f"{one.name} is complete: its {len(found)} entries can only be dropped: {drop}"

    return why


def _wanted(
    context: Context, entities: Sequence[str] | None, keys: Sequence[str] | None, *, everything: bool
) -> list[str]:
    """The keys asked for; none of them stands for all.

    Raises:
        UsageError: neither keys nor all, or both.
        PreconditionError: some key is not in quarantine, so it may be mistyped.
    """
    if bool(keys) == everything:
        raise UsageError(
            "keys and --all exclude each other" if keys else "which entries?",
            "Name their keys, or say --all.",
        )
    wanted = list(keys or ())
    chosen = [EntityQuarantine(context, one) for one in _chosen(context, entities) if bridged(context, one)]
    there = {entry.key for one in chosen if wanted for entry in one.entries(wanted)}
    if missing := [key for key in wanted if key not in there]:
        raise PreconditionError(f"not in quarantine: {', '.join(missing)}", "See `runbook quarantine list`.")
    return wanted


def _nothing(_: object) -> None:
    """A plan is shown whole, when all of it is known."""


def _plan(found: Several[list[EntryPlan]], what: str, act: str, *, as_json: bool) -> None:
    intents = [intent for some in found.done for intent in some]
    if as_json:
        planned = [rendering.planned(intent) for intent in intents]
        _output.document({"executed": False, "entries": planned, **found.document()})
    else:
        rendering.plan(intents, what, act)
    found.end(as_json=as_json)


def _end(found: Several[list[Resolution]], *, as_json: bool) -> None:
    outcomes = [outcome for some in found.done for outcome in some]
    stay = sum(not outcome.resolved for outcome in outcomes)
    if as_json:
        told = {"resolved": len(outcomes) - stay, "stay": stay, "entries": outcomes}
        _output.document({"executed": True, **told, **found.document()})
    elif stay:
        remedy = "Mend the record or its column, then replay again; or `runbook quarantine drop`."
        _output.error(FailedError(f"{stay} of {len(outcomes)} stay in quarantine", remedy), as_json=False)
    found.end(as_json=as_json, code=FailedError.exit_code if stay else 0)


def _act(verb: str, keys: Sequence[str], entities: Sequence[str] | None, stack: str | None, outputs: Any) -> str:
    words = ["runbook", "quarantine", verb, *(keys or ["--all"])]
    words += [word for name in entities or () for word in ("--entity", name)]
    words += ["--stack", stack] if stack else ["--outputs", str(outputs)] if outputs else []
    return shlex.join([*words, "--execute"])
