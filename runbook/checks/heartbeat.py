"""The probe: an item that no API shows is written to DynamoDB and must reach Aurora by way of the bridge.

It proves the whole road (stream, filter, mapping, function, its MySQL user) at this moment. One probe travels
in the one shard of its key, so it does not say that every other shard is drained.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.stack import Context

PATIENCE = 60.0  # seconds; covers Aurora waking from zero (about 15) and a cold start of the bridge
FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0


@dataclass(frozen=True)
class Arrival:
    """Whether the probe arrived, and after how many seconds (or how long it was waited for)."""

    arrived: bool
    seconds: float


def send(context: Context, entity: EntityTarget, patience: float = PATIENCE) -> Arrival:
    """Write a probe with a fresh token, wait for it in Aurora, and always delete its item again."""
    token = uuid.uuid4().hex
    begun = time.monotonic()
    try:
        _put(context, entity, token)
        arrived = _await(context, entity, token, begun + patience)
    finally:
        context.clients.dynamodb.delete_item(TableName=entity.modern_table, Key=_key(context, entity))
    return Arrival(arrived, time.monotonic() - begun)


def check(context: Context, entity: EntityTarget, patience: float = PATIENCE) -> Check:
    """A probe as a check."""
    arrival = send(context, entity, patience)
    value = f"arrived in {arrival.seconds:.1f} s" if arrival.arrived else "did not arrive"
    return Check(
        name="probe",
        ok=arrival.arrived,
        value=value,
        limit=f"arrives within {patience:.0f} s",
        remedy="Read the bridge function's log: what DynamoDB gets does not reach Aurora now.",
    )


def _await(context: Context, entity: EntityTarget, token: str, deadline: float) -> bool:
    """Wait for the token.

    Two operators share the one probe item: when another's token passes, ours is sent again.
    """
    wait, other = FIRST_WAIT, _seen(context, entity)
    while True:
        seen = _seen(context, entity)
        if seen == token:
            return True
        if time.monotonic() > deadline:
            return False
        if seen != other:
            other = seen
            _put(context, entity, token)
        time.sleep(wait)
        wait = min(wait * 1.5, LONGEST_WAIT)


def _put(context: Context, entity: EntityTarget, token: str) -> None:
    item = {**_key(context, entity), names.PROBE_ATTRIBUTE: {"S": token}}
    context.clients.dynamodb.put_item(TableName=entity.modern_table, Item=item)


def _key(context: Context, entity: EntityTarget) -> dict[str, dict[str, str]]:
    return {context.target.mapping[entity.name].modern.key: {"S": names.PROBE_KEY}}


def _seen(context: Context, entity: EntityTarget) -> str | None:
    database = context.target.mapping[entity.name].legacy.database
    sql = f"SELECT token FROM {names.PROBES_TABLE} WHERE entity = :entity"  # noqa: S608  # a constant of ours
    rows = context.aurora.query(database, sql, {"entity": entity.name})
    return str(rows[0][0]) if rows else None
