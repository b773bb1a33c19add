"""`runbook copy start|stop|status|watch|set`."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.commands import rendering_copy as rendering
from runbook.commands._options import EntityNamesOption, JsonOption, OutputsOption, StackOption
from runbook.commands._session import opened
from runbook.copy import control, local_worker, progress
from runbook.copy.control import DEFAULTS, CopyLimits, CopyResult
from runbook.copy.progress import CopyProgress
from runbook.errors import FailedError
from runbook.stack import Context

app = typer.Typer(no_args_is_help=True, help="Copy Aurora's rows to DynamoDB, and keep them the same.")

HELD = "What holds it back"
RateOption = Annotated[
    float | None,
    typer.Option(
        "--rate",
        metavar="N",
        min=0,
        help="Rows a second over all lanes; 0 for as fast as it goes.",
        rich_help_panel=HELD,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--max-threads",
        metavar="N",
        min=0,
        help="Pause while Aurora has more threads at work (Threads_running); 0 for never.",
        rich_help_panel=HELD,
    ),
]
BoundOption = Annotated[
    int | None,
    typer.Option(
        "--queue-bound",
        metavar="N",
        min=1,
        help=f"Keys of the backfill that may wait in the queue ({DEFAULTS.bound:,} at first).",
        rich_help_panel=HELD,
    ),
]

RunHereOption = Annotated[
    bool,
    typer.Option(
        "--run-here",
        help="Let threads of this process be the workers, until all is copied; the schedules take over afterwards.",
    ),
]


@app.command()
def start(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityNamesOption = None,
    rate: RateOption = None,
    max_threads: ThreadsOption = None,
    queue_bound: BoundOption = None,
    again: Annotated[bool, typer.Option("--again", help="Begin the backfill anew: every row goes once more.")] = False,
    run_here: RunHereOption = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin to copy, or go on where it was stopped.

    Looks for hazards first (`runbook preflight`). Then adds triggers to the legacy table, which put the key of every
    row that is written into a queue, puts every row there is into the same queue, and calls the workers that write
    the items. Public traffic is not touched. CopyLimits that are not given stay as they are.
    """
    limits = CopyLimits(rate=rate, threads=max_threads, bound=queue_bound)
    with opened(stack, outputs, as_json=as_json, quiet=run_here) as context:
        entities, done = context.target.several(entity), list[CopyResult]()
        for each in entities:
            done.append(control.start(context, each, limits, again=again, call=not run_here))
            _shown(done, as_json=as_json)
        if run_here:
            _watched(context, entities, Watching(here=True, as_json=as_json))
        _document(done, as_json=as_json)


@app.command("set")
def change(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityNamesOption = None,
    rate: RateOption = None,
    max_threads: ThreadsOption = None,
    queue_bound: BoundOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what holds it back, while it runs."""
    limits = CopyLimits(rate=rate, threads=max_threads, bound=queue_bound)
    with opened(stack, outputs, as_json=as_json) as context:
        done: list[CopyResult] = []
        for each in context.target.several(entity):
            done.append(control.change(context, each, limits))
            _shown(done, as_json=as_json)
        _document(done, as_json=as_json)


@app.command()
def stop(
    entity: EntityNamesOption = None,
    remove_triggers: Annotated[
        bool,
        typer.Option(
            "--remove-triggers",
            help="Also take the triggers off, empty the queue and forget how far copy was: the way out.",
        ),
    ] = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the workers; nothing is lost.

    The triggers go on telling of every change, so the queue grows until `runbook copy start`, which goes on exactly
    there. With --remove-triggers legacy's writers are alone again: the items stay as they are, and a later start begins
    anew. Public traffic is not touched by either.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        done: list[CopyResult] = []
        for each in context.target.several(entity):
            done.append((control.release if remove_triggers else control.stop)(context, each))
            _shown(done, as_json=as_json)
        _document(done, as_json=as_json)


@app.command()
def status(
    entity: EntityNamesOption = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="How long to look, for the rate.")] = 3.0,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """See rows done, rate, ETA, queue, lag and lanes. Changes nothing."""
    with opened(stack, outputs, as_json=as_json) as context:
        found = progress.looks(context, context.target.several(entity), seconds)
        if as_json:
            _output.document({"entities": found})
        else:
            rendering.status(found)


@app.command()
def watch(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityNamesOption = None,
    until_caught_up: Annotated[
        bool,
        typer.Option("--until-caught-up/--keep-watching", help="End when all rows are copied and the queue is short."),
    ] = True,
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="SECONDS", min=0.1, help="Between two looks; 1 on a terminal, 3 elsewhere."),
    ] = None,
    run_here: RunHereOption = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch until everything is copied and the queue is drained. Changes nothing.

    Under live traffic the queue is never empty for long: keeping up within five seconds counts as drained.
    """
    with opened(stack, outputs, as_json=as_json, quiet=True) as context:
        found = _watched(
            context,
            context.target.several(entity),
            Watching(every=every, until_caught_up=until_caught_up, here=run_here, as_json=as_json),
        )
        if as_json:
            _output.document({"entities": found})


@dataclass(frozen=True, kw_only=True)
class Watching:
    """How to watch."""

    every: float | None = None
    until_caught_up: bool = True
    here: bool = False
    as_json: bool = False

    @property
    def apart(self) -> float:
        """Seconds between two looks."""
        return self.every or (1.0 if _output.out().is_terminal else 3.0)


def _watched(context: Context, entities: list[EntityTarget], how: Watching) -> list[CopyProgress]:
    """Watch until the end, and show it; with workers of this process where these are asked for."""
    found: list[CopyProgress] = []
    with ExitStack() as stack:
        workers = stack.enter_context(local_worker.Workers(context, entities)) if how.here else None
        looks = progress.follow(
            context,
            entities,
            how.apart,
            until_caught_up=how.until_caught_up,
            check=workers.check if workers else lambda: None,
        )
        show = stack.enter_context(rendering.watching(quiet=how.as_json))
        try:
            for found in looks:
                show(found)
        except KeyboardInterrupt as interrupt:
            if how.until_caught_up:
                raise FailedError(
                    "stopped watching before copy had caught up", "Copy goes on; watch it again at any time."
                ) from interrupt
    if how.until_caught_up and not how.as_json:
        rendering.caught_up(found)
    return found


def _shown(done: list[CopyResult], *, as_json: bool) -> None:
    """One entity's result as soon as it is there."""
    if not as_json:
        rendering.done(done[-1])


def _document(done: list[CopyResult], *, as_json: bool) -> None:
    if as_json:
        _output.document({"entities": done})
