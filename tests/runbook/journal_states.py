"""States of the journal that no command would leave behind, for tests of what others do then."""

from __future__ import annotations

from functions.domain import names
from functions.domain.phase import Phase
from runbook.stack import Context


def force_phase(context: Context, entity: str, phase: Phase) -> None:
    """Put an entity into a phase, past the table of legal transitions: in its state and in the gate's records."""
    turn = context.journal.state(entity).turn + 1
    context.clients.dynamodb.update_item(
        TableName=context.target.journal_table,
        Key={"entity": {"S": entity}, "record": {"S": names.STATE_RECORD}},
        UpdateExpression="SET #phase = :phase, turn = :turn",
        ExpressionAttributeNames={"#phase": "phase"},
        ExpressionAttributeValues={":phase": {"S": phase.value}, ":turn": {"N": str(turn)}},
    )
    assert context.journal.gate_obeys(entity, phase, turn)


def gate_phases(context: Context, entity: str) -> set[str]:
    """The phases that the gate's records say."""
    records = [
        context.journal.find_record(names.gate_partition(entity, number), names.GATE_RECORD) or {}
        for number in range(names.GATE_RECORDS)
    ]
    return {str(record.get("phase")) for record in records}


def long_at_the_gate(context: Context, entity: str) -> None:
    """As if public writes had gone through the gate for so long that no request is past it."""
    context.clients.dynamodb.update_item(
        TableName=context.target.journal_table,
        Key={"entity": {"S": entity}, "record": {"S": names.STATE_RECORD}},
        UpdateExpression="SET gated_since = :long",
        ConditionExpression="gated = :yes",
        ExpressionAttributeValues={":long": {"N": "1"}, ":yes": {"BOOL": True}},
    )
