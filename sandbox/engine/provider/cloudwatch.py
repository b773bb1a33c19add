"""Log groups, alarms and dashboards."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, found, pascal, pick, section, tags
from sandbox.engine.state import Record


@handles(
    "aws:cloudwatch/logGroup:LogGroup",
    properties="name logGroupClass tags",
    updates="kmsKeyId retentionInDays skipDestroy",
    name=AutoName("name", 512),
)
class LogGroup(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        arguments = pick(inputs, "", logGroupName="name", kmsKeyId="kmsKeyId", logGroupClass="logGroupClass")
        self.aws.client("logs").create_log_group(**arguments, tags=section(inputs, "tags"))
        self._retain(inputs)
        return Made(inputs["name"], {"arn": self.aws.arn("logs", f"log-group:{inputs['name']}")})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self._retain(inputs)
        if "kmsKeyId" in changed:
            self._encrypt(record.id, inputs.get("kmsKeyId"))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        groups = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=record.id)["logGroups"]
        group = next(each for each in groups if each["logGroupName"] == record.id)
        return {"retentionInDays": group.get("retentionInDays", 0), "kmsKeyId": group.get("kmsKeyId", "")}

    def has(self, record: Record) -> bool:
        groups = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=record.id)["logGroups"]
        return any(each["logGroupName"] == record.id for each in groups)

    def delete(self, record: Record) -> None:
        if not record.inputs.get("skipDestroy"):
            self.aws.client("logs").delete_log_group(logGroupName=record.id)

    def _encrypt(self, group: str, key: str | None) -> None:
        logs = self.aws.client("logs")
        if key:
            logs.associate_kms_key(logGroupName=group, kmsKeyId=key)
        else:
            logs.disassociate_kms_key(logGroupName=group)

    def _retain(self, inputs: Mapping[str, Any]) -> None:
        logs = self.aws.client("logs")
        if inputs.get("retentionInDays"):
            logs.put_retention_policy(logGroupName=inputs["name"], retentionInDays=inputs["retentionInDays"])
        else:
            logs.delete_retention_policy(logGroupName=inputs["name"])


ALARM = (
    "actionsEnabled alarmActions alarmDescription comparisonOperator datapointsToAlarm evaluationPeriods "
    "extendedStatistic insufficientDataActions metricName namespace period statistic threshold treatMissingData unit"
)


@handles(
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    properties="name tags",
    updates=f"{ALARM} okActions dimensions metricQueries",
    name=AutoName("name", 255),
)
class MetricAlarm(Handler):
    """An alarm; putting it again changes it whole."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self._put(inputs, Tags=tags(inputs))
        return Made(inputs["name"], {"arn": self.aws.arn("cloudwatch", f"alarm:{inputs['name']}")})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self._put(inputs)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        (alarm,) = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[record.id])["MetricAlarms"]
        dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
        return {**found(alarm, ALARM, okActions="OKActions"), "dimensions": dimensions}

    def delete(self, record: Record) -> None:
        self.aws.client("cloudwatch").delete_alarms(AlarmNames=[record.id])

    def _put(self, inputs: Mapping[str, Any], **more: Any) -> None:
        arguments = pick(inputs, ALARM, AlarmName="name", OKActions="okActions")
        if inputs.get("dimensions"):
            arguments["Dimensions"] = _dimensions(inputs["dimensions"])
        if inputs.get("metricQueries"):
            arguments["Metrics"] = [_query(query) for query in inputs["metricQueries"]]
        self.aws.client("cloudwatch").put_metric_alarm(**arguments, **more)


def _dimensions(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    found = pascal({key: value for key, value in query.items() if key != "metric"})
    if metric := query.get("metric"):
        which = {**pick(metric, "namespace metricName"), "Dimensions": _dimensions(section(metric, "dimensions"))}
        found["MetricStat"] = {"Metric": which, **pick(metric, "period unit", Stat="stat")}
    return found
