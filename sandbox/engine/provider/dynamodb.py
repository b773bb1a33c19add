"""Tables and their streams."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, known, pick, section, tags
from sandbox.engine.state import Record


@handles(
    "aws:dynamodb/table:Table",
    properties="name hashKey rangeKey attributes tags",
    updates=(
        "billingMode readCapacity writeCapacity streamEnabled streamViewType pointInTimeRecovery ttl "
        "deletionProtectionEnabled serverSideEncryption tableClass"
    ),
    name=AutoName("name", 255),
    holds_data=True,
)
class Table(Handler):
    """A table with its stream, point-in-time recovery and expiry."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        keys = [(inputs["hashKey"], "HASH"), *([(inputs["rangeKey"], "RANGE")] if "rangeKey" in inputs else [])]
        table = self.aws.client("dynamodb").create_table(
            TableName=inputs["name"],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[
                {"AttributeName": item["name"], "AttributeType": item["type"]} for item in inputs["attributes"]
            ],
            Tags=tags(inputs),
            **_settings(inputs),
            **_stream(inputs),
            **_encryption(inputs),
        )["TableDescription"]
        self._extras(inputs, frozenset(inputs))
        return Made(inputs["name"], _outputs(table))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        present = {name: value for name, value in inputs.items() if name in changed}
        arguments = _settings(present) | (_stream(inputs) if changed & {"streamEnabled", "streamViewType"} else {})
        if "serverSideEncryption" in changed:
            arguments |= _encryption(inputs) or {"SSESpecification": {"Enabled": False}}
        dynamodb = self.aws.client("dynamodb")
        if arguments:
            dynamodb.update_table(TableName=record.id, **arguments)
        self._extras(inputs, changed)
        return _outputs(dynamodb.describe_table(TableName=record.id)["Table"])

    def observed(self, record: Record) -> Mapping[str, Any]:
        dynamodb, place = self.aws.client("dynamodb"), {"TableName": record.id}
        table = dynamodb.describe_table(**place)["Table"]
        stream: Mapping[str, Any] = table.get("StreamSpecification") or {}
        backups = dynamodb.describe_continuous_backups(**place)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        return {
            "streamEnabled": stream.get("StreamEnabled", False),
            "streamViewType": stream.get("StreamViewType"),
            "pointInTimeRecovery": {"enabled": recovery},
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "billingMode": table.get("BillingModeSummary", {}).get("BillingMode"),
            "ttl": _expiry(dynamodb.describe_time_to_live(**place)["TimeToLiveDescription"]),
        }

    def refresh(self, record: Record) -> None:
        super().refresh(record)
        record.outputs = _outputs(self.aws.client("dynamodb").describe_table(TableName=record.id)["Table"])

    def release(self, record: Record) -> None:
        if record.inputs.get("deletionProtectionEnabled"):
            self.aws.client("dynamodb").update_table(TableName=record.id, DeletionProtectionEnabled=False)

    def delete(self, record: Record) -> None:
        self.aws.client("dynamodb").delete_table(TableName=record.id)

    def _extras(self, inputs: Mapping[str, Any], changed: frozenset[str]) -> None:
        dynamodb = self.aws.client("dynamodb")
        if "pointInTimeRecovery" in changed:
            recovery = known(inputs.get("pointInTimeRecovery") or {"enabled": False}, "enabled recoveryPeriodInDays")
            specification = {
                "PointInTimeRecoveryEnabled": recovery["enabled"],
                **pick(recovery, "", RecoveryPeriodInDays="recoveryPeriodInDays"),
            }
            dynamodb.update_continuous_backups(TableName=inputs["name"], PointInTimeRecoverySpecification=specification)
        if "ttl" in changed and "ttl" in inputs:
            asked = known(inputs["ttl"], "attributeName enabled")
            expiry = {"AttributeName": asked["attributeName"], "Enabled": asked.get("enabled", False)}
            dynamodb.update_time_to_live(TableName=inputs["name"], TimeToLiveSpecification=expiry)


def _expiry(described: Mapping[str, Any]) -> dict[str, Any]:
    enabled = described.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    return {"attributeName": described.get("AttributeName", ""), "enabled": enabled}


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    arguments = pick(inputs, "billingMode tableClass deletionProtectionEnabled")
    if "readCapacity" in inputs:
        throughput = {"ReadCapacityUnits": inputs["readCapacity"], "WriteCapacityUnits": inputs["writeCapacity"]}
        arguments["ProvisionedThroughput"] = throughput
    return arguments


def _stream(inputs: Mapping[str, Any]) -> dict[str, Any]:
    if not inputs.get("streamEnabled"):
        return {"StreamSpecification": {"StreamEnabled": False}} if "streamEnabled" in inputs else {}
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": inputs["streamViewType"]}}


def _encryption(inputs: Mapping[str, Any]) -> dict[str, Any]:
    asked = known(section(inputs, "serverSideEncryption"), "enabled kmsKeyArn")
    if not asked.get("enabled"):
        return {}
    return {"SSESpecification": {"Enabled": True, "SSEType": "KMS", **pick(asked, "", KMSMasterKeyId="kmsKeyArn")}}


def _outputs(table: Mapping[str, Any]) -> dict[str, Any]:
    stream = {"streamArn": table.get("LatestStreamArn", ""), "streamLabel": table.get("LatestStreamLabel", "")}
    return {"arn": table["TableArn"], **stream}
