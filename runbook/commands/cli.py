"""The `runbook` command: one sub-command per stretch of the road, in its order.

Each checks, calls its service, shows the result.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runbook import init as init_service
from runbook import status as status_service
from runbook.commands import (
    _output,
    complete,
    copy,
    cutover_reads,
    cutover_writes,
    history_service,
    preflight,
    quarantine,
    verify,
)
from runbook.commands._options import (
    EntitiesOption,
    JsonOption,
    OutputsOption,
    StackOption,
)
from runbook.commands._session import opened
from runbook.errors import FailedError
from runbook.smoke import Smoke

ROAD = (
    *("init", "smoke", "status", "preflight", "copy", "verify", "cutover", "complete"),
    *("rollback", "quarantine", "history"),
)


class InOrder(TyperGroup):
    """Lists the commands in the road's order; Typer would put those with sub-commands last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands' names."""
        return sorted(super().list_commands(ctx), key=lambda name: ROAD.index(name) if name in ROAD else len(ROAD))


app = typer.Typer(
    name="runbook",
    cls=InOrder,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The road from the old system to the new one, and back.\n\n"
        "Walk the commands in the order below. What changes traffic shows its plan first and acts with "
        "[bold]--execute[/]; every command may be killed at any point and run again.\n\n"
        "Exit codes: 0 done · 1 failed · 2 usage · 3 the sides differ · 4 a gate is closed, or all was put "
        "back · 5 refused."
    ),
)
cutover_app = typer.Typer(no_args_is_help=True, help="Send reads or writes to modern.")


@app.command(rich_help_panel="The road, in order")
def init(stack: StackOption = None, outputs: OutputsOption = None, as_json: JsonOption = False) -> None:
    """Prepare Aurora, the routes and the journal.

    Creates the legacy tables that are missing, installs the bridge's columns, helper tables and MySQL user,
    sets stage variables that are missing or name a function that is gone, and begins the journal. Run it
    after every deploy; what is there already stays.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        lines = init_service.run(context)
        if as_json:
            _output.document({"done": lines})
        else:
            _output.init(lines)


@app.command(rich_help_panel="The road, in order")
def smoke(
    entity: EntitiesOption = None,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try both systems and the bridge; cleans up.

    Creates and lists a record on each system, waits for the modern one in Aurora, then updates and deletes it
    through the bridge. On a system in use it looks for its own records. They are removed again, whatever
    happens.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        results = {one.name: Smoke(context, one).run() for one in context.target.chosen(entity)}
        passed = all(result.ok is not False for steps in results.values() for result in steps)
        if as_json:
            _output.document({"passed": passed, "entities": results})
            raise typer.Exit(0 if passed else 1)
        for name, steps in results.items():
            _output.smoke(name, steps)
        if not passed:
            raise FailedError("the smoke test failed", "See `runbook status` for the bridge, and the functions' logs.")


@app.command(rich_help_panel="The road, in order")
def status(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntitiesOption = None,
    send_probe: Annotated[
        bool, typer.Option("--probe", help="Also send a probe through the bridge and wait for it.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Count tables of any size, however long it takes.")] = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """See phase, routes, bridge, counts and lag.

    Changes nothing. Big tables are counted by their own estimate ("about"), unless --exact asks for the true
    count.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        found = [
            status_service.run(context, one, send_probe=send_probe, exact=exact)
            for one in context.target.chosen(entity)
        ]
        if as_json:
            lines = [{**_output.plain(one), "healthy": one.healthy} for one in found]
            _output.document({"stack": context.target.stack, "entities": lines})
            return
        for one in found:
            _output.status(one)


app.command("preflight", rich_help_panel="The road, in order")(preflight.preflight)
app.add_typer(copy.app, name="copy", rich_help_panel="The road, in order")


app.command("verify", rich_help_panel="The road, in order")(verify.verify)
cutover_app.command("reads")(cutover_reads.cutover_reads)
cutover_app.command("writes")(cutover_writes.cutover_writes)
app.add_typer(cutover_app, name="cutover", rich_help_panel="The road, in order")
app.command("complete", rich_help_panel="The road, in order")(complete.complete)
app.add_typer(
    quarantine.app,
    name="quarantine",
    short_help="See, replay or drop what could not be applied.",
    rich_help_panel="The road back, and what happened",
)


app.command(rich_help_panel="The road back, and what happened")(cutover_writes.rollback)


@app.command(rich_help_panel="The road back, and what happened")
def history(
    entity: EntitiesOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many events, newest first.")] = 50,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who did what, when, and how it ended."""
    with opened(stack, outputs, as_json=as_json) as context:
        events = history_service.run(context, context.target.chosen(entity), limit)
        if as_json:
            _output.document({"events": events})
        else:
            _output.history(events)
