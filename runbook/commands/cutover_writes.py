"""`runbook cutover writes` and `runbook rollback`."""

from typing import Annotated

import typer

from runbook.checks import heartbeat
from runbook.commands import _given
from runbook.commands._options import (
    DryRunOption,
    EntityOption,
    ExecuteOption,
    JsonOption,
    OutputsOption,
    PatienceOption,
    StackOption,
    YesOption,
)
from runbook.commands._plan import Asked, perform
from runbook.commands._session import opened
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import Choices, OperationKind
from runbook.errors import UsageError

HowOption = "How clients are held"
HOLDING = ("--settle", "--hold", "--warm")
SettleOption = Annotated[
    float,
    typer.Option(
        "--settle",
        metavar="SECONDS",
        min=0,
        help="How long API Gateway gets to spread the route to the gate.",
        rich_help_panel=HowOption,
    ),
]
HoldOption = Annotated[
    float,
    typer.Option(
        "--hold",
        metavar="SECONDS",
        min=1,
        max=15,
        help="How long clients may be held before everything is put back.",
        rich_help_panel=HowOption,
    ),
]
WarmOption = Annotated[
    int,
    typer.Option(
        "--warm",
        metavar="N",
        min=0,
        max=200,
        help="Instances of gate and writer to have ready: writes a second times the seconds they are held.",
        rich_help_panel=HowOption,
    ),
]


def cutover_writes(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = None,
    probe_timeout: PatienceOption = heartbeat.TIMEOUT,
    settle: SettleOption = Choices.propagation_wait,
    hold: HoldOption = Choices.hold,
    warm: WarmOption = Choices.warm,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send public writes to modern.

    Copy must have caught up and both sides must have been found equal. Writes are held for a moment, the fence in
    Aurora stops everybody else, the last rows are copied and compared, and what was held goes to modern. DynamoDB
    is the source of truth from then on, and the bridge keeps Aurora true for the way back. Whatever fails before
    that moment puts everything back (exit 4). Shows the plan with the value of every gate; --execute acts.
    """
    choices = Choices(timeout=probe_timeout, propagation_wait=settle, hold=hold, warm=warm)
    asked = Asked(execute=execute, yes=yes, as_json=as_json, stack=stack, outputs=outputs, options=_words(choices))
    with opened(stack, outputs, as_json=as_json) as context:
        exclusive(execute, dry_run)
        switch = Switch(context, context.target.entity(entity), OperationKind.CUTOVER, Scope.WRITES, choices)
        perform(context, switch, asked)


def rollback(  # noqa: PLR0913, PLR0917  # each is an option of the command
    command: typer.Context,
    scope: Annotated[Scope, typer.Argument(help="What returns to legacy.")] = Scope.BOTH,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="When modern is down: do not wait for the bridge. It goes on by itself; what it applies late never "
            "overwrites what legacy has written since, such a pair is quarantined as a conflict.",
        ),
    ] = False,
    yes: YesOption = None,
    probe_timeout: PatienceOption = heartbeat.TIMEOUT,
    settle: SettleOption = Choices.propagation_wait,
    hold: HoldOption = Choices.hold,
    warm: WarmOption = Choices.warm,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send reads, writes or both back to legacy.

    Writes are held for a moment, until the bridge has applied every change that the stream has; then the fence
    comes down and what was held goes to legacy. Copy goes on from there, so that the next cutover needs no new
    backfill. Shows the plan with the value of every gate; --execute acts.

    --settle, --hold and --warm are for a wait of clients: there is none with `reads` or --force, and so they are
    refused with either; --probe-timeout with --force, which waits for nothing.
    """
    choices = Choices(timeout=probe_timeout, propagation_wait=settle, hold=hold, warm=warm, force=force)
    asked = Asked(execute=execute, yes=yes, as_json=as_json, stack=stack, outputs=outputs, options=_words(choices))
    with opened(stack, outputs, as_json=as_json) as context:
        exclusive(execute, dry_run)
        if force:
            _given.refuse(command, ("--probe-timeout", *HOLDING), "with --force, which waits for nothing")
        if scope == Scope.READS:
            _given.refuse(command, HOLDING, "for reads: nobody is held")
        perform(context, Switch(context, context.target.entity(entity), OperationKind.ROLLBACK, scope, choices), asked)


def exclusive(execute: bool, dry_run: bool) -> None:
    """Refuse both at once."""
    if execute and dry_run:
        raise UsageError("--execute and --dry-run exclude each other", "Give one of them.")


def _words(choices: Choices) -> tuple[str, ...]:
    """The options that differ from their defaults, as typed."""
    named = {"--probe-timeout": "timeout", "--settle": "propagation_wait", "--hold": "hold", "--warm": "warm"}
    return tuple(
        f"{option} {getattr(choices, name):g}"
        for option, name in named.items()
        if getattr(choices, name) != getattr(Choices, name)
    )
