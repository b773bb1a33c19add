"""`runbook init`."""

from rich.markup import escape

from runbook import init as service
from runbook.commands import _output
from runbook.commands._session import Session, with_session


@with_session
def init(session: Session) -> None:
    """Prepare Aurora, the routes and the journal.

    Creates missing legacy tables, installs the bridge's part of Aurora, sets missing routes and starts the journal. What exists stays as it is.

    Run it after every deploy.
    """
    results = service.run(session.context)
    if session.as_json:
        _output.document({"done": results})
        return
    for one in results:
        detail = f"  [dim]{escape(one.detail)}[/]" if one.detail else ""
        _output.line(f"{one.result:<10} {escape(one.name)}{detail}")
