"""`runbook rollback`."""

from typing import Annotated

import typer

from runbook.checks import heartbeat
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


@with_session
def rollback(
    session: Session,
    command: typer.Context,
    scope: ScopeArgument = Scope.BOTH,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
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

    --settle, --hold and --warm are refused for `reads` and with --force, because no client waits. --probe-timeout is refused with --force.

    Prints the plan; --execute acts.
    """
    refuse_both(execute, dry_run)
    session = session.taking_over(take_over, execute=execute)
    if force:
        refuse_given(command, ("--probe-timeout", *HOLDING), "with --force, which waits for nothing")
    if scope == Scope.READS:
        refuse_given(command, HOLDING, "for reads, because no client waits")
    if scope != Scope.WRITES:
        refuse_given(command, ("--reads-stay",), f"for {scope}, because reads move")
    choices = Choices(
        timeout=probe_timeout, propagation_wait=settle, hold=hold, warm=warm, force=force, reads_stay=reads_stay
    )
    switch = Switch(session.context, session.context.target.entity(entity), OperationKind.ROLLBACK, scope, choices)
    perform(session, switch, choices, execute=execute, yes=yes)
