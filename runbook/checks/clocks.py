"""Whether this machine, Aurora and DynamoDB tell the same time: leases, lags and the journal compare their clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.stack import Context

LIMIT = 5.0  # seconds
WHOLE_SECOND = 1.0  # the Date header tells no more


def check(context: Context, entity: EntityTarget) -> Check:
    """Two small requests; how long each took is not counted against the other clock."""
    skews = {"Aurora": _aurora(context), "DynamoDB": _dynamodb(context, entity)}
    return Check(
        name="clocks",
        ok=all(abs(skew) <= LIMIT for skew in skews.values()),
        value=", ".join(f"{name} {skew:+.1f} s" for name, skew in skews.items()),
        limit=f"{LIMIT:.0f} s from this machine's",
        remedy="Set this machine's clock: `timedatectl set-ntp true`, or your system's own way.",
    )


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def _aurora(context: Context) -> float:
    begin = now()
    told = str(context.aurora.query("", "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)")[0][0])
    return skew(begin, datetime.fromisoformat(told).replace(tzinfo=UTC), now(), 0)


def _dynamodb(context: Context, entity: EntityTarget) -> float:
    begin = now()
    answer = context.clients.dynamodb.describe_table(TableName=entity.modern_table)
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    return skew(begin, parsedate_to_datetime(told), now(), WHOLE_SECOND) if told else 0.0


def skew(begin: datetime, told: datetime, end: datetime, step: float) -> float:
    """Seconds that the other clock surely is ahead (or behind, below zero).

    Args:
        begin: this machine's time before the request.
        told: the other's.
        end: this machine's after the answer.
        step: what the other leaves away at most: its time lies between `told` and `told + step`.
    """
    ahead, behind = (told - end).total_seconds(), (told - begin).total_seconds() + step
    return max(ahead, 0.0) or min(behind, 0.0)
