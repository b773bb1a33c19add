"""What is deployed around the tables: modern table, the mapping's settings, copy, gate, the fence, and the clocks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from functions.aws.mysql_errors import DataApiError
from functions.bridge import stream_guard
from functions.domain.entities import Entity
from functions.domain.phase import Phase
from runbook.aws import fence_policy
from runbook.aws.outputs import EntityTarget
from runbook.aws.table_policy import TablePolicy
from runbook.checks.bridge import REDEPLOY
from runbook.checks.check import Check
from runbook.errors import PreconditionError
from runbook.journal.state import State
from runbook.stack import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef
    from mypy_boto3_lambda.type_defs import EventSourceMappingConfigurationResponseTypeDef

INIT = "Run `runbook init`."
CLOCK_SECONDS = 5.0
DATE_SECONDS = 1.0  # the resolution of an HTTP answer's Date header
OLDEST = 18 * 3600  # seconds that a record may be tried for; the stream forgets it after 24 h
PARTS = "Deploy the part bridge with this version of the program: `pulumi up`."


def checks(context: Context, entity: EntityTarget, state: State | None) -> list[Check]:
    table = context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    described = context.target.mapping[entity.name]
    return [
        _modern(table, described),
        _policy(context, table.get("TableArn", ""), entity, state),
        _known_stream(context, described, state, table.get("LatestStreamArn", "no stream")),
        *_batches(context, entity),
        _function(context, "copy function", context.target.copy_function, "TABLES", entity.name),
        _function(context, "gate function", context.target.gate_function, "MODERN_WRITE_FUNCTIONS", entity.name),
        clocks(context, entity),
    ]


def fence(context: Context, entity: Entity, state: State | None) -> Check:
    """A fence that is up in phase legacy, without an operation, stops every legacy writer for no reason."""
    try:
        control = context.aurora.find_control(entity)
    except PreconditionError as error:
        return Check(name="fence", ok=False, value=error.message, limit="down in phase legacy", remedy=INIT)
    up = control is not None and control.fenced
    forgotten = up and state is not None and state.phase == Phase.LEGACY and state.operation is None
    lower = f"No operation needs it: `runbook rollback writes --entity {entity.name} --execute` lowers it."
    ok = control is not None and not forgotten
    value = ("up" if up else "down") if control else "no row in the control table"
    return Check(name="fence", ok=ok, value=value, limit="down in phase legacy", remedy=lower if control else INIT)


def _modern(table: TableDescriptionTypeDef, entity: Entity) -> Check:
    keys = [(key["AttributeName"], key["KeyType"]) for key in table.get("KeySchema", [])]
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", [])}
    wanted = entity.modern.key
    right = keys == [(wanted, "HASH")] and kinds.get(wanted) == "S" and table.get("TableStatus") == "ACTIVE"
    shown = ", ".join(f"{name} {kind} {kinds.get(name, '')}" for name, kind in keys)
    value = f"{table.get('TableStatus', '')}, {shown}"
    remedy = "Correct modern.key in entities.toml, or let `pulumi up` make the table; sort keys are not supported."
    return Check(name="modern table", ok=right, value=value, limit=f"ACTIVE, {wanted} HASH S", remedy=remedy)


def _policy(context: Context, arn: str, entity: EntityTarget, state: State | None) -> Check:
    """A fence of `rollback --fence-modern` that no operation has under way refuses every write of modern's."""
    name, limit = "table policy", "without the fence of a rollback"
    if not fence_policy.has_fence(TablePolicy(context.clients.dynamodb, arn).read().text):
        return Check(name=name, ok=True, value="no fence", limit=limit)
    under_way = state is not None and state.operation is not None
    verb = "cutover" if state is not None and state.phase == Phase.MODERN else "rollback"
    remedy = f"No operation needs it: `runbook {verb} writes --entity {entity.name} --execute` removes it."
    return Check(name=name, ok=under_way, value="the fence is in it", limit=limit, remedy=remedy)


def _known_stream(context: Context, entity: Entity, state: State | None, latest: str) -> Check:
    """Sequence numbers compare within one stream only; journal and Aurora both note which one."""
    try:
        noted_in_aurora = stream_guard.known(context.aurora.database(entity.legacy.database), entity)
    except DataApiError as error:
        noted_in_aurora = str(error)
    noted = {"journal": state.stream_arn if state else "", "Aurora": noted_in_aurora}
    verbs = {place: "is adopting" if stream_guard.is_adopting(arn) else "notes" for place, arn in noted.items()}
    others = [f"{at} {verbs[at]} {arn.rpartition('/')[2] or 'none'}" for at, arn in noted.items() if arn != latest]
    value = "; ".join(others) or latest.rpartition("/")[2]
    remedy = f"{INIT} It adopts the new stream; then `runbook verify`, with `--repair --execute` in phase modern."
    return Check(name="noted stream", ok=not others, value=value, limit="the table's latest, everywhere", remedy=remedy)


def _batches(context: Context, entity: EntityTarget) -> list[Check]:
    functions = context.clients.functions
    try:
        mapping = functions.get_event_source_mapping(UUID=entity.bridge_mapping_id)
    except functions.exceptions.ResourceNotFoundException:
        return []  # the checks of the bridge report it
    wrong = _oddities(mapping, entity, context.target.failure_bucket)
    size, window = mapping.get("BatchSize", 0), mapping.get("MaximumBatchingWindowInSeconds", 0)
    return [
        Check(
            name="batches",
            ok=not wrong,
            value="; ".join(wrong)
            or f"{size:,} records or {window} s, then {mapping.get('ParallelizationFactor')} at once",
            limit="as the program has it",
            remedy=REDEPLOY,
        )
    ]


def _oddities(mapping: EventSourceMappingConfigurationResponseTypeDef, entity: EntityTarget, bucket: str) -> list[str]:
    goal = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "nowhere")
    age = mapping.get("MaximumRecordAgeInSeconds", -1)
    found = {
        f"calls {mapping.get('FunctionArn')}": entity.bridge_function in mapping.get("FunctionArn", "").split(":"),
        f"dead-letters to {goal}": goal.endswith(f":::{bucket}"),
        "does not bisect": bool(mapping.get("BisectBatchOnFunctionError")),
        f"tries {mapping.get('MaximumRetryAttempts')} times": mapping.get("MaximumRetryAttempts") == -1,
        f"keeps a record for {age} s": 0 < age <= OLDEST,
        f"begins at {mapping.get('StartingPosition')}": mapping.get("StartingPosition") == "TRIM_HORIZON",
        "has no batch size": mapping.get("BatchSize", 0) > 0,
    }
    return [text for text, right in found.items() if not right]


def _function(context: Context, name: str, function: str, variable: str, entity: str) -> Check:
    value = _state(context, function, variable, entity)
    return Check(name=name, ok=value == "ready", value=value, limit="ready", remedy=PARTS)


def _state(context: Context, function: str, variable: str, entity: str) -> str:
    if not function:
        return "not deployed"
    functions = context.clients.functions
    try:
        found = functions.get_function_configuration(FunctionName=function)
    except functions.exceptions.ResourceNotFoundException:
        return f"{function} is missing"
    state = found.get("State", "Active")
    if state not in {"Active", "Inactive"}:  # Inactive: idle for weeks; the first call wakes it
        return state
    variables: Mapping[str, Any] = found.get("Environment", {}).get("Variables", {})
    return "ready" if entity in json.loads(variables.get(variable, "{}")) else f"does not know {entity}"


def clocks(context: Context, entity: EntityTarget) -> Check:
    """Leases, lags and the journal compare the clocks of this machine, Aurora and DynamoDB."""
    skews = {"Aurora": _of_aurora(context), "DynamoDB": _of_dynamodb(context, entity)}
    ok = all(abs(skew) <= CLOCK_SECONDS for skew in skews.values())
    value = ", ".join(f"{name} {skew:+.1f} s" for name, skew in skews.items())
    remedy = "Set this machine's clock: `timedatectl set-ntp true`, or your system's own way."
    return Check(name="clocks", ok=ok, value=value, limit=f"{CLOCK_SECONDS:.0f} s from this machine's", remedy=remedy)


def now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def _of_aurora(context: Context) -> float:
    begin = now()
    answer = str(context.aurora.query("", "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)")[0][0])
    return skew(begin, datetime.fromisoformat(answer).replace(tzinfo=UTC), now(), 0)


def _of_dynamodb(context: Context, entity: EntityTarget) -> float:
    begin = now()
    answer = context.clients.dynamodb.describe_table(TableName=entity.modern_table)
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    return skew(begin, parsedate_to_datetime(date), now(), DATE_SECONDS) if date else 0.0


def skew(begin: datetime, other: datetime, end: datetime, step: float) -> float:
    """Seconds that the other clock is certainly ahead (or behind, below zero), however long the request took.

    Args:
        begin: this machine's time before the request.
        other: the other clock's answer.
        end: this machine's time after the answer.
        step: how much the answer is rounded down at most: the time was between `other` and `other + step`.
    """
    ahead, behind = (other - end).total_seconds(), (other - begin).total_seconds() + step
    return max(ahead, 0.0) or min(behind, 0.0)
