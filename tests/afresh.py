"""The shared sandbox made as it was before any test, so that no test file depends on what ran before it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from functions.domain import names
from runbook import init
from runbook.aws import outputs as targets
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.checks import heartbeat
from runbook.copy import control
from runbook.cutover.command import Scope, Switch
from runbook.cutover.steps import Choices, OperationKind
from runbook.quarantine.actions import EntityQuarantine
from runbook.stack import Context
from sandbox.lifecycle import Sandbox

# The bridge gathers nothing: most tests wait for it, and what it does with large batches has tests of its own.
AT_ONCE = {"bridgeBatchSize": 10, "bridgeWindowSeconds": 0}
# The control row as `runbook init` makes it, with a bridge that leaves alone what was in the stream until now.
NEW = (
    "fenced = 0, legacy_stamp = 0, generation = 0, legacy_since = NULL, modern_since = NULL, "
    "bridged_since = UTC_TIMESTAMP()"
)
WRITTEN_AT_ONCE = 25  # items in one BatchWriteItem
TIMEOUT = 60.0
BETWEEN = 0.05


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(BETWEEN)


def afresh(sandbox: Sandbox) -> Context:
    """The sandbox's context: every entity on legacy, both sides empty, copy never started, nothing quarantined."""
    context = Context.of(targets.parse(sandbox.outputs, "the sandbox"))
    init.run(context, create_tables=True)
    for entity in context.target.entities.values():
        back = Switch(
            context, entity, OperationKind.ROLLBACK, Scope.BOTH, Choices(propagation_wait=0.0, warm=1, force=True)
        )
        if back.plan().steps:
            back.execute()
        forget_copy(context, entity)
        context.routing.route(entity, Routes(writes=Side.LEGACY))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda entity: _empty(context, entity, sandbox), context.target.entities.values()))
    emptied = time.time()
    for entity in context.target.entities.values():
        EntityQuarantine(context, entity).drop()
        _forget(context, entity)
    init.run(context)
    until(lambda: time.time() >= math.ceil(emptied))  # the stream's times have seconds
    return context


def forget_copy(context: Context, entity: EntityTarget) -> None:
    """As if copy had never been started: no triggers, no record, no lane at work."""
    if context.journal.find_record(entity.name, names.COPY_RECORD):
        control.stop(context, entity)
        until(lambda: not any(_leased(context, entity, lane) for lane in range(names.LANES)))
    context.switch_schedules(entity, enabled=False, check=lambda: None)
    database = context.aurora.database(context.target.mapping[entity.name].legacy.database)
    database.execute(f"UPDATE {names.TOKENS_TABLE} SET token = 0 WHERE entity = '{entity.name}'")  # no operator is left
    event = json.dumps({"action": "release", "entity": entity.name})
    context.clients.functions.invoke(FunctionName=context.target.bridge_install_function, Payload=event)
    for record in (names.COPY_RECORD, *map(names.lane_record, range(names.LANES))):
        key = {"entity": {"S": entity.name}, "record": {"S": record}}
        context.clients.dynamodb.delete_item(TableName=context.target.journal_table, Key=key)


def delete_items(context: Context, entity: EntityTarget) -> None:
    """Delete every item of the modern table; the bridge sees to the rows when it may."""
    name = context.target.mapping[entity.name].modern.key
    dynamodb, table = context.clients.dynamodb, entity.modern_table
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        deletes = [{"DeleteRequest": {"Key": {name: item[name]}}} for item in page["Items"]]
        for start in range(0, len(deletes), WRITTEN_AT_ONCE):
            answer = dynamodb.batch_write_item(RequestItems={table: deletes[start : start + WRITTEN_AT_ONCE]})
            assert not answer.get("UnprocessedItems")


def _leased(context: Context, entity: EntityTarget, lane: int) -> bool:
    record = context.journal.find_record(entity.name, names.lane_record(lane))
    return bool(record) and record["expires"] > time.time()


def _empty(context: Context, entity: EntityTarget, sandbox: Sandbox) -> None:
    """Delete the items, wait until the bridge is through with all that was in its stream, then delete the rows."""
    described = context.target.mapping[entity.name]
    delete_items(context, entity)
    assert heartbeat.send(context, entity).arrived
    with sandbox.database.connect(database=described.legacy.database) as client, client.cursor() as cursor:
        cursor.execute(f"DELETE FROM {described.legacy.table}")
        cursor.execute(f"DELETE FROM {names.CHANGES_TABLE} WHERE entity = %s", [entity.name])
        cursor.execute(f"UPDATE {names.CONTROL_TABLE} SET {NEW} WHERE entity = %s", [entity.name])


def _forget(context: Context, entity: EntityTarget) -> None:
    table, dynamodb = context.target.journal_table, context.clients.dynamodb
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="entity = :entity",
        ExpressionAttributeValues={":entity": {"S": entity.name}},
        ConsistentRead=True,
    )
    for page in pages:
        for item in page["Items"]:
            key = {name: item[name] for name in ("entity", "record")}
            dynamodb.delete_item(TableName=table, Key=key)
    for key in names.gate_keys(entity.name):
        dynamodb.delete_item(TableName=table, Key=key)
