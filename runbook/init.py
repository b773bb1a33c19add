"""`runbook init`: prepares legacy tables, the bridge's part of Aurora, routes and the journal; safe to repeat."""

from dataclasses import dataclass
from typing import Any

from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.checks import adopted, routes
from runbook.cutover import new_stream
from runbook.errors import PreconditionError
from runbook.journal.state import Event
from runbook.stack import Context


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """What init did about one thing: `result` is done, unchanged or skipped."""

    name: str
    result: str
    detail: str = ""


def run(context: Context, *, create_tables: bool = False, block_writers: bool = False) -> list[InitResult]:
    """Do all that is not done yet; also with only the legacy part deployed.

    Args:
        create_tables: make legacy tables that are missing, empty.
        block_writers: add streamback's columns even where MySQL blocks the table's writers meanwhile.

    Raises:
        PreconditionError: a legacy table is missing and was not to be made, or has a name in other letters.
    """
    results = [_legacy(context, create_tables=create_tables), _bridge(context, block_writers=block_writers)]
    for entity in context.target.entities.values():
        results.append(_routes(context, entity))
        results.append(_journal(context, entity))
        results.append(_stream(context, entity))
    if context.routing.renew_canary():
        results.append(InitResult(name="canary", result="done", detail="serves the present deployment"))
    return results


def _legacy(context: Context, *, create_tables: bool) -> InitResult:
    """Make what is missing. An empty table under a mistyped name would pass every later check."""
    context.say("looking at the legacy tables")
    name, missing = "legacy tables", missing_tables(context)
    if not missing:
        return InitResult(name=name, result="unchanged", detail=", ".join(context.target.mapping))
    if not create_tables:
        raise PreconditionError(
            f"Aurora has no table {', '.join(missing)}",
            "Correct `legacy` in entities.toml, or make them, empty: `runbook init --create-tables`.",
        )
    context.invoke(context.target.legacy_init_function, {"httpMethod": "GET", "path": "/aurora"})
    return InitResult(name=name, result="done", detail=f"made {', '.join(missing)}, empty")


def missing_tables(context: Context) -> list[str]:
    """The places of the legacy tables that do not exist; those of complete entities may be gone for good.

    Raises:
        PreconditionError: one exists under a name that differs in upper and lower case only.
    """
    kept = int(context.aurora.query("", "SELECT @@lower_case_table_names")[0][0]) == 0
    mapped = [entity for name, entity in context.target.mapping.items() if name not in _complete(context)]
    places = [(entity.legacy.database, entity.legacy.table) for entity in mapped]
    found = {(row[0], row[1]) for database, table in places for row in _alike(context, database, table)}
    lowered = {(database.lower(), table.lower()): f"{database}.{table}" for database, table in sorted(found)}
    missing = [place for place in places if place not in found]
    if not kept:
        return [
            f"{database}.{table}" for database, table in missing if (database.lower(), table.lower()) not in lowered
        ]
    for database, table in missing:
        if other := lowered.get((database.lower(), table.lower())):
            raise PreconditionError(
                f"Aurora has no table {database}.{table}, and has {other}: names differ by case there",
                "Write `legacy` in entities.toml as Aurora does.",
            )
    return [f"{database}.{table}" for database, table in missing]


def _alike(context: Context, database: str, table: str) -> list[list[Any]]:
    sql = (
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE LOWER(table_schema) = LOWER(:database) AND LOWER(table_name) = LOWER(:table)"
    )
    return context.aurora.query("", sql, {"database": database, "table": table})


def _bridge(context: Context, *, block_writers: bool) -> InitResult:
    if not context.target.bridge_install_function:
        return InitResult(name="bridge", result="skipped", detail="not deployed yet; run init again when it is")
    context.say("installing the bridge's part of Aurora")
    followed = {name: entity.stream_arn for name, entity in context.target.entities.items() if entity.stream_arn}
    event = {"action": "install", "streams": followed, "without": _complete(context), "block_writers": block_writers}
    context.invoke(context.target.bridge_install_function, event)
    return InitResult(name="bridge", result="done", detail="invisible columns, helper tables, its MySQL user")


def _complete(context: Context) -> list[str]:
    """The entities whose legacy table streamback has left."""
    states = {name: context.journal.find(name) for name in context.target.entities}
    return [name for name, state in states.items() if state and state.phase == Phase.COMPLETE]


def _routes(context: Context, entity: EntityTarget) -> InitResult:
    """Set variables that are missing or name a removed function, as the journal says.

    An adopted API is `runbook adopt`'s to change, which keeps the values before.
    """
    name = f"routes of {entity.name}"
    if not adopted.followed(context, entity):
        return InitResult(name=name, result="skipped", detail="the API is adopted: run `runbook adopt --execute`")
    wanted = routes.lost(context, entity)
    changed = context.routing.set(wanted)
    detail = ", ".join(f"{name} → {value}" for name, value in wanted.items())
    return InitResult(name=name, result="done" if changed else "unchanged", detail=detail)


def _journal(context: Context, entity: EntityTarget) -> InitResult:
    name = f"journal of {entity.name}"
    state = context.journal.find(entity.name)
    if state is not None:
        return InitResult(name=name, result="unchanged", detail=f"phase {state.phase}")
    event = Event(entity=entity.name, command="init", result="done", operator=context.clients.operator)
    created = context.journal.create(entity.name, entity.stream_arn, event)
    return InitResult(name=name, result="done" if created else "unchanged", detail="phase legacy")


def _stream(context: Context, entity: EntityTarget) -> InitResult:
    found = new_stream.adopt(context, entity)
    return InitResult(name=f"stream of {entity.name}", result=found.result, detail=found.detail)
