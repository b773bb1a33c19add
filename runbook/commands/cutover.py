"""`runbook cutover reads` and `cutover writes`."""

from typing import Annotated

import typer
from rich.markup import escape

from runbook.aws.api_gateway import ALL
from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands._options import (
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
    changed,
    in_panel,
    refuse_both,
)
from runbook.commands._plan import acting, perform, show_plan
from runbook.commands._session import Session, with_session
from runbook.cutover.canary_analysis import CanaryOptions
from runbook.cutover.command import Scope, Switch
from runbook.cutover.reads import Reads, ReadsResult
from runbook.cutover.steps import Choices, OperationKind
from runbook.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Send reads or writes to modern.")

DEFAULTS = CanaryOptions()
WATCHED = {"--watch": "seconds", "--max-errors": "max_errors", "--max-latency": "max_latency"}
_watching = in_panel("Watching modern")
PercentOption = Annotated[
    int, typer.Option("--percent", metavar="N", min=0, max=ALL, help="Send N percent of reads to modern.")
]
DirectOption = Annotated[bool, typer.Option("--direct", help="Then send writes to modern's writer, past the gate.")]
SharedOption = Annotated[bool, typer.Option("--shared", help="Also move the other entities in the canary.")]
WatchOption = Annotated[
    float, _watching("--watch", metavar="SECONDS", min=0, help="Watch modern for this many seconds; 0 for not at all.")
]
ErrorsOption = Annotated[
    float, _watching("--max-errors", metavar="SHARE", min=0, max=1, help="Allow this share of requests to fail.")
]
LatencyOption = Annotated[
    float | None,
    _watching(
        "--max-latency",
        metavar="MS",
        min=1,
        help="Allow a 90th percentile of so many milliseconds.",
        show_default="3 times legacy's, at least 500",
    ),
]


@app.command()
@with_session
def reads(
    session: Session,
    entity: EntityOption = None,
    percent: PercentOption = ALL,
    shared: SharedOption = False,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    watch: WatchOption = DEFAULTS.seconds,
    max_errors: ErrorsOption = DEFAULTS.max_errors,
    max_latency: LatencyOption = None,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    probe_timeout: HeartbeatOption = heartbeat.TIMEOUT,
) -> None:
    """Send public reads to modern, all or a percentage.

    Then watches modern. If too many requests fail or modern is too slow, all reads go back to legacy (exit 4). Ctrl-C ends the watch only: the percentage stays.

    API Gateway's canary has one percentage for all entities in it.

    Prints the plan with every check; --execute acts.
    """
    refuse_both(execute, dry_run)
    session = session.taking_over(take_over, execute=execute)
    watched = CanaryOptions(seconds=watch, max_errors=max_errors, max_latency=max_latency)
    options = changed(watched, DEFAULTS, WATCHED)
    if probe_timeout != heartbeat.TIMEOUT:
        options += ["--probe-timeout", f"{probe_timeout:g}"]
    found = Reads(session.context, session.context.target.entity(entity), percent, shared, watched, probe_timeout)
    if not execute:
        show_plan(session, found, options)
        return
    session.confirm(acting(session, found, options), yes)
    try:
        result = found.execute()
    except KeyboardInterrupt:
        _output.err().print(f"Interrupted. `runbook status --entity {found.entity.name}` shows where reads go now.")
        raise
    if session.as_json:
        _output.document({"entity": found.entity.name, "executed": True, **_output.plain(result)})
    else:
        _print(found.entity.name, result)


def _print(entity: str, result: ReadsResult) -> None:
    _output.resumed(result.resumed)
    what = "done" if result.changed else "nothing to do"
    where = f"phase {result.state.phase}, {result.percent}% of reads on modern, writes → {result.routes.writes}"
    _output.line(f"{result.command} of {escape(entity)}: {what}  ({where})")
    if result.shares_with:
        names = ", ".join(result.shares_with)
        _output.line(escape(f"The API has one percentage, so {names} is in the canary with it."))
    if result.verdict:
        requests = result.verdict.requests
        seconds = f"{result.verdict.seconds:.0f} s"
        _output.line(f"Watched for {seconds}: modern {requests.modern}; legacy {requests.legacy}.")


@app.command()
@with_session
def writes(
    session: Session,
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    reads_stay: ReadsStayOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    probe_timeout: HeartbeatOption = heartbeat.TIMEOUT,
    settle: SettleOption = Choices.propagation_wait,
    hold: HoldOption = Choices.hold,
    warm: WarmOption = Choices.warm,
    direct: DirectOption = False,
) -> None:
    """Send public writes to modern.

    Pauses writes, copies the last rows, compares them and switches. Clients see at most one slow request. From then on DynamoDB is the source of truth, and the bridge keeps Aurora up to date for a rollback.

    The gate stays in front of public writes until `complete`. With --direct they go past it to modern's writer; a rollback then first routes them to the gate and waits for the requests past it.

    Needs all reads on modern, a caught-up copy and a clean verify. With --reads-stay reads may stay on legacy: a client then reads its own write only after the bridge's lag. A failure before the switch rolls everything back (exit 4).

    Prints the plan with every check; --execute acts.
    """
    refuse_both(execute, dry_run)
    session = session.taking_over(take_over, execute=execute)
    choices = Choices(
        timeout=probe_timeout, propagation_wait=settle, hold=hold, warm=warm, direct=direct, reads_stay=reads_stay
    )
    chosen = session.context.target.entity(entity)
    if direct and session.context.target.mapping[chosen.name].contract:
        raise UsageError(
            "--direct: the adopted writer of modern does not ask the gate, so no rollback could hold its writes",
            "Leave it out: public writes go through the gate until `runbook complete`.",
        )
    switch = Switch(session.context, chosen, OperationKind.CUTOVER, Scope.WRITES, choices)
    perform(session, switch, choices, execute=execute, yes=yes)
