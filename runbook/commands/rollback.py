"""`runbook rollback`."""

from typing import Annotated

import typer
from rich.markup import escape

from functions.domain.phase import Phase
from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands._options import (
    HOLDING,
    DryRunOption,
    EntityOption,
    ExecuteOption,
    HeartbeatOption,
    HoldOption,
    ReadsStayOption,
    SettleOption,
    TakeOverOption,
    WarmOption,
    YesOption,
    refuse_both,
    refuse_given,
)
from runbook.commands._plan import perform
from runbook.commands._session import Session, with_session
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import Choices, OperationKind

ScopeArgument = Annotated[Scope, typer.Argument(help="What to send back to legacy.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Switch at once, when modern is down.")]
FenceOption = Annotated[
    bool, typer.Option("--fence-modern", help="Refuse all writes of the modern table during the rollback.")
]
LATE = (
    "{entity}'s modern functions are not streamback's: what writes to {table} without asking the gate is not stopped. "
    "What it writes after the last drain does not reach Aurora: it is a conflict. `runbook quarantine list` and "
    "`runbook verify` show it. --fence-modern refuses such writes instead."
)


@with_session
def rollback(
    session: Session,
    command: typer.Context,
    scope: ScopeArgument = Scope.BOTH,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    fence_modern: FenceOption = False,
    reads_stay: ReadsStayOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    probe_timeout: HeartbeatOption = heartbeat.TIMEOUT,
    settle: SettleOption = Choices.propagation_wait,
    hold: HoldOption = Choices.hold,
    warm: WarmOption = Choices.warm,
) -> None:
    """Send reads, writes or both back to legacy.

    Pauses writes until the bridge has applied every change to Aurora, then switches. Copy continues, so the next cutover needs no new backfill.

    `rollback writes` needs all reads on legacy already. With --reads-stay reads may stay on modern: a client then reads its own write only after copy's lag.

    --force does not wait for the bridge, which continues. Its late changes never overwrite what legacy has written since: they are quarantined as conflicts.

    --fence-modern adds a policy to the modern table. It refuses every write but copy's and the runbook's, also of writers that do not ask the gate. The policy that was there is restored at the end.

    --settle, --hold and --warm are refused for `reads` and with --force, because no client waits. --probe-timeout is refused with --force.

    Prints the plan; --execute acts.
    """
    refuse_both(execute, dry_run)
    session = session.taking_over(take_over, execute=execute)
    if force:
        refuse_given(command, ("--probe-timeout", "--fence-modern", *HOLDING), "with --force, which waits for nothing")
    if scope == Scope.READS:
        refuse_given(command, ("--fence-modern", *HOLDING), "for reads, because no client waits")
    if scope != Scope.WRITES:
        refuse_given(command, ("--reads-stay",), f"for {scope}, because reads move")
    choices = Choices(
        timeout=probe_timeout,
        propagation_wait=settle,
        hold=hold,
        warm=warm,
        force=force,
        fence_modern=fence_modern,
        reads_stay=reads_stay,
    )
    switch = Switch(session.context, session.context.target.entity(entity), OperationKind.ROLLBACK, scope, choices)
    if scope != Scope.READS and not fence_modern:
        _announce_late_writes(session, switch)
    perform(session, switch, choices, execute=execute, yes=yes)


def _announce_late_writes(session: Session, switch: Switch) -> None:
    """Before anything moves, where writers of modern may not know the gate."""
    context, entity = session.context, switch.entity
    modern = context.journal.state(entity.name).phase == Phase.MODERN
    if modern and context.target.mapping[entity.name].contract is not None:
        text = LATE.format(entity=entity.name, table=entity.modern_table)
        _output.err().print(f"[yellow]{escape(text)}[/]")
