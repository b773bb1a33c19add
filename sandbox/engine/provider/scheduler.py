"""Schedules of EventBridge Scheduler."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, found, pick
from sandbox.engine.state import Record

SCHEDULE = (
    "scheduleExpression scheduleExpressionTimezone flexibleTimeWindow target state description startDate "
    "endDate kmsKeyArn"
)


@handles(
    "aws:scheduler/schedule:Schedule",
    properties="name groupName",
    updates=SCHEDULE,
    name=AutoName("name", 64),
    holds_data=True,  # its state says whether copy runs
)
class Schedule(Handler):
    """A schedule; an update puts it whole."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        made = self.aws.client("scheduler").create_schedule(**pick(inputs, f"name groupName {SCHEDULE}"))
        return Made(f"{inputs.get('groupName', 'default')}/{inputs['name']}", {"arn": made["ScheduleArn"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self.aws.client("scheduler").update_schedule(**pick(inputs, f"name groupName {SCHEDULE}"))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        schedule = self.aws.client("scheduler").get_schedule(**pick(record.inputs, "name groupName"))
        return found(schedule, SCHEDULE)

    def delete(self, record: Record) -> None:
        self.aws.client("scheduler").delete_schedule(**pick(record.inputs, "name groupName"))
