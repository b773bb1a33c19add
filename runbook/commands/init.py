"""`runbook init`."""

from typing import Annotated

import typer
from rich.markup import escape

from runbook import init as service
from runbook.commands import _output
from runbook.commands._options import BlockWritersOption
from runbook.commands._session import Session, with_session


@with_session
def init(
    session: Session,
    create_tables: Annotated[
        bool, typer.Option("--create-tables", help="Make legacy tables that are missing, empty.")
    ] = False,
    block_writers: BlockWritersOption = False,
) -> None:
    """Prepare Aurora, the routes and the journal.

    Installs the bridge's part of Aurora, sets missing routes and starts the journal. What exists stays as it is.

    Run it after every deploy.
    """
    results = service.run(session.context, create_tables=create_tables, block_writers=block_writers)
    if session.as_json:
        _output.document({"done": results})
        return
    for one in results:
        detail = f"  [dim]{escape(one.detail)}[/]" if one.detail else ""
        _output.line(f"{one.result:<10} {escape(one.name)}{detail}")
