"""`runbook adopt` and `runbook adopt undo`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from typer import Option

from functions.aws.rest_api import VARIABLE, function_uri
from runbook.adopt.changes import AdoptionChange, AdoptionPlan
from runbook.adopt.command import AdoptCommand
from runbook.adopt.undo import AdoptUndo
from runbook.commands import _output
from runbook.commands._options import (
    EntitiesOption,
    ExecuteOption,
    SettleOption,
    TakeOverOption,
    YesOption,
    refuse_given,
)
from runbook.commands._session import Session, with_session
from runbook.cutover.steps import Choices


class AdoptAction(StrEnum):
    """What else than adopting."""

    UNDO = "undo"


UndoArgument = Annotated[AdoptAction | None, typer.Argument(help="Restore everything as it was.", show_default="adopt")]
PendingOption = Annotated[
    bool, Option("--deploy-pending", help="Deploy changes of the API that are not deployed yet, too.")
]


@with_session
def adopt(
    session: Session,
    command: typer.Context,
    undo: UndoArgument = None,
    entity: EntitiesOption = None,
    execute: ExecuteOption = False,
    deploy_pending: PendingOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    settle: SettleOption = Choices.propagation_wait,
) -> None:
    """Make an existing API follow the runbook, or undo that.

    Only for what the setting streamback:adopt names. The integrations of the entity's methods name stage variables from then on, whose first value is the function that answers now. API Gateway may call the modern functions, too. The table's stream is switched on.

    The journal keeps the values before. `runbook adopt undo` restores them, for all entities, each of which must be in phase legacy without copy, or complete. --settle is for undo alone.

    Run it again when another tool has deployed over it: it puts right what differs.

    Prints the plan; --execute acts.
    """
    session = session.taking_over(take_over, execute=execute)
    if undo:
        refuse_given(command, ("--entity",), "with undo, because the entities share the API's deployment")
    else:
        refuse_given(command, ("--settle",), "without undo")
    context = session.context
    work = (
        AdoptUndo(context, settle, pending=deploy_pending)
        if undo
        else AdoptCommand(context, context.target.chosen(entity), pending=deploy_pending)
    )
    words = ["adopt", *(["undo"] if undo else []), *(["--entity", entity] if entity else []), "--execute"]
    act = session.command_line(*words, *(["--deploy-pending"] if deploy_pending else []))
    if execute:
        session.confirm(act, yes)
    plan = work.execute() if execute else work.plan()
    if session.as_json:
        changes = [each.document() for each in plan.changes]
        _output.document({"executed": execute, "undo": undo is not None, "changes": changes, "notes": plan.notes})
        return
    _print(plan, "adopt undo" if undo else "adopt", act, executed=execute)


def _print(plan: AdoptionPlan, what: str, act: str, *, executed: bool) -> None:
    _output.line(f"[bold]{'Done' if executed else 'Plan'}: {what}[/]")
    if plan.changes:
        _table(plan.changes)
    for text in dict.fromkeys(f"{each.kind}: {each.breaks}" for each in plan.changes if each.breaks):
        _output.line(escape(text))
    for text in plan.notes:
        _output.line(escape(text))
    if not plan.changes:
        _output.line("Nothing to do.")
    elif not executed:
        _output.line(f"Nothing has changed. Act with: {escape(act)}")


def _table(changes: Sequence[AdoptionChange]) -> None:
    made = _output.table("", "what", "before", "after")
    for each in changes:
        made.add_row(each.kind, escape(each.name), escape(_short(each.before)), escape(_short(each.after)))
    _output.out().print(made)


def _short(text: str) -> str:
    """The function of a URI, or the method that a permission is for; --json has all of it."""
    if ":execute-api:" in text:
        return text.rpartition(":")[2]
    names = {f"name-of-{found}": f"${{{found}}}" for found in VARIABLE.findall(text)}
    uri = function_uri(VARIABLE.sub(lambda found: f"name-of-{found[1]}", text), {})
    return names.get(uri.name, uri.name) if uri else text or "none"
