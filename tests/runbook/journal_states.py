"""States of the journal that no command would leave behind, for tests of what others do then."""

from __future__ import annotations

from functions.domain import names
from functions.domain.phase import Phase
from runbook.stack import Context


def force_phase(context: Context, entity: str, phase: Phase) -> None:
    """Put an entity into a phase, past the table of legal transitions: in its state and in the gate's record."""
    for record in (names.STATE_RECORD, names.GATE_RECORD):
        context.clients.dynamodb.update_item(
            TableName=context.target.journal_table,
            Key={"entity": {"S": entity}, "record": {"S": record}},
            UpdateExpression="SET #phase = :phase",
            ExpressionAttributeNames={"#phase": "phase"},
            ExpressionAttributeValues={":phase": {"S": phase.value}},
        )
