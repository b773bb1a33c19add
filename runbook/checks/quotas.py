"""AWS's quotas that only the account knows: what the functions may run at once, and what the deployed API has.

The program counts what it can before it makes anything (components/quotas.py).
"""

from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.stack import Context

# "Quotas for configuring and running a REST API in API Gateway"
REST_APIS = (
    "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"
)
STAGE_VARIABLES = 100
# "Lambda quotas": 1,000, but new accounts begin with less, some with 10
LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
SWITCH_CALLS = 40  # instances of gate and writer that `cutover writes` starts by default, 20 of each
ENTITY_CALLS = names.LANES + 1  # copy's lanes and the bridge


def checks(context: Context, entity: EntityTarget) -> list[Check]:
    return [_concurrency(context), _variables(context, entity), _resources(context)]


def _concurrency(context: Context) -> Check:
    limit = context.clients.functions.get_account_settings().get("AccountLimit", {})
    found, entities = limit.get("UnreservedConcurrentExecutions", 0), len(context.target.entities)
    needed = SWITCH_CALLS + ENTITY_CALLS * entities
    return Check(
        name="lambda concurrency",
        ok=found >= needed,
        value=f"{found:,} at once",
        limit=f"{needed:,} at least: {ENTITY_CALLS} an entity, {SWITCH_CALLS} in a switch",
        remedy=f"Let AWS raise the quota Concurrent executions: {LAMBDA}. A throttled gate or lane makes clients wait.",
    )


def _variables(context: Context, entity: EntityTarget) -> Check:
    """Those that the stage has, and those that `init` would add for this entity."""
    target = context.target
    stage = context.clients.apigateway.get_stage(restApiId=target.api_id, stageName=target.stage_name)
    count = len({*stage.get("variables", {}), entity.reads_variable, entity.writes_variable})
    return Check(
        name="stage variables",
        ok=count <= STAGE_VARIABLES,
        value=f"{count:,}",
        limit=f"{STAGE_VARIABLES} at most",
        remedy=f"Remove variables that streamback does not use, or deploy a second stack: {REST_APIS}.",
    )


def _resources(context: Context) -> Check:
    """Information only: AWS has made them all, and raises this quota on request."""
    pages = context.clients.apigateway.get_paginator("get_resources").paginate(restApiId=context.target.api_id)
    count = sum(len(page["items"]) for page in pages)
    return Check(name="api resources", ok=True, value=f"{count:,}", limit="300, unless AWS has raised it")
