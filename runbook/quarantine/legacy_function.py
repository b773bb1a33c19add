"""Legacy's own write function, where entities.toml says that it brings modern's changes to Aurora."""

from functions.bridge.legacy_calls import LegacyCalls
from runbook.aws.outputs import EntityTarget
from runbook.stack import Context


def legacy_calls(context: Context, entity: EntityTarget) -> LegacyCalls | None:
    """How to call it; None for an entity whose rows are written by SQL."""
    described = context.target.mapping[entity.name]
    if not described.replayed or described.contract is None:
        return None
    timeout, functions = int(entity.legacy_write_timeout), context.clients.functions_once
    return LegacyCalls(functions, entity.legacy_write_function, timeout, described.contract)
