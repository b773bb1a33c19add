"""`runbook smoke`."""

from collections.abc import Sequence

from rich.markup import escape
from typer import Exit

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.commands._options import EntitiesOption
from runbook.commands._session import Session, with_session
from runbook.errors import FailedError
from runbook.smoke.foreign import ForeignSmoke
from runbook.smoke.own import Smoke
from runbook.smoke.run import SmokeRun, SmokeStep
from runbook.stack import Context


@with_session
def smoke(session: Session, entity: EntitiesOption = None) -> None:
    """Test both systems and the bridge.

    Creates and lists a record on each system, waits for the modern one in Aurora, then updates and deletes it through the bridge.

    Uses records of its own and always removes them. An adopted API is called by the templates of entities.toml.
    """
    context = session.context
    results = {one.name: _of(context, one).run() for one in context.target.chosen(entity)}
    passed = all(step.ok is not False for steps in results.values() for step in steps)
    if session.as_json:
        _output.document({"passed": passed, "entities": results})
        raise Exit(0 if passed else FailedError.exit_code)
    for name, steps in results.items():
        _print(name, steps)
    if not passed:
        raise FailedError("the smoke test failed", "Run `runbook status`, and read the functions' logs.")


def _of(context: Context, entity: EntityTarget) -> SmokeRun:
    foreign = context.target.mapping[entity.name].contract is not None
    return ForeignSmoke(context, entity) if foreign else Smoke(context, entity)


def _print(entity: str, steps: Sequence[SmokeStep]) -> None:
    table = _output.table("", "step", "", "seconds")
    for one in steps:
        seconds = "" if one.ok is None else f"{one.seconds:.2f}"
        table.add_row(_output.MARKS[one.ok], f"{one.step}. {escape(one.name)}", escape(one.detail), seconds)
    _output.out().print(f"[bold]{escape(entity)}[/]")
    _output.out().print(table)
