"""Whether what changed in DynamoDB reaches Aurora without a gap: the stream that the bridge follows, and its beginning.

A table whose stream was disabled and enabled has a new one. What changed in between, and what the old one still held,
no stream brings to Aurora any more. `runbook init` adopts the new stream (docs/adr/0009). After that only a comparison
of all records proves that Aurora has everything.
"""

from functions.bridge import stream_guard
from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.checks.bridge import REDEPLOY
from runbook.checks.check import Check
from runbook.journal import verified as comparisons
from runbook.journal.state import State
from runbook.stack import Context

OFF = "off"


def latest(context: Context, entity: EntityTarget) -> str:
    """The ARN of the table's stream; empty while it is off."""
    table = context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    enabled = table.get("StreamSpecification", {}).get("StreamEnabled", False)
    return table.get("LatestStreamArn", "") if enabled else ""


def adopted(context: Context, entity: EntityTarget, state: State) -> Check:
    """Whether the stack's outputs and the journal have the table's present stream."""
    name, present = "adopted stream", latest(context, entity)
    limit = f"the table's latest, {label(present)}"
    if entity.stream_arn != present:
        on = "" if present or not entity.table_adopted else f"Run `runbook adopt --entity {entity.name} --execute`. "
        remedy = f"{on}{REDEPLOY} Then {_adopt(entity, state)}"
        value = f"{label(entity.stream_arn)} in the stack's outputs" if present else OFF
        return Check(name=name, ok=False, value=value, limit=limit if present else "on", remedy=remedy)
    noted = state.stream_arn
    value = label(noted) if noted == present else f"{label(noted)} in the journal"
    value = "its adoption was interrupted" if stream_guard.is_adopting(noted) else value
    return Check(name=name, ok=noted == present, value=value, limit=limit, remedy=f"First {_adopt(entity, state)}")


def verified(context: Context, entity: EntityTarget, state: State) -> list[Check]:
    """Whether a clean comparison of all records began after the stream was adopted; none for a table's first stream."""
    if not state.streams:
        return []
    record = comparisons.last(context.journal, entity.name)
    proved = comparisons.proves(record, state.streams)
    began = f"last full comparison: {record['started_at']}" if record else "no full comparison"
    value = "clean since then" if proved else f"not compared since the stream was adopted ({began})"
    if comparisons.of_streams(record, state.streams) and not proved:
        value = "the last full comparison since then has differences"
    remedy = f"Run {_repair(entity, state)}: what changed while no stream showed it is not in Aurora."
    return [Check(name="new stream", ok=proved, value=value, limit="all records equal since it began", remedy=remedy)]


def label(arn: str) -> str:
    """The part of a stream's ARN that the table's other streams do not share: the moment at which it was enabled."""
    return arn.rpartition("/stream/")[2] or "none"


def _adopt(entity: EntityTarget, state: State) -> str:
    return f"`runbook init`, which adopts the new stream; then {_repair(entity, state)}."


def _repair(entity: EntityTarget, state: State) -> str:
    """In phase modern the item is right, so that a repair loses nothing; in phase legacy the operator looks first."""
    repair = " --repair --execute" if state.phase == Phase.MODERN else ""
    return f"`runbook verify{repair} --entity {entity.name}`"
