"""Copy's schedules in EventBridge Scheduler: an entity's calls all its lanes every minute, if it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import GetScheduleOutputTypeDef

ENABLED, DISABLED, MISSING = "ENABLED", "DISABLED", "MISSING"
# UpdateSchedule sets what it is not given to its default, so that the whole schedule is sent back.
WRITABLE = (
    "Name",
    "GroupName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
    "StartDate",
    "EndDate",
    "ActionAfterCompletion",
    "Description",
    "KmsKeyArn",
)


def states(scheduler: EventBridgeSchedulerClient, schedules: Sequence[str]) -> list[str]:
    """ENABLED, DISABLED or MISSING, in the order of the names."""
    return [found["State"] if (found := _find(scheduler, name)) else MISSING for name in schedules]


def switch(
    scheduler: EventBridgeSchedulerClient, schedules: Sequence[str], *, enabled: bool, check: Callable[[], None]
) -> None:
    """Enable or disable them; one that is as wanted is left alone, and a missing one counts as disabled.

    Args:
        check: called before each change; raises if another operator may hold the lock.

    Raises:
        FailedError: one that is to be enabled is missing.
    """
    wanted = ENABLED if enabled else DISABLED
    for name in schedules:
        found = _find(scheduler, name)
        if found is None:
            if enabled:
                raise FailedError(f"copy's schedule {name} is missing", "Run `pulumi up --refresh`, then this again.")
            continue
        if found["State"] != wanted:
            check()
            kept = {key: value for key, value in cast("dict[str, Any]", found).items() if key in WRITABLE}
            scheduler.update_schedule(**kept, State=wanted)


def _find(scheduler: EventBridgeSchedulerClient, name: str) -> GetScheduleOutputTypeDef | None:
    try:
        return scheduler.get_schedule(Name=name)
    except scheduler.exceptions.ResourceNotFoundException:
        return None
