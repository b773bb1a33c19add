"""Whether the bridge of an entity is whole.

Its stream mapping, what it could not apply, and how far behind it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.aws.quarantine import QuarantineTable
from functions.domain import names
from runbook.aws.clients import Clients
from runbook.aws.outputs import EntityTarget, Target
from runbook.checks.check import Check
from runbook.quarantine.failure_bucket import Failures

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import EventSourceMappingConfigurationResponseTypeDef
    from mypy_boto3_s3 import S3Client

VIEW = "NEW_AND_OLD_IMAGES"
LAG_WINDOW = timedelta(minutes=5)
REDEPLOY = (  # why --refresh: without it Pulumi compares the program with what it made, not with what is there
    "Run `pulumi up --refresh` (a sandbox: `sandbox down`, `sandbox up`): it puts the mapping back as the program says."
)
SETTLE = "`runbook quarantine replay --all`."


def deployed(target: Target, entity: EntityTarget) -> bool:
    """Whether the entity has a bridge at all."""
    return "bridge" in target.parts and bool(entity.bridge_mapping_id)


def bridge(clients: Clients, target: Target, entity: EntityTarget) -> list[Check]:
    """Every check of the entity's bridge that sends nothing through it."""
    if not deployed(target, entity):
        remedy = "Deploy the bridge first: see `parts` in the stack's settings."
        return [Check(name="bridge", ok=False, value="not deployed", limit="deployed", remedy=remedy)]
    return [
        *_mapping(clients.functions, clients.dynamodb, entity),
        _quarantine(clients.dynamodb, target, entity),
        _failures(clients.s3, target, entity),
    ]


def _mapping(functions: LambdaClient, dynamodb: DynamoDBClient, entity: EntityTarget) -> list[Check]:
    try:
        mapping = functions.get_event_source_mapping(UUID=entity.bridge_mapping_id)
    except functions.exceptions.ResourceNotFoundException:
        return [Check(name="mapping", ok=False, value="missing", limit="Enabled", remedy=REDEPLOY)]
    table = dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    view = table.get("StreamSpecification", {}).get("StreamViewType", "no stream")
    return [
        _state(mapping, entity),
        _stream(mapping, table.get("LatestStreamArn", "no stream")),
        Check(name="stream view", ok=view == VIEW, value=view, limit=VIEW, remedy=REDEPLOY),
        _filter(mapping),
        _last_result(mapping),
    ]


def _state(mapping: EventSourceMappingConfigurationResponseTypeDef, entity: EntityTarget) -> Check:
    state = mapping.get("State", "unknown")
    enable = f"aws lambda update-event-source-mapping --enabled --uuid {entity.bridge_mapping_id}"
    remedy = f"Enable it: `{enable}`" if state in {"Disabled", "Disabling"} else "Wait until it is."
    return Check(name="mapping", ok=state == "Enabled", value=state, limit="Enabled", remedy=remedy)


def _stream(mapping: EventSourceMappingConfigurationResponseTypeDef, latest: str) -> Check:
    source = mapping.get("EventSourceArn", "none")
    return Check(
        name="stream",
        ok=source == latest,
        value=_label(source),
        limit=f"the table's latest, {_label(latest)}",
        remedy=f"The mapping reads a stream that ended. {REDEPLOY}",
    )


def _label(arn: str) -> str:
    return arn.rpartition("/stream/")[2]


def _filter(mapping: EventSourceMappingConfigurationResponseTypeDef) -> Check:
    filters = mapping.get("FilterCriteria", {}).get("Filters", [])
    present = [json.loads(one.get("Pattern", "null")) for one in filters]
    same = canonical(present) == canonical(names.BRIDGE_FILTERS)
    value = "as the program has it" if same else f"{len(present)} other patterns" if present else "none"
    return Check(name="filter", ok=same, value=value, limit="as the program has it", remedy=REDEPLOY)


def canonical(values: Sequence[Any]) -> frozenset[str]:
    """The patterns without regard to their order and spelling."""
    return frozenset(json.dumps(value, sort_keys=True) for value in values)


def _last_result(mapping: EventSourceMappingConfigurationResponseTypeDef) -> Check:
    result = mapping.get("LastProcessingResult") or "No records processed"
    ok = not result.upper().startswith("PROBLEM")
    return Check(
        name="last batch",
        ok=ok,
        value=result,
        limit="OK",
        remedy="Read the bridge function's log; it tries again by itself, so the cause is what to mend.",
    )


def _quarantine(dynamodb: DynamoDBClient, target: Target, entity: EntityTarget) -> Check:
    count = QuarantineTable(dynamodb, target.quarantine_table, entity.name).count()
    remedy = f"See why with `runbook quarantine list --entity {entity.name}`, mend it, then {SETTLE}"
    return Check(name="quarantine", ok=count == 0, value=_pile(count), limit="empty", remedy=remedy)


def _failures(s3: S3Client, target: Target, entity: EntityTarget) -> Check:
    count = len(Failures(s3, target, entity).names())
    look = f"`runbook quarantine list --entity {entity.name}`"
    remedy = f"Batches outlived the record age limit: see {look}, then {SETTLE}"
    return Check(name="given up", ok=count == 0, value=_pile(count), limit="empty", remedy=remedy)


def _pile(count: int) -> str:
    return f"{count:,} waiting" if count else "empty"


def lag_seconds(cloudwatch: CloudWatchClient, entity: EntityTarget) -> float | None:
    """The highest iterator age of the last five minutes in seconds.

    None when no record went through (not zero lag).
    """
    end = datetime.now(UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="IteratorAge",
        Dimensions=[{"Name": "FunctionName", "Value": entity.bridge_function}],
        StartTime=end - LAG_WINDOW,
        EndTime=end,
        Period=60,
        Statistics=["Maximum"],
    )
    ages = [point["Maximum"] / 1000 for point in answer["Datapoints"] if "Maximum" in point]
    return max(ages, default=None)


def summary(checks: Sequence[Check]) -> Mapping[str, Any]:
    """The checks as one JSON value."""
    return {"healthy": all(check.ok for check in checks), "checks": [vars(check) for check in checks]}
