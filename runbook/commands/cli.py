"""The `runbook` command: its sub-commands in the order of a migration."""

import os
from typing import Any

import typer
from typer import rich_utils
from typer.core import TyperGroup

from runbook.commands import (
    adopt,
    complete,
    copy,
    cutover,
    history,
    init,
    openapi,
    preflight,
    quarantine,
    rollback,
    smoke,
    status,
    verify,
)

MIGRATION, OTHER = "Migration, in order", "Rollback, quarantine, history, contract"
ORDER = (
    *("adopt", "init", "smoke", "status", "preflight", "copy", "verify", "cutover", "complete"),
    *("rollback", "quarantine", "history", "openapi"),
)


class InOrder(TyperGroup):
    """Lists the commands in their order; Typer would put those with sub-commands last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="runbook",
    cls=InOrder,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Migrate an API from Aurora MySQL to DynamoDB, and roll back.\n\n"
        "Run the commands in the order below. A command that changes traffic or deletes data prints its plan, and acts "
        "with [bold]--execute[/]. You can kill any command and run it again.\n\n"
        "Exit codes: 0 done · 1 failed · 2 usage · 3 the sides differ · 4 a check does not hold, or everything was put "
        "back · 5 refused."
    ),
)
app.command(rich_help_panel=MIGRATION)(adopt.adopt)
app.command(rich_help_panel=MIGRATION)(init.init)
app.command(rich_help_panel=MIGRATION)(smoke.smoke)
app.command(rich_help_panel=MIGRATION)(status.status)
app.command(rich_help_panel=MIGRATION)(preflight.preflight)
app.add_typer(copy.app, name="copy", rich_help_panel=MIGRATION)
app.command(rich_help_panel=MIGRATION)(verify.verify)
app.add_typer(cutover.app, name="cutover", rich_help_panel=MIGRATION)
app.command(rich_help_panel=MIGRATION)(complete.complete)
app.command(rich_help_panel=OTHER)(rollback.rollback)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=OTHER)
app.command(rich_help_panel=OTHER)(history.history)
app.command(rich_help_panel=OTHER)(openapi.openapi)

if os.environ.get("NO_COLOR"):
    rich_utils.COLOR_SYSTEM = None  # Rich alone would still print bold and dim
