"""The gate's records of an entity in the journal: the phase that it obeys, and the requests that it has let in.

They are copies of the state item's phase, because one item could not take the gate's writes. Each refuses every number
of a change but a higher one (docs/adr/0018). The gate's side is functions/gate/gate.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from functions.aws.dynamodb import answered_at, read_batches
from functions.domain import names
from functions.domain.phase import Phase
from runbook.journal.state import plain, typed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT_ONCE = 8  # records that are written at the same time


def obey(client: DynamoDBClient, table: str, entity: str, phase: Phase, turn: int) -> bool:
    """Have the gate obey a phase, in each record; False when one obeys a later change already.

    Args:
        turn: the number of the change.
    """

    def write(key: Mapping[str, Any]) -> bool:
        try:
            client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET #phase = :phase, #turn = :turn",
                ConditionExpression="attribute_not_exists(#turn) OR #turn <= :turn",
                ExpressionAttributeNames={"#phase": "phase", "#turn": "turn"},
                ExpressionAttributeValues=typed({":phase": phase.value, ":turn": turn}),
            )
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return all(list(pool.map(write, names.gate_keys(entity))))


def inside(client: DynamoDBClient, table: str, entity: str) -> frozenset[str]:
    """The ids of the requests that are inside a writer: let in, not counted out, and not surely ended since.

    The time is DynamoDB's, as it is for the gate: the operator's clock may be minutes off.
    """
    times: list[float] = []

    def noted(request: Callable[[], Any]) -> Any:
        answer = request()
        times.append(answered_at(answer))
        return answer

    records = list(read_batches(client, table, names.gate_keys(entity), call=noted, ConsistentRead=True))
    return frozenset(
        name
        for record in records
        for name, until in plain(record).items()
        if name.startswith(names.REQUEST_PREFIX) and until >= times[0]
    )
