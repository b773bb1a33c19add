"""`runbook history`."""

from collections.abc import Sequence
from typing import Annotated

from rich.markup import escape
from typer import Option

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.commands._options import EntitiesOption
from runbook.commands._session import Session, with_session
from runbook.journal.state import Event
from runbook.stack import Context

SECOND = len("2026-01-31T12:00:00")  # characters of a moment up to its second
LimitOption = Annotated[
    int, Option("--limit", metavar="N", min=1, max=1000, help="Show at most N events, newest first.")
]


@with_session
def history(session: Session, entity: EntitiesOption = None, limit: LimitOption = 50) -> None:
    """List who did what, when, and the result. Times are UTC."""
    context = session.context
    found = newest(context, context.target.chosen(entity), limit)
    if session.as_json:
        _output.document({"events": found})
        return
    table = _output.table("when", "entity", "command and operator", "result")
    for event in found:
        when = event.at[:SECOND].replace("T", " ")
        who = event.operator.rpartition(":")[2]  # an ARN without its account
        command = f"{escape(event.command)}\n[dim]{escape(who)}[/]"
        table.add_row(when, escape(event.entity), command, escape(_result(event)))
    _output.keep_keys(table, "when")
    _output.out().print(table)


def newest(context: Context, entities: Sequence[EntityTarget], limit: int) -> list[Event]:
    """The newest `limit` events of these entities together, newest first."""
    found = [event for entity in entities for event in context.journal.events(entity.name, limit)]
    return sorted(found, key=lambda event: event.at, reverse=True)[:limit]


def _result(event: Event) -> str:
    keys = event.details.get("keys", ()) if event.result.startswith("dropping") else ()
    detail = event.details.get("reason") or ", ".join(map(str, keys))
    return f"{event.result}: {detail}" if detail else event.result
