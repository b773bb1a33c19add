"""The gate's view of the journal: which phase an entity is in, and how many requests are inside modern's writer."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.retry import BUSY_CODES, TRANSIENT_CODES
from functions.domain import names
from functions.domain.phase import Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REFUSED = "ConditionalCheckFailedException"
LEAVE_ATTEMPTS = 50
LEAVE_WAIT_SECONDS = 0.05  # seconds at most between two of them


class GateRecord:
    """One entity's gate record in the journal: `phase`, and `inflight`, the requests inside modern's writer.

    Args:
        client: boto3's `dynamodb`, which must not repeat a count by itself: one too many only delays the way back,
            one too few would open it too early.
    """

    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._place: dict[str, Any] = {
            "TableName": table,
            "Key": {"entity": {"S": entity}, "record": {"S": names.GATE_RECORD}},
        }

    def now(self) -> Phase:
        """The phase as the last completed write left it."""
        try:
            found = self._client.get_item(**self._place, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            if not _passes(error):
                raise
            return Phase.SWITCHING  # requests are held while the journal does not answer
        return Phase(cast("dict[str, Any]", found.get("Item", {})).get("phase", {}).get("S", Phase.LEGACY))

    def enter(self, phase: Phase) -> bool:
        """Count a request in, if it is that phase still: check and count are one write."""
        try:
            self._count(1, ConditionExpression="#phase = :phase", phase=phase)
        except (ClientError, BotoCoreError) as error:
            if not _passes(error) and _name(error) != REFUSED:
                raise
            return False
        return True

    def leave(self) -> None:
        """Count a request out, again and again while the record is busy: then it surely was not counted.

        Any other failure may have counted. Should it fail for good, the way back waits for as long as a writer may run.
        """
        for _ in range(LEAVE_ATTEMPTS):
            try:
                return self._count(-1)
            except ClientError as error:
                if _name(error) not in BUSY_CODES:
                    raise
            time.sleep(random.uniform(LEAVE_WAIT_SECONDS / 2, LEAVE_WAIT_SECONDS))  # noqa: S311  # jitter
        return self._count(-1)

    def _count(self, step: int, phase: str = "", **condition: str) -> None:
        values: dict[str, Any] = {":step": {"N": str(step)}}
        named = {"#inflight": "inflight"}
        if phase:
            values[":phase"] = {"S": phase}
            named["#phase"] = "phase"
        self._client.update_item(
            **self._place,
            **cast("Any", condition),
            UpdateExpression="ADD #inflight :step",
            ExpressionAttributeNames=named,
            ExpressionAttributeValues=values,
        )


def _passes(error: ClientError | BotoCoreError) -> bool:
    return not isinstance(error, ClientError) or _name(error) in TRANSIENT_CODES


def _name(error: ClientError | BotoCoreError) -> str:
    return str(cast("Any", error).response["Error"]["Code"]) if isinstance(error, ClientError) else ""
