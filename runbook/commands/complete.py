"""`runbook complete`."""

from typing import Annotated

from rich.markup import escape
from typer import Option

from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands._options import (
    BlockWritersOption,
    EntityOption,
    ExecuteOption,
    HeartbeatOption,
    TakeOverOption,
    YesOption,
)
from runbook.commands._plan import acting, choices_given, show_plan, show_result
from runbook.commands._session import Session, with_session
from runbook.cutover import complete as service
from runbook.cutover.command import Completion
from runbook.cutover.complete import Afterwards
from runbook.cutover.steps import Choices

MEANING = (
    "`complete` removes streamback from the legacy table of {entity} and cannot be undone. Reads and writes stay on modern. "
    "The bridge, the fence and the triggers are removed. The legacy table keeps its rows as they are at that moment "
    "and is [bold]no longer updated[/]. {writers}, and `rollback` is refused."
)
REFUSED = "Three triggers refuse every write to it, except TRUNCATE and DDL"
NOT_STOPPED = (
    "Writers to it are [bold]no longer stopped, and what they write reaches no system[/] "
    "(--leave-read-only refuses their writes)"
)
READ_ONLY = (
    "The legacy table is read-only: writers to it get an error. TRUNCATE and DDL are not stopped. MySQL drops one trigger a "
    "statement; this line lets writers in again:"
)
ENDED = (
    "{entity} is complete. Reads and writes stay on modern. The legacy table has the columns that it had before "
    "`runbook init`, and is no longer updated. `cutover`, `rollback` and `copy start` are refused from here on."
)
LEGACY = (
    "Keep the legacy part, because the program deploys modern beside legacy. Keep Aurora for as long as you want its "
    "rows: with `streamback:minCapacity: 0` it pauses, and costs its storage only."
)
PROTECTED = (
    "In production the quarantine table and the failure bucket are protected. Both are empty: run "
    "`pulumi state unprotect` and remove the table's deletion protection first."
)


ReadOnlyOption = Annotated[
    bool | None,
    Option(
        "--leave-read-only/--leave-writable",
        help="Refuse writes to the legacy table from then on.",
        show_default="on in production",
    ),
]


@with_session
def complete(
    session: Session,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    leave_read_only: ReadOnlyOption = None,
    block_writers: BlockWritersOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    probe_timeout: HeartbeatOption = heartbeat.TIMEOUT,
) -> None:
    """Remove streamback from Aurora. Cannot be undone.

    Stops the bridge and removes triggers, invisible columns, helper tables and the bridge's user. Legacy tables keep their rows and are no longer updated. Traffic stays on modern.

    A legacy writer that still exists would be acknowledged, and its write would reach no other system. --leave-read-only leaves three triggers that refuse writes. Run it again with either option to add or drop them.

    Needs phase modern, all reads on modern and nothing left to apply.

    Prints the plan; --execute acts.
    """
    session = session.taking_over(take_over, execute=execute)
    choices = Choices(timeout=probe_timeout, block_writers=block_writers)
    completion = Completion(session.context, session.context.target.entity(entity), choices, leave_read_only)
    options = [*choices_given(choices), *_given(leave_read_only)]
    if not execute:
        if not session.as_json:
            _print_meaning(session, completion)
        show_plan(session, completion, options)
        return
    session.confirm(acting(session, completion, options), yes)
    result = completion.execute()
    afterwards = service.afterwards(session.context)
    sql = service.writable_by(session.context, completion.entity)
    more = {"read_only": bool(sql), "writable_by": sql}
    show_result(session, completion, result, afterwards=_output.plain(afterwards), **more)
    if not session.as_json:
        _print(completion.entity.name, afterwards)
        _print_access(sql)


def _given(leave_read_only: bool | None) -> list[str]:
    if leave_read_only is None:
        return []
    return ["--leave-read-only" if leave_read_only else "--leave-writable"]


def _print_meaning(session: Session, completion: Completion) -> None:
    name = completion.entity.name
    stopped = completion.read_only(session.context.journal.state(name))
    _output.line(MEANING.format(entity=escape(name), writers=REFUSED if stopped else NOT_STOPPED))


def _print_access(sql: str) -> None:
    """How to let legacy's writers in again."""
    if sql:
        _output.line(f"\n{READ_ONLY}\n")
        _output.out().print(sql, markup=False, highlight=False, soft_wrap=True)


def _print(entity: str, left: Afterwards) -> None:
    """The settings for the next `pulumi up`."""
    setting = escape(f"{left.setting}: [{', '.join(left.value)}]")
    _output.line(ENDED.format(entity=escape(entity)))
    if left.waiting:
        waiting = escape(", ".join(left.waiting))
        _output.line(f"The bridge stays deployed for {waiting}. When these are complete, set `{setting}`.")
        return
    _output.line(f"Remove the bridge, copy and the gate with this setting and `pulumi up`:\n\n  {setting}\n")
    if left.protected:
        _output.line(PROTECTED)
    _output.line(LEGACY)
