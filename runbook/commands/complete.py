"""`runbook complete`."""

from rich.markup import escape

from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands._options import EntityOption, ExecuteOption, HeartbeatOption, YesOption
from runbook.commands._plan import acting, choices_given, show_plan, show_result
from runbook.commands._session import Session, with_session
from runbook.cutover import complete as service
from runbook.cutover.command import Completion
from runbook.cutover.complete import Afterwards
from runbook.cutover.steps import Choices

MEANING = (
    "`complete` removes streamback from the legacy table of {entity} and cannot be undone. Reads and writes stay on modern. "
    "The bridge, the fence and the triggers are removed. The legacy table keeps its rows as they are at that moment "
    "and is [bold]no longer updated[/]. Writers to it are no longer stopped, and `rollback` is refused."
)
ENDED = (
    "{entity} is complete. Reads and writes stay on modern. The legacy table has the shape that it had before "
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


@with_session
def complete(
    session: Session,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    probe_timeout: HeartbeatOption = heartbeat.TIMEOUT,
) -> None:
    """Remove streamback from Aurora. Cannot be undone.

    Stops the bridge and removes triggers, invisible columns, helper tables and the bridge's user. Legacy tables keep their rows and are no longer updated. Traffic stays on modern.

    Needs phase modern, all reads on modern and nothing left to apply.

    Prints the plan; --execute acts.
    """
    choices = Choices(timeout=probe_timeout)
    completion = Completion(session.context, session.context.target.entity(entity), choices)
    options = choices_given(choices)
    if not execute:
        if not session.as_json:
            _output.line(MEANING.format(entity=escape(completion.entity.name)))
        show_plan(session, completion, options)
        return
    session.confirm(acting(session, completion, options), yes)
    result = completion.execute()
    afterwards = service.afterwards(session.context)
    show_result(session, completion, result, afterwards=_output.plain(afterwards))
    if not session.as_json:
        _print(completion.entity.name, afterwards)


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
