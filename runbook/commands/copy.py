"""`runbook copy start|stop|status|watch|set`."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.markup import escape

from runbook.aws.outputs import EntityTarget
from runbook.commands import _copy_progress, _output
from runbook.commands._options import EntityNamesOption, TakeOverOption, in_panel
from runbook.commands._session import Session, with_session
from runbook.copy import control, estimate, local_worker, progress
from runbook.copy.control import DEFAULTS, CopyLimits, CopyResult
from runbook.copy.estimate import CopyPlan, Way
from runbook.copy.progress import CopyProgress
from runbook.copy.ranges import WayChoice
from runbook.errors import FailedError, UsageError

app = typer.Typer(no_args_is_help=True, help="Copy Aurora's rows to DynamoDB and keep the copy up to date.")

_limit = in_panel("Limits")
RateOption = Annotated[
    float | None,
    _limit(
        "--rate",
        metavar="N",
        min=0,
        help="Copy at most N rows a second; 0 for no limit.",
        show_default="unchanged, 0 at first",
    ),
]
ThreadsOption = Annotated[
    int | None,
    _limit(
        "--max-threads",
        metavar="N",
        min=0,
        help="Pause above N running Aurora threads; 0 for never.",
        show_default="unchanged, 0 at first",
    ),
]
BoundOption = Annotated[
    int | None,
    _limit(
        "--queue-bound",
        metavar="N",
        min=1,
        help="Queue at most N keys of the backfill.",
        show_default=f"unchanged, {DEFAULTS.bound:,} at first",
    ),
]
AgainOption = Annotated[bool, typer.Option("--again", help="Begin the backfill anew: copy every row once more.")]
_way = in_panel("How to copy")
ByOption = Annotated[
    Way | None, _way("--by", help="Copy every row by lanes or by ranges.", show_default="chosen by size")
]
WorkersOption = Annotated[
    int, _way("--workers", metavar="N", min=1, max=1000, help="Copy N ranges at once, one function each.")
]
RangeRowsOption = Annotated[
    int, _way("--range-rows", metavar="N", min=1, help="Divide the table into ranges of about N rows.")
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Show size, way, hours and dollars; change nothing.")]
RunHereOption = Annotated[
    bool, typer.Option("--run-here", help="Run the copy workers in this process until caught up.")
]
RemoveOption = Annotated[
    bool, typer.Option("--remove-triggers", help="Also remove the triggers, the queue and copy's progress.")
]
SecondsOption = Annotated[
    float, typer.Option("--seconds", metavar="SECONDS", min=0, help="Measure the rate for this many seconds.")
]
UntilOption = Annotated[
    bool,
    typer.Option(
        "--until-caught-up/--keep-watching", help="End when caught up, or at Ctrl-C.", rich_help_panel="When to end"
    ),
]
EveryOption = Annotated[
    float | None,
    typer.Option(
        "--every",
        metavar="SECONDS",
        min=0.1,
        help="Look every so many seconds.",
        show_default="1 on a terminal, else 3",
    ),
]

RESULTS = {
    "started": "started. The triggers queue every change, and the backfill has begun",
    "resumed": "resumed where it was stopped. What was written meanwhile is in the queue",
    "running": "running already. Its workers were called",
    "begun anew": "begun anew. Every row is copied once more",
    "mended": "restored. The triggers are there again; run `runbook verify`, because changes without them were not queued",
    "enabled": "restored. The schedules of its lanes are enabled again",
    "removed": "removed: triggers, queue and progress are gone, the items stay. `runbook copy start` begins anew",
    "set": "set. The workers apply it within seconds",
    "stopped": "stopped. The triggers still queue every change, and `runbook copy start` resumes there",
}
GATE = {
    "gate": "Public writes now go through the gate, which passes them on to legacy.",
    "legacy": "Public writes go to legacy directly again.",
}


@app.command()
@with_session
def start(
    session: Session,
    entity: EntityNamesOption = None,
    rate: RateOption = None,
    max_threads: ThreadsOption = None,
    queue_bound: BoundOption = None,
    again: AgainOption = False,
    by: ByOption = None,
    workers: WorkersOption = estimate.WORKERS,
    range_rows: RangeRowsOption = estimate.RANGE_ROWS,
    plan: PlanOption = False,
    run_here: RunHereOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Start to copy, or resume a stopped copy.

    Makes the preflight checks, adds triggers to the legacy table, queues the key of every row and calls the workers, which write the items.

    A table that four lanes would not copy within a night is copied by ranges of keys, many at once.

    From then on, until `complete`, public writes go through the gate, which passes them on to the source of truth. Public reads do not change.
    """
    session = session.taking_over(take_over)
    limits = CopyLimits(rate=rate, threads=max_threads, bound=queue_bound)
    entities = session.context.target.several(entity)
    choice = WayChoice(way=Way.LANES if run_here else by, workers=workers, range_rows=range_rows)
    if plan:
        _plans(session, [estimate.plan(session.context, one, by, workers) for one in entities])
        return
    if run_here and by == Way.RANGES:
        raise UsageError("--run-here runs lanes, and --by ranges asks for others", "Give one of them.")
    done = _each(
        session,
        entities,
        lambda one: control.start(session.context, one, limits, again=again, call=not run_here, choice=choice),
    )
    if run_here:
        _watch(session, entities, every=None, until_caught_up=True, run_here=True)
    _document(session, done)


@app.command("set")
@with_session
def change(
    session: Session,
    entity: EntityNamesOption = None,
    rate: RateOption = None,
    max_threads: ThreadsOption = None,
    queue_bound: BoundOption = None,
    take_over: TakeOverOption = False,
) -> None:
    """Change the limits of copy while it runs."""
    session = session.taking_over(take_over)
    limits = CopyLimits(rate=rate, threads=max_threads, bound=queue_bound)
    entities = session.context.target.several(entity)
    _document(session, _each(session, entities, lambda one: control.change(session.context, one, limits)))


@app.command()
@with_session
def stop(
    session: Session,
    entity: EntityNamesOption = None,
    remove_triggers: RemoveOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Stop the workers; no change is lost.

    The triggers still queue every change, so the queue grows until `runbook copy start`, which resumes there.

    With --remove-triggers the legacy table has no triggers any more, and the bridge applies nothing to it. The items stay, and a later start begins anew.

    Public traffic does not change.
    """
    session = session.taking_over(take_over)
    act = control.release if remove_triggers else control.stop
    entities = session.context.target.several(entity)
    _document(session, _each(session, entities, lambda one: act(session.context, one)))


@app.command()
@with_session
def status(session: Session, entity: EntityNamesOption = None, seconds: SecondsOption = 3.0) -> None:
    """Show rows done, rate, ETA, queue, lag and lanes.

    Changes nothing.
    """
    found = progress.looks(session.context, session.context.target.several(entity), seconds)
    if session.as_json:
        _output.document({"entities": found})
        return
    for one in found:
        _output.facts(one.entity, _copy_progress.facts(one))
        if one.state != "not started":
            _output.out().print(_copy_progress.lanes(one))


@app.command()
@with_session
def watch(
    session: Session,
    entity: EntityNamesOption = None,
    until_caught_up: UntilOption = True,
    every: EveryOption = None,
    run_here: RunHereOption = False,
) -> None:
    """Watch until all rows are copied and the queue is drained.

    Changes nothing. Under live traffic the queue counts as drained while its lag is at most five seconds.
    """
    entities = session.context.target.several(entity)
    found = _watch(session, entities, every=every, until_caught_up=until_caught_up, run_here=run_here)
    if session.as_json:
        _output.document({"entities": found})


def _plans(session: Session, found: Sequence[CopyPlan]) -> None:
    if session.as_json:
        _output.document({"entities": found})
        return
    for one in found:
        about = "" if one.exact else "about "
        facts = {
            "rows": f"{about}{one.rows:,} of {one.row_bytes:,} bytes",
            "table": f"takes {one.write_units:,} write units a second",
            "way": f"by {one.way}: {escape(one.reason)}",
        }
        for each in one.ways:
            speed = f"{each.workers} workers, {each.rows_per_second:,.0f} rows/s"
            facts[f"by {each.way}"] = f"{each.hours:g} hours, {each.dollars:,.2f} USD ({speed})"
        _output.facts(one.entity, facts)


def _each(
    session: Session, entities: Sequence[EntityTarget], act: Callable[[EntityTarget], CopyResult]
) -> list[CopyResult]:
    """Act on each entity, and print its result as soon as it is there."""
    done: list[CopyResult] = []
    for one in entities:
        result = act(one)
        done.append(result)
        if not session.as_json:
            _output.resumed(result.resumed)
            limits = f"  [dim]{_copy_progress.limits(result.record)}[/]" if result.record else ""
            _output.line(f"copy of [bold]{escape(result.entity)}[/]: {RESULTS[result.result]}.{limits}")
            if result.gate:
                _output.line(GATE[result.gate])
    return done


def _document(session: Session, done: Sequence[CopyResult]) -> None:
    if session.as_json:
        _output.document({"entities": done})


def _watch(
    session: Session, entities: Sequence[EntityTarget], *, every: float | None, until_caught_up: bool, run_here: bool
) -> list[CopyProgress]:
    """Show progress until the end; returns the last one."""
    session.progress.end()
    context, found = session.context, list[CopyProgress]()
    apart = every or (1.0 if _output.out().is_terminal else 3.0)
    with ExitStack() as stack:
        workers = stack.enter_context(local_worker.Workers(context, entities)) if run_here else None
        check = workers.check if workers else lambda: None
        show = stack.enter_context(_copy_progress.showing(quiet=session.as_json))
        try:
            for found in progress.follow(context, entities, apart, until_caught_up=until_caught_up, check=check):
                show(found)
        except KeyboardInterrupt as interrupt:
            if until_caught_up:
                raise FailedError(
                    "stopped watching before copy had caught up", "Copy continues. Run `runbook copy watch` again."
                ) from interrupt
    if until_caught_up and not session.as_json:
        for one in found:
            done = (
                f"{one.backfill_done:,} rows and {one.changes_done:,} changes done, {_copy_progress.queue(one)} waiting"
            )
            _output.line(f"{_output.MARKS[True]} {escape(one.entity)} has caught up: {done}.")
            _output.line(f"Next: `runbook verify --entity {escape(one.entity)}`.")
    return found
