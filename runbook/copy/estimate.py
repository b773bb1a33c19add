"""`copy start --plan`: how large a table is, how long each way would take, what it costs, and which way is taken.

docs/scaling.md has where the figures of a worker and the prices (us-east-1, USD) come from. They are estimates.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from runbook.aws.outputs import EntityTarget
from runbook.stack import Context


class Way(StrEnum):
    """Who does the backfill: the entity's lanes, or a state machine's workers, each on a range of keys."""

    LANES = "lanes"
    RANGES = "ranges"


NIGHT_HOURS = 8.0  # a backfill that the lanes do in this time is left to them
# A second, of one lane or range worker: about half of the bench's rows `1 lane, …` with `make bench LATENCY=aws`,
# because its latencies are low estimates and its rows have 100 bytes.
WORKER_ROWS = 1_000
NEW_TABLE_UNITS = 4_000  # write units a second of an on-demand table that was never written faster
UNITS_PER_ROW = 2  # write units for each KB, in a transaction
WORKERS, RANGE_ROWS = 32, 200_000  # by default
KB = 1024
WRITE_UNITS, READ_UNITS, DATA_API, INVOCATION_SECONDS = 0.625, 0.125, 0.35, 6.7  # dollars a million
TRANSITIONS = 25.0  # dollars a million state transitions
CALLS_PER_ROW = 0.03  # of the Data API: about ten for a page of 396 rows
TRANSITIONS_PER_RANGE = 6


@dataclass(frozen=True, kw_only=True)
class WayEstimate:
    """What a backfill by one way would take.

    Attributes:
        rows_per_second: what the workers do, or the table takes if that is less.
        hours: for all rows.
        dollars: for all rows.
    """

    way: Way
    workers: int
    rows_per_second: float
    hours: float
    dollars: float


@dataclass(frozen=True, kw_only=True)
class CopyPlan:
    """What `copy start` would do, and why.

    Attributes:
        rows: of the legacy table; not `exact` where they are InnoDB's estimate.
        row_bytes: of a row on average, by InnoDB's estimate.
        write_units: that the DynamoDB table takes a second.
        way: the one that is taken.
        reason: why.
        ways: what each would take; one that the stack does not have is left out.
    """

    entity: str
    rows: int
    exact: bool
    row_bytes: int
    write_units: int
    way: Way
    reason: str
    ways: tuple[WayEstimate, ...]


def plan(context: Context, entity: EntityTarget, wanted: Way | None, workers: int = WORKERS) -> CopyPlan:
    """Look at both tables; changes nothing.

    Args:
        wanted: the way that the operator asks for; None to choose by size.
        workers: that copy ranges at once.
    """
    described = context.target.mapping[entity.name]
    count = context.aurora.count(described, exact=False)
    size, units = _row_bytes(context, entity), _write_units(context, entity)
    lanes = estimate(Way.LANES, names.LANES, count.records, size, units)
    ranges = estimate(Way.RANGES, workers, count.records, size, units)
    there = bool(context.target.range_machine_arn)
    way, reason = _choose(wanted, lanes, ranges, there=there)
    return CopyPlan(
        entity=entity.name,
        rows=count.records,
        exact=count.exact,
        row_bytes=size,
        write_units=units,
        way=way,
        reason=reason,
        ways=(lanes, ranges) if there else (lanes,),
    )


def estimate(way: Way, workers: int, rows: int, row_bytes: int, units: int) -> WayEstimate:
    """What a backfill of so many rows takes; pure."""
    kilobytes = max(1, math.ceil(row_bytes / KB))
    speed = min(workers * WORKER_ROWS, units / (UNITS_PER_ROW * kilobytes))
    reading = READ_UNITS * math.ceil(kilobytes / 4)
    per_million = UNITS_PER_ROW * kilobytes * WRITE_UNITS + reading + DATA_API * CALLS_PER_ROW
    per_million += INVOCATION_SECONDS * workers / speed
    dollars = rows / 1e6 * per_million
    if way == Way.RANGES:
        dollars += math.ceil(rows / RANGE_ROWS) * TRANSITIONS_PER_RANGE * TRANSITIONS / 1e6
    return WayEstimate(
        way=way,
        workers=workers,
        rows_per_second=round(speed, 1),
        hours=round(rows / speed / 3600, 2),
        dollars=round(dollars, 2),
    )


def _choose(wanted: Way | None, lanes: WayEstimate, ranges: WayEstimate, *, there: bool) -> tuple[Way, str]:
    if wanted:
        return wanted, "--by asks for it"
    if not there:
        return Way.LANES, "the stack has no state machine; deploy it with `pulumi up`"
    if lanes.hours <= NIGHT_HOURS:
        return Way.LANES, f"the lanes do it within {NIGHT_HOURS:g} hours"
    if ranges.hours >= lanes.hours:
        return Way.LANES, "the DynamoDB table takes no more than the lanes write: raise its warm throughput"
    return Way.RANGES, f"the lanes would take {lanes.hours:g} hours, more than {NIGHT_HOURS:g}"


def _row_bytes(context: Context, entity: EntityTarget) -> int:
    """The average row, by InnoDB's statistics; their age does not matter here."""
    legacy = context.target.mapping[entity.name].legacy
    sql = (
        "SELECT COALESCE(MAX(avg_row_length), 0) FROM information_schema.tables "
        "WHERE table_schema = :name AND table_name = :table"
    )
    try:
        rows = context.aurora.query(legacy.database, sql, {"name": legacy.database, "table": legacy.table})
    except DataApiError:
        return KB
    return int(rows[0][0]) or KB


def _write_units(context: Context, entity: EntityTarget) -> int:
    """What the table takes a second: warm throughput, else provisioned, else what a new table does."""
    table = context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    warm = int(table.get("WarmThroughput", {}).get("WriteUnitsPerSecond", 0))
    provisioned = int(table.get("ProvisionedThroughput", {}).get("WriteCapacityUnits", 0))
    limit = int(table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", 0))
    units = provisioned or warm or NEW_TABLE_UNITS
    return min(units, limit) if limit > 0 else units
