"""Whether an entity's bridge works: its stream mapping, what it could not apply, and its lag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from functions.aws.quarantine import QuarantineTable
from runbook.aws.failure_bucket import DeadLetterObjects
from runbook.aws.outputs import EntityTarget, Target
from runbook.checks.check import Check
from runbook.stack import Context

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import EventSourceMappingConfigurationResponseTypeDef

VIEW = "NEW_AND_OLD_IMAGES"
LAG_WINDOW = timedelta(minutes=5)
REDEPLOY = (  # --refresh, because without it Pulumi compares the program with its own state, not with AWS
    "Run `pulumi up --refresh` (in a sandbox: `sandbox up --refresh`), which restores the mapping."
)
REPLAY = "`runbook quarantine replay --all`"


def deployed(target: Target, entity: EntityTarget) -> bool:
    return "bridge" in target.parts and bool(entity.bridge_mapping_id)


def mapping(context: Context, entity: EntityTarget) -> list[Check]:
    """The stream mapping; where there is no bridge, that is the only check."""
    if not deployed(context.target, entity):
        remedy = "Deploy the bridge first: see `parts` in the stack's settings."
        return [Check(name="bridge", ok=False, value="not deployed", limit="deployed", remedy=remedy)]
    functions = context.clients.functions
    try:
        found = functions.get_event_source_mapping(UUID=entity.bridge_mapping_id)
    except functions.exceptions.ResourceNotFoundException:
        return [Check(name="mapping", ok=False, value="missing", limit="Enabled", remedy=REDEPLOY)]
    table = context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    view = table.get("StreamSpecification", {}).get("StreamViewType", "no stream")
    return [
        _state(found, entity),
        _stream(found, table.get("LatestStreamArn", "no stream")),
        Check(name="stream view", ok=view == VIEW, value=view, limit=VIEW, remedy=REDEPLOY),
        _filter(found),
        _last_result(found),
    ]


def quarantined(context: Context, entity: EntityTarget) -> list[Check]:
    """What the bridge could not apply: records in quarantine, and batches that were dead-lettered."""
    if not deployed(context.target, entity):
        return []
    clients, target = context.clients, context.target
    look = f"Run `runbook quarantine list --entity {entity.name}`"
    return [
        _empty(
            "quarantine",
            QuarantineTable(clients.dynamodb, target.quarantine_table, entity.name).count(),
            f"{look} for the reasons, repair the records, then run {REPLAY}.",
        ),
        _empty(
            "dead-lettered",
            len(DeadLetterObjects(clients.s3, target, entity).names()),
            f"These batches exceeded the record age limit. {look}, then {REPLAY}.",
        ),
    ]


def _empty(name: str, count: int, remedy: str) -> Check:
    value = f"{count:,} waiting" if count else "empty"
    return Check(name=name, ok=count == 0, value=value, limit="empty", remedy=remedy)


def _state(mapping: EventSourceMappingConfigurationResponseTypeDef, entity: EntityTarget) -> Check:
    state = mapping.get("State", "unknown")
    enable = f"aws lambda update-event-source-mapping --enabled --uuid {entity.bridge_mapping_id}"
    remedy = f"Enable it: `{enable}`" if state in {"Disabled", "Disabling"} else "Wait until it is enabled."
    return Check(name="mapping", ok=state == "Enabled", value=state, limit="Enabled", remedy=remedy)


def _stream(mapping: EventSourceMappingConfigurationResponseTypeDef, latest: str) -> Check:
    source = mapping.get("EventSourceArn", "none")
    limit = f"the table's latest, {_label(latest)}"
    remedy = f"The mapping reads a stream that has ended. {REDEPLOY}"
    return Check(name="stream", ok=source == latest, value=_label(source), limit=limit, remedy=remedy)


def _label(arn: str) -> str:
    return arn.rpartition("/stream/")[2]


def _filter(mapping: EventSourceMappingConfigurationResponseTypeDef) -> Check:
    """A filter sees one image, and the bridge needs two: it would drop what others write to an item that copy wrote."""
    count = len(mapping.get("FilterCriteria", {}).get("Filters", []))
    value = f"{count} patterns" if count else "none"
    return Check(name="filter", ok=not count, value=value, limit="none", remedy=REDEPLOY)


def _last_result(mapping: EventSourceMappingConfigurationResponseTypeDef) -> Check:
    result = mapping.get("LastProcessingResult") or "No records processed"
    ok = not result.upper().startswith("PROBLEM")
    remedy = "Read the bridge function's log and remove the cause. It retries without action."
    return Check(name="last batch", ok=ok, value=result, limit="OK", remedy=remedy)


def lag_seconds(context: Context, entity: EntityTarget) -> float | None:
    """The highest iterator age of the last five minutes in seconds.

    None when no record came through, which is not a lag of zero.
    """
    end = datetime.now(UTC)
    answer = context.clients.cloudwatch.get_metric_statistics(
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
