"""`runbook preflight`."""

from typing import Annotated

from rich.markup import escape
from typer import Exit, Option

from runbook.checks import plans
from runbook.checks.check import green
from runbook.checks.plans import CheckScope
from runbook.commands import _output
from runbook.commands._options import EntityNamesOption
from runbook.commands._session import Session, with_session
from runbook.errors import PreconditionError

QuickOption = Annotated[bool, Option("--quick", help="Skip the sample of rows.")]


@with_session
def preflight(session: Session, entity: EntityNamesOption = None, quick: QuickOption = False) -> None:
    """Check everything that a migration needs.

    Changes nothing and takes no lock, but wakes a paused Aurora. `runbook copy start` makes the same checks.

    Cost of an entity: about twenty small statements and a dozen AWS calls. If rows may exceed 400 KB it also samples rows, at most 10,000 and about 128 MB.

    Exits with 4 if a check does not hold. docs/preflight.md has the reason of each.
    """
    context = session.context
    found = {
        one.name: plans.checks(context, one, CheckScope.PREFLIGHT, quick=quick)
        for one in context.target.several(entity)
    }
    passed = all(green(checks) for checks in found.values())
    if session.as_json:
        _output.document({"green": passed, "entities": found})
        raise Exit(0 if passed else PreconditionError.exit_code)
    for name, checks in found.items():
        red = sum(check.ok is False for check in checks)
        summary = f"[red]{red} of {len(checks)} checks do not hold[/]" if red else f"{len(checks)} checks hold"
        _output.out().print(f"[bold]{escape(name)}[/]  {summary}")
        _output.checks(checks)
    if not passed:
        raise PreconditionError("not every check holds", "Correct what is red above, then run it again.")
