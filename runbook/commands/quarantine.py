"""`runbook quarantine list|show|replay|drop`."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape

from runbook.aws.outputs import EntityTarget
from runbook.commands import _entities, _output
from runbook.commands._entities import Several
from runbook.commands._options import EntityNamesOption, ExecuteOption, TakeOverOption, YesOption
from runbook.commands._session import Session, with_session
from runbook.errors import FailedError, PreconditionError, UsageError
from runbook.quarantine.actions import EntityQuarantine, EntryPlan, EntryView, bridged
from runbook.quarantine.entry import Entry
from runbook.quarantine.resolve import Resolution
from runbook.stack import Context

Answer = TypeVar("Answer")
LONGEST_VALUE = 200  # characters
ROWS = 50  # of a table

app = typer.Typer(no_args_is_help=True, help="Show, replay or drop changes that the bridge could not apply.")

KeysArgument = Annotated[
    list[str] | None, typer.Argument(metavar="KEY", help="Keys, as `quarantine list` prints them.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Select every entry, instead of naming keys.")]


@app.command("list")
@with_session
def list_(session: Session, keys: KeysArgument = None, entity: EntityNamesOption = None) -> None:
    """List entries with their reasons, oldest first.

    Changes nothing. Shows the quarantine table, where the bridge puts changes that it cannot apply, and the failure bucket with the dead-lettered batches of the stream mapping.
    """
    found = _each(session, entity, lambda one: one.entries(keys or ()), _idle(session.context, entity), None)
    entries = [entry for some in found.done for entry in some]
    if session.as_json:
        _output.document({"entries": [_entry_document(entry) for entry in entries], **found.document()})
    else:
        _print_entries(entries)
    found.end(as_json=session.as_json)


@app.command()
@with_session
def show(
    session: Session, keys: KeysArgument = None, everything: AllOption = False, entity: EntityNamesOption = None
) -> None:
    """Show entries with both sides as they are now.

    Changes nothing. Also shows what replay would do. Fields that entities.toml masks show no value.
    """
    wanted = _wanted(session.context, entity, keys, everything=everything)
    skip, see = _idle(session.context, entity, wanted), None if session.as_json else _print_views
    found = _each(session, entity, lambda one: one.views(wanted), skip, see)
    if session.as_json:
        views = [
            {**_plan_document(one.plan), "fields": _output.plain(list(one.fields))}
            for some in found.done
            for one in some
        ]
        _output.document({"entries": views, **found.document()})
    found.end(as_json=session.as_json)


@app.command()
@with_session
def replay(
    session: Session,
    keys: KeysArgument = None,
    everything: AllOption = False,
    entity: EntityNamesOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
) -> None:
    """Bring both sides of an entry together.

    Never applies the old change. Reads the source of truth of the present phase and writes the other side. What fails again stays, with its new reason (exit 1).

    Refused during a switch. Prints the plan; --execute acts.
    """
    session = session.taking_over(take_over, execute=execute)
    wanted = _wanted(session.context, entity, keys, everything=everything)
    act = _act(session, "replay", wanted, entity)
    each = partial(_each, session, entity, skip=_idle(session.context, entity, wanted, replaying=True))
    if not execute:
        _end_plan(session, each(lambda one: one.plan(wanted), show=_shown_later(session)), "replay", act)
        return
    session.confirm(act, yes)
    _end(session, each(lambda one: one.replay(wanted), show=_shown_at_once(session)))


@app.command()
@with_session
def drop(
    session: Session,
    keys: KeysArgument = None,
    everything: AllOption = False,
    entity: EntityNamesOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
) -> None:
    """Remove entries without applying them.

    Both sides stay as they are and may differ, which `runbook verify` shows. The history keeps the keys.

    Prints the plan; --execute acts.
    """
    session = session.taking_over(take_over, execute=execute)
    wanted = _wanted(session.context, entity, keys, everything=everything)
    act = _act(session, "drop", wanted, entity)
    each = partial(_each, session, entity, skip=_idle(session.context, entity, wanted))
    if not execute:
        _end_plan(session, each(lambda one: _to_drop(one, wanted), show=_shown_later(session)), "drop", act)
        return
    session.confirm(act, yes)
    _end(session, each(lambda one: one.drop(wanted), show=_shown_at_once(session)))


def _to_drop(one: EntityQuarantine, keys: Sequence[str]) -> list[EntryPlan]:
    return [EntryPlan(entry=entry, action=None, refused="remove the entry") for entry in one.entries(keys)]


def _each(
    session: Session,
    entities: list[str] | None,
    act: Callable[[EntityQuarantine], Answer],
    skip: Callable[[EntityTarget], str],
    show: Callable[[Answer], None] | None,
) -> Several[Answer]:
    context = session.context
    return _entities.each(context.target.several(entities), lambda one: act(EntityQuarantine(context, one)), skip, show)


def _shown_later(session: Session) -> Callable[[object], None] | None:
    """A plan is printed at the end, as one; only entities that are left out are printed at once."""
    return None if session.as_json else lambda _: None


def _shown_at_once(session: Session) -> Callable[[Sequence[Resolution]], None] | None:
    return None if session.as_json else _print_resolutions


def _idle(
    context: Context, entities: list[str] | None, keys: Sequence[str] = (), *, replaying: bool = False
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


def _wanted(context: Context, entities: list[str] | None, keys: Sequence[str] | None, *, everything: bool) -> list[str]:
    """The keys asked for; none of them stands for all.

    Raises:
        UsageError: neither keys nor all, or both.
        PreconditionError: some key is not in quarantine, so it may be mistyped.
    """
    if bool(keys) == everything:
        problem = "keys and --all exclude each other" if keys else "no entry is selected"
        raise UsageError(problem, "Name keys, or give --all.")
    wanted = list(keys or ())
    chosen = [EntityQuarantine(context, one) for one in context.target.several(entities) if bridged(context, one)]
    there = {entry.key for one in chosen if wanted for entry in one.entries(wanted)}
    if missing := [key for key in wanted if key not in there]:
        raise PreconditionError(f"not in quarantine: {', '.join(missing)}", "Run `runbook quarantine list`.")
    return wanted


def _act(session: Session, verb: str, keys: Sequence[str], entities: list[str] | None) -> str:
    named = [word for name in entities or () for word in ("--entity", name)]
    return session.command_line("quarantine", verb, *(keys or ["--all"]), *named, "--execute")


def _end_plan(session: Session, found: Several[list[EntryPlan]], what: str, act: str) -> None:
    plans = [plan for some in found.done for plan in some]
    if session.as_json:
        entries = [_plan_document(plan) for plan in plans]
        _output.document({"executed": False, "entries": entries, **found.document()})
    else:
        _print_plan(plans, what, act)
    found.end(as_json=session.as_json)


def _end(session: Session, found: Several[list[Resolution]]) -> None:
    resolutions = [one for some in found.done for one in some]
    stay = sum(not one.resolved for one in resolutions)
    if session.as_json:
        counts = {"resolved": len(resolutions) - stay, "stay": stay, "entries": resolutions}
        _output.document({"executed": True, **counts, **found.document()})
    elif stay:
        remedy = "Correct the record or its column and replay again, or run `runbook quarantine drop`."
        _output.error(FailedError(f"{stay} of {len(resolutions)} stay in quarantine", remedy))
    found.end(as_json=session.as_json, code=FailedError.exit_code if stay else 0)


def _print_entries(found: Sequence[Entry]) -> None:
    if not found:
        _output.line("The quarantine is empty.")
        return
    table = _output.table("entity", "key", "change and reason")
    for entry in found[:ROWS]:
        reason = f"{entry.code}: {entry.reason}" if entry.code else entry.reason
        change = f"[dim]{escape(f'{entry.kind} {entry.at}')}[/]\n{escape(reason)}"
        table.add_row(escape(entry.entity), escape(entry.key), change)
    _output.keep_keys(table, "key")
    _output.rows(table, min(len(found), ROWS), len(found))


def _print_views(found: Sequence[EntryView]) -> None:
    """Each entry with all that is known of it, and its fields on both sides."""
    for one in found:
        entry = one.plan.entry
        facts = {name: escape(value) for name, value in _facts(entry, one.plan).items() if value}
        _output.facts(f"{entry.entity} {entry.key}", facts)
        if one.fields:
            table = _output.table("field", "legacy now", "modern now")
            for pair in one.fields:
                mark = "" if pair.same else "[red]"
                table.add_row(escape(pair.field), *(mark + _value(each) for each in (pair.legacy, pair.modern)))
            _output.out().print(table)
        _output.line("")


def _facts(entry: Entry, plan: EntryPlan) -> dict[str, str]:
    return {
        "change": entry.kind.value,
        "reason": entry.reason,
        "error code": str(entry.code) if entry.code else "none",
        "quarantined": entry.at or "unknown",
        "sequence": str(entry.sequence),
        "where": ", ".join([*(["table"] if entry.noted else []), *entry.objects]),
        "replay would": plan.action.value if plan.action else f"be refused: {plan.refused}",
    }


def _value(found: Any) -> str:
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return escape(text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)")


def _print_plan(found: Sequence[EntryPlan], what: str, act: str) -> None:
    if not found:
        _output.line("Nothing to do: it is not in quarantine.")
        return
    table = _output.table("entity", "key", what)
    for plan in found[:ROWS]:
        does = plan.action.value if plan.action else plan.refused or what
        table.add_row(*map(escape, (plan.entry.entity, plan.entry.key, does)))
    _output.rows(table, min(len(found), ROWS), len(found))
    _output.line(f"Nothing has changed. Act with: {escape(act)}")


def _print_resolutions(found: Sequence[Resolution]) -> None:
    """What became of each entry; those that stay come first."""
    if not found:
        _output.line("Nothing to do: it is not in quarantine.")
        return
    table = _output.table("", "entity", "key", "result")
    for one in sorted(found, key=lambda one: one.resolved)[:ROWS]:
        says = one.says if one.resolved else f"stays: {one.says}"
        table.add_row(_output.MARKS[one.resolved], *map(escape, (one.entity, one.key, says)))
    _output.keep_keys(table, "key")
    _output.rows(table, min(len(found), ROWS), len(found))


def _entry_document(entry: Entry) -> dict[str, Any]:
    """An entry as one JSON value; its sequence is text, because it has more digits than JSON's numbers."""
    return {
        "entity": entry.entity,
        "key": entry.key,
        "kind": entry.kind.value,
        "reason": entry.reason,
        "code": entry.code,
        "sequence": str(entry.sequence),
        "stream": entry.stream,
        "at": entry.at,
        "table": entry.noted is not None,
        "objects": list(entry.objects),
    }


def _plan_document(plan: EntryPlan) -> dict[str, Any]:
    return {
        **_entry_document(plan.entry),
        "action": plan.action.name.lower() if plan.action else None,
        "does": plan.action.value if plan.action else "",
        "refused": plan.refused,
    }
