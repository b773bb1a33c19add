"""`runbook status`: where each entity stands: phase, routes, bridge, counts of both sides, lag.

It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.domain import names
from runbook import health, probe
from runbook.checks import green
from runbook.journal import Phase
from runbook.routing import Side, reads_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbook.checks import Check
    from runbook.context import Context
    from runbook.journal import State
    from runbook.routing import Routes
    from runbook.target import EntityTarget

PAGES = (
    20  # of 1 MB each: a table larger than that is not scanned only to be counted, unless --exact asks for it
)
ROWS = 1_000_000  # likewise for Aurora, by InnoDB's own estimate


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many records a side has.

    `exact` is False where the size forbids counting and the system's estimate is shown.
    """

    records: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where one entity stands.

    `state` is None before `runbook init`; a side that is not deployed has no count.
    """

    entity: str
    state: State | None
    routes: Routes
    agree: bool
    bridge: Sequence[Check]
    legacy: Count | None
    modern: Count | None
    lag: float | None

    @property
    def healthy(self) -> bool:
        """Whether every check of the bridge holds."""
        return green(self.bridge)


def run(context: Context, entity: EntityTarget, *, send_probe: bool, exact: bool) -> Status:
    """Look at one entity.

    `send_probe` also sends a probe through the bridge, `exact` counts tables of any size.
    """
    state = context.journal.find(entity.name)
    routes = context.routing.routes(entity)
    bridged = bool(entity.bridge_mapping_id) and not (state and state.phase == Phase.COMPLETE)
    bridge = health.bridge(context.clients, context.target, entity) if bridged else []
    if send_probe and bridge:
        bridge = [*bridge, probe.check(context, entity)]
    return Status(
        entity=entity.name,
        state=state,
        routes=routes,
        agree=state is None or _agree(state, routes),
        bridge=bridge,
        legacy=legacy_count(context, entity, exact=exact) if state and context.target.cluster_arn else None,
        modern=_modern_count(context, entity, exact=exact) if entity.modern_table else None,
        lag=health.lag_seconds(context.clients.cloudwatch, entity) if bridged else None,
    )


def _agree(state: State, routes: Routes) -> bool:
    """Whether the public endpoint goes where the journal says."""
    writes = Side.MODERN if state.phase in {Phase.MODERN, Phase.COMPLETE} else Side.LEGACY
    return routes.reads == reads_side(state.reads) and (
        routes.writes == writes or state.operation is not None
    )


def legacy_count(context: Context, entity: EntityTarget, *, exact: bool) -> Count:
    """The rows of the legacy table; an estimate where there are too many to count, unless `exact`."""
    table = context.target.mapping[entity.name].legacy
    if not exact:
        estimate = context.aurora.query(
            table.database,
            "SELECT table_rows FROM information_schema.tables"
            " WHERE table_schema = :schema AND table_name = :name",
            {"schema": table.database, "name": table.table},
        )
        if estimate and int(estimate[0][0] or 0) > ROWS:
            return Count(records=int(estimate[0][0]), exact=False)
    name = f"`{table.database}`.`{table.table}`"  # both checked to be plain names when the mapping was read
    rows = context.aurora.query(table.database, f"SELECT COUNT(*) FROM {name}")  # noqa: S608  # see above
    return Count(records=int(rows[0][0]), exact=True)


def _modern_count(context: Context, entity: EntityTarget, *, exact: bool) -> Count:
    """The table's items without the probe's."""
    client = context.clients.dynamodb
    pages = client.get_paginator("scan").paginate(
        TableName=entity.modern_table,
        Select="COUNT",
        FilterExpression="attribute_not_exists(#probe)",
        ExpressionAttributeNames={"#probe": names.PROBE_ATTRIBUTE},
    )
    count = 0
    for number, page in enumerate(pages, start=1):
        count += page["Count"]
        if number == PAGES and not exact and page.get("LastEvaluatedKey"):
            estimate = client.describe_table(TableName=entity.modern_table)["Table"].get("ItemCount", 0)
            return Count(
                records=max(estimate, count), exact=False
            )  # AWS renews its own count every six hours
    return Count(records=count, exact=True)
