"""`runbook copy start|stop|status|watch|set`; progress is drawn in place on a terminal, and in lines elsewhere."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.commands._options import EntityNamesOption, TakeOverOption, in_panel
from runbook.commands._session import Session, with_session
from runbook.copy import control, estimate, local_worker, progress
from runbook.copy.control import DEFAULTS, CopyLimits, CopyResult
from runbook.copy.estimate import CopyPlan, Way
from runbook.copy.progress import CopyProgress
from runbook.copy.ranges import RangesProgress, WayChoice
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
MINUTE, HOUR = 60, 3600


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
        _output.facts(one.entity, _facts(one))
        if one.state != "not started":
            _output.out().print(_lanes(one))


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
            limits = f"  [dim]{_limits(result.record)}[/]" if result.record else ""
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
        show = stack.enter_context(_showing(quiet=session.as_json))
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
            done = f"{one.backfill_done:,} rows and {one.changes_done:,} changes done, {_queue(one)} waiting"
            _output.line(f"{_output.MARKS[True]} {escape(one.entity)} has caught up: {done}.")
            _output.line(f"Next: `runbook verify --entity {escape(one.entity)}`.")
    return found


@contextmanager
def _showing(*, quiet: bool) -> Generator[Callable[[Sequence[CopyProgress]], None]]:
    console = _output.out()
    if quiet:
        yield lambda _: None
    elif _output.is_live(console):
        with Live(console=console, auto_refresh=False) as live:
            yield lambda found: live.update(Group(*map(_board, found)), refresh=True)
    else:
        yield _print_lines


def _print_lines(found: Sequence[CopyProgress]) -> None:
    for one in found:
        troubles = "".join(f", {name}: {text}" for name, text in _troubles(one).items())
        share = f"{one.backfill_done:,} of {one.total:,} ({one.percent:g} %)"
        _output.line(escape(f"{one.entity}: {share}, {_figures(one)}{troubles}"))


def _board(one: CopyProgress) -> Group:
    """Two lines: the bar, and the figures below it."""
    bar = Table.grid(padding=(0, 2))
    share = f"{one.backfill_done:,} of {one.total:,} rows ({one.percent:g} %)"
    bar.add_row(f"[bold]{escape(one.entity)}[/]", ProgressBar(total=100, completed=one.percent, width=24), share)
    troubles = "".join(f"\n  [yellow]{name}: {escape(text)}[/]" for name, text in _troubles(one).items())
    return Group(bar, f"  [dim]{_figures(one)}[/]{troubles}")


def _figures(one: CopyProgress) -> str:
    workers = f"ranges {one.ranges.done:,}/{one.ranges.total:,}" if one.ranges else f"lanes {_alive(one)}"
    return f"{_rate(one)}, ETA {_eta(one)}, queue {_queue(one)}, lag {one.lag:.1f} s, {workers}"


def _troubles(one: CopyProgress) -> dict[str, str]:
    found = {"paused": one.paused, "schedules": one.schedules, "ranges": one.ranges.problem if one.ranges else ""}
    return {name: text for name, text in found.items() if text}


def _facts(one: CopyProgress) -> dict[str, str]:
    state = one.state if one.state == "running" else f"[yellow]{one.state}[/]"
    facts = {"copy": f"{state}  [dim]phase {one.phase}[/]"}
    if one.schedules:
        facts["schedules"] = f"[yellow]{escape(one.schedules)}[/]; `runbook copy start` or `copy stop` corrects them"
    if one.state == "not started":
        return facts
    facts["since"] = f"{one.started_at}  [dim]by {escape(one.operator.rpartition(':')[2])}[/]"
    facts["backfill"] = f"{one.backfill_done:,} of {one.total:,} rows ({one.percent:g} %)"
    facts["changes"] = f"{one.changes_done:,} done since"
    facts["of these"] = f"{one.skipped:,} right already, {one.deleted:,} deletes, {one.quarantined:,} quarantined"
    facts["rate"] = f"{_rate(one)}, ETA {_eta(one)}"
    facts["queue"] = f"{_queue(one)} waiting, the oldest for {one.lag:.1f} s"
    if one.ranges:
        facts["ranges"] = _ranges(one.ranges)
    if one.paused:
        facts["paused"] = f"[yellow]{escape(one.paused)}[/]"
    facts["limits"] = _limits(one.limits)
    return facts


def _ranges(one: RangesProgress) -> str:
    text = f"{one.done:,} of {one.total:,} done, {one.workers} at once, stage {one.stage}, {one.execution.lower()}"
    return f"{text}  [yellow]{escape(one.problem)}[/]" if one.problem else text


def _lanes(one: CopyProgress) -> Table:
    table = _output.table("", "lane", "last report", "keys", "lag", "worker")
    for lane in one.lanes:
        reported = "never" if lane.age is None else f"{lane.age:.0f} s ago"
        cells = str(lane.lane), reported, f"{lane.rows:,}", f"{lane.lag:.1f} s", escape(lane.owner)
        table.add_row(_output.MARKS[lane.alive], *cells)
    return table


def _limits(record: Mapping[str, Any]) -> str:
    rate, threads, bound = (record.get(name, 0) for name in ("rate", "threads", "bound"))
    parts = (
        f"at most {rate:g} rows/s" if rate else "no limit of rows/s",
        f"pauses above {threads} threads in Aurora" if threads else "no limit of threads",
        f"{bound:,} keys in the queue",
    )
    return ", ".join(parts)


def _rate(one: CopyProgress) -> str:
    return "-/s" if one.rate is None else f"{one.rate:,.0f}/s"


def _eta(one: CopyProgress) -> str:
    if one.eta is None:
        return "-"
    seconds = round(one.eta)
    minutes = f"{seconds // MINUTE % MINUTE}:{seconds % MINUTE:02}"
    return minutes if seconds < HOUR else f"{seconds // HOUR}:{minutes:0>5}"


def _queue(one: CopyProgress) -> str:
    return f"{one.queue:,}" if one.queue_exact else f"more than {one.queue:,}"


def _alive(one: CopyProgress) -> str:
    return f"{sum(lane.alive for lane in one.lanes)}/{len(one.lanes)}"
