"""`runbook preflight`."""

from typing import Annotated

from typer import Exit, Option

from runbook.checks import plans as service
from runbook.checks.check import green
from runbook.checks.plans import CheckScope
from runbook.commands import _output
from runbook.commands import rendering_preflight as rendering
from runbook.commands._options import EntityNamesOption, JsonOption, OutputsOption, StackOption
from runbook.commands._session import opened
from runbook.errors import PreconditionError


def preflight(
    entity: EntityNamesOption = None,
    quick: Annotated[bool, Option("--quick", help="Leave out the sample of rows.")] = False,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for every hazard before anything is changed.

    Cost: about twenty small statements on Aurora's dictionary and a dozen AWS calls an entity. Of the legacy table it
    reads the first and last key; only where its columns can hold more than an item's 400 KB it also samples rows: at
    most 10,000 and about 128 MB, by primary key (--quick leaves that out). It takes no lock, changes nothing and wakes
    a paused Aurora. `runbook copy start` looks at the same. Exit code 4 when a check does not hold; docs/preflight.md
    has the reason of each.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        found = {
            one.name: service.checks(context, one, CheckScope.PREFLIGHT, quick=quick)
            for one in context.target.several(entity)
        }
        whole = all(green(checks) for checks in found.values())
        if as_json:
            _output.document({"green": whole, "entities": found})
            raise Exit(0 if whole else PreconditionError.exit_code)
        for name, checks in found.items():
            rendering.checks(name, checks)
        if not whole:
            raise PreconditionError("preflight found hazards", "Mend them as told above, then run it again.")
