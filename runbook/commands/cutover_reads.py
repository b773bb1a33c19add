"""`runbook cutover reads`."""

from typing import Annotated

import typer

from runbook.aws.api_gateway import ALL
from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands import rendering_reads as rendering
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
from runbook.commands._plan import Asked
from runbook.commands._session import confirm, opened
from runbook.commands.cutover_writes import exclusive
from runbook.cutover import canary
from runbook.cutover.canary_analysis import CanaryOptions
from runbook.cutover.reads import Reads
from runbook.errors import PreconditionError, RefusedError

DEFAULTS = CanaryOptions()
WATCH = "The watch that takes reads back"
PercentOption = Annotated[
    int, typer.Option("--percent", metavar="N", min=0, max=ALL, help="The share that modern answers.")
]
SharedOption = Annotated[
    bool,
    typer.Option("--shared", help="Let the other entities in the canary come along: the API has one percentage."),
]
WatchOption = Annotated[
    float,
    typer.Option(
        "--watch",
        metavar="SECONDS",
        min=0,
        help="How long to watch modern's errors and latency; 0 for not at all.",
        rich_help_panel=WATCH,
    ),
]
ErrorsOption = Annotated[
    float,
    typer.Option(
        "--max-errors",
        metavar="SHARE",
        min=0,
        max=1,
        help="Failed requests that are borne; a single one counts only with 0.",
        rich_help_panel=WATCH,
    ),
]
LatencyOption = Annotated[
    float | None,
    typer.Option(
        "--max-latency",
        metavar="MS",
        min=1,
        help="90th percentile that is borne, of ten requests or more; 3 times legacy's by default, 500 at least.",
        rich_help_panel=WATCH,
    ),
]


def cutover_reads(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityOption = None,
    percent: PercentOption = ALL,
    shared: SharedOption = False,
    execute: ExecuteOption = False,
    dry_run: DryRunOption = False,
    watch: WatchOption = DEFAULTS.seconds,
    max_errors: ErrorsOption = DEFAULTS.max_errors,
    max_latency: LatencyOption = None,
    yes: YesOption = None,
    probe_timeout: PatienceOption = heartbeat.TIMEOUT,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send public reads to modern, all or by percentage.

    By API Gateway's own canary, which has one percentage for all entities in it. Afterwards modern is watched: by a
    small request a second to each system, and by Lambda's count of all requests, which AWS gives a minute or two late.
    When too many fail or it is too slow, all reads go back to legacy at once (exit 4). Ctrl-C or a kill ends the watch
    only: the percentage stays, and the same command watches again. Shows the plan with the value of every gate;
    --execute acts.
    """
    watching = CanaryOptions(seconds=watch, max_errors=max_errors, max_latency=max_latency)
    options = (
        *_words(watching),
        *([f"--probe-timeout {probe_timeout:g}"] if probe_timeout != heartbeat.TIMEOUT else []),
    )
    asked = Asked(execute=execute, yes=yes, as_json=as_json, stack=stack, outputs=outputs, options=options)
    with opened(stack, outputs, as_json=as_json) as context:
        exclusive(execute, dry_run)
        _perform(Reads(context, context.target.entity(entity), percent, shared, watching, probe_timeout), asked)


def _perform(reads: Reads, asked: Asked) -> None:
    act = asked.again(reads.command, reads.entity.name)
    if not asked.execute:
        _show_plan(reads, act, as_json=asked.as_json)
        return
    confirm(reads.context, act, asked.yes, as_json=asked.as_json)
    try:
        result = reads.execute()
    except KeyboardInterrupt:
        _output.err().print(f"Interrupted. `runbook status --entity {reads.entity.name}` shows where reads go now.")
        raise
    if asked.as_json:
        _output.document({"entity": reads.entity.name, "executed": True, **_output.plain(result)})
    else:
        rendering.done(reads.entity.name, result)


def _show_plan(reads: Reads, act: str, *, as_json: bool) -> None:
    plan = reads.plan()
    if as_json:
        _output.document(_output.plan_document(reads.entity.name, plan))
    else:
        _output.plan(reads.entity.name, plan, act)
    if any(check.name == canary.CHECK and not check.ok for check in plan.checks):
        raise typer.Exit(RefusedError.exit_code)
    if not plan.green:
        raise typer.Exit(PreconditionError.exit_code)


def _words(watching: CanaryOptions) -> list[str]:
    """The watch's options that differ from their defaults, as typed."""
    named = {"--watch": "seconds", "--max-errors": "max_errors", "--max-latency": "max_latency"}
    return [
        f"{option} {getattr(watching, name):g}"
        for option, name in named.items()
        if getattr(watching, name) != getattr(DEFAULTS, name)
    ]
