"""The heartbeat: an item that no API shows is written to DynamoDB and must reach Aurora through the bridge.

It proves the whole path (stream, filter, mapping, function, its MySQL user) at this moment. It travels in the one shard
of its key, so it does not say that every other shard is drained.
"""

import time
import uuid
from dataclasses import dataclass

from functions.aws.retry import poll
from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.stack import Context

TIMEOUT = 60.0  # seconds; covers Aurora waking from zero (about 15) and a cold start of the bridge


@dataclass(frozen=True)
class Arrival:
    """Whether the heartbeat arrived, and after how many seconds (or how long it was waited for)."""

    arrived: bool
    seconds: float


def send(context: Context, entity: EntityTarget, timeout: float = TIMEOUT) -> Arrival:
    """Write a heartbeat with a fresh token, wait for it in Aurora, and always delete its item again."""
    token = uuid.uuid4().hex
    begun, other = time.monotonic(), _seen(context, entity)

    def arrived() -> bool:
        nonlocal other
        seen = _seen(context, entity)
        if seen not in {token, other}:  # another operator's heartbeat has replaced ours in the one item
            other = seen
            _put(context, entity, token)
        return seen == token

    try:
        _put(context, entity, token)
        return Arrival(poll(arrived, timeout=timeout), time.monotonic() - begun)
    finally:
        context.clients.dynamodb.delete_item(TableName=entity.modern_table, Key=_key(context, entity))


def check(context: Context, entity: EntityTarget, timeout: float = TIMEOUT) -> Check:
    arrival = send(context, entity, timeout)
    value = f"arrived in {arrival.seconds:.1f} s" if arrival.arrived else "did not arrive"
    remedy = "Read the bridge function's log: changes in DynamoDB do not reach Aurora now."
    return Check(name="heartbeat", ok=arrival.arrived, value=value, limit=_limit(timeout), remedy=remedy)


def not_sent(timeout: float = TIMEOUT) -> Check:
    """In place of the check while the bridge is known to be broken."""
    remedy = "Correct the checks above first."
    return Check(name="heartbeat", ok=None, value="not sent", limit=_limit(timeout), remedy=remedy)


def _limit(timeout: float) -> str:
    return f"arrives within {timeout:.0f} s"


def _put(context: Context, entity: EntityTarget, token: str) -> None:
    item = {**_key(context, entity), names.HEARTBEAT_ATTRIBUTE: {"S": token}}
    context.clients.dynamodb.put_item(TableName=entity.modern_table, Item=item)


def _key(context: Context, entity: EntityTarget) -> dict[str, dict[str, str]]:
    return {context.target.mapping[entity.name].modern.key: {"S": names.HEARTBEAT_KEY}}


def _seen(context: Context, entity: EntityTarget) -> str | None:
    database = context.target.mapping[entity.name].legacy.database
    sql = f"SELECT token FROM {names.HEARTBEATS_TABLE} WHERE entity = :entity"  # noqa: S608  # a constant of ours
    rows = context.aurora.query(database, sql, {"entity": entity.name})
    return str(rows[0][0]) if rows else None
