"""The ranges of a backfill in the journal: their bounds, how far each is, and the lease under which one is written.

Ranges are written while the lanes stand still, so two writers of a key never work at the same time. What legacy changes
meanwhile waits in the queue. A run ends by barring its ranges, and only then may the lanes work: docs/adr/0030.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.aws.dynamodb import ItemRefusedError, TransientDynamoError, called, read_batches
from functions.aws.retry import retry
from functions.copy.lease import LeaseLostError, drawn, has_token
from functions.copy.state import CopyRecord
from functions.domain import names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

PLAN, COPY, END = "plan", "copy", "end"  # stages of a run
AT_ONCE = 90  # ranges in one transaction, beside copy's record
TIMEOUT_SECONDS = 20.0  # for a record that many write
COMMON = {"#run": "run", "#stage": "stage", "#ranges": "ranges"}


@dataclass(frozen=True, kw_only=True)
class CopyRange:
    """A range of primary keys, or a segment of the items whose rows may be gone.

    Attributes:
        after: the primary key before its first; empty for the table's first.
        until: its last primary key.
        segment: of the items, of so many `segments`; no segment where there are none.
        position: the last primary key that is done; of a segment, the last item's key.
        run: the execution that may write it; empty once it is barred.
        note: why its worker waits; empty when it does not.
    """

    number: int
    after: str = ""
    until: str = ""
    segment: int = 0
    segments: int = 0
    position: str = ""
    done: bool = False
    run: str = ""
    note: str = ""


class RangeRecords:
    """The records of one entity's ranges."""

    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._table = table
        self._entity = entity

    def all(self, count: int) -> dict[int, CopyRange]:
        """Those of the ranges 0 to `count` - 1 that are there, by number."""
        keys = [names.range_key(self._entity, number) for number in range(count)]
        found = read_batches(self._client, self._table, keys, call=called, ConsistentRead=True)
        return {made.number: made for made in map(_range, found)}

    def add(self, seen: CopyRecord, made: Sequence[CopyRange], end: str, stage: str) -> bool:
        """Add planned ranges to the run, unless copy's record has another run or other ranges since `seen`.

        Args:
            end: the last primary key of all.
            stage: of the run from then on.
        """
        keyed = [each for each in made if not each.segments]
        changes = {"stage": stage, "planned_to": keyed[-1].until if keyed else seen.planned_to, "range_end": end}
        update: Any = {
            **self._copy("#run = :run AND #stage = :stage AND #ranges = :before"),
            "UpdateExpression": "SET #stage = :next, #ranges = :ranges, #to = :planned_to, #end = :range_end",
            "ExpressionAttributeNames": COMMON | {"#to": "planned_to", "#end": "range_end"},
            "ExpressionAttributeValues": {
                ":run": {"S": seen.run},
                ":stage": {"S": seen.stage},
                ":before": {"N": str(seen.ranges)},
                ":next": {"S": changes["stage"]},
                ":ranges": {"N": str(seen.ranges + len(made))},
                ":planned_to": {"S": changes["planned_to"]},
                ":range_end": {"S": changes["range_end"]},
            },
        }
        return self._done([{"Update": update}, *(self._put(seen.run, each) for each in made)])

    def adopt(self, seen: CopyRecord, ranges: Iterable[CopyRange]) -> bool:
        """Give ranges of other runs to this one; their workers are refused from now on."""
        left = [each for each in ranges if each.run != seen.run]
        for start in range(0, len(left), AT_ONCE):
            check: Any = self._copy("#run = :run")
            check |= {
                "ExpressionAttributeNames": {"#run": "run"},
                "ExpressionAttributeValues": {":run": {"S": seen.run}},
            }
            some = (self._adopted(seen.run, each.number) for each in left[start : start + AT_ONCE])
            if not self._done([{"ConditionCheck": check}, *some]):
                return False
        return True

    def bar(self, run: str, count: int) -> None:
        """Refuse what the run's workers write from now on, whatever is on its way."""
        for number in range(count):
            self._change(
                number, "REMOVE #run, #token", "#run = :run", {"#token": names.LEASE_TOKEN}, {":run": {"S": run}}
            )

    def end(self, run: str, stage: str) -> bool:
        """Enter the last stage of a run, or end it: the lanes may work from then on. False when it is another's."""
        last = stage == END
        finished = "SET #backfilled = :true, #leftovers = :false REMOVE #run, #stage"
        attributes = {"#run": "run", "#stage": "stage"}
        values: dict[str, Any] = {":run": {"S": run}, ":stage": {"S": stage}}
        if last:
            attributes |= {"#backfilled": "backfilled", "#leftovers": "leftovers"}
            values |= {":true": {"BOOL": True}, ":false": {"BOOL": False}}
        else:
            values |= {":next": {"S": END}}
        return self._refusable(
            lambda: self._client.update_item(
                TableName=self._table,
                Key={"entity": {"S": self._entity}, "record": {"S": names.COPY_RECORD}},
                UpdateExpression=finished if last else "SET #stage = :next",
                ConditionExpression="#run = :run AND #stage = :stage",
                ExpressionAttributeNames=attributes,
                ExpressionAttributeValues=values,
            )
        )

    def remove(self, count: int) -> None:
        """Remove the records of ranges that no run has."""
        for number in range(count):
            key = names.range_key(self._entity, number)
            self._refusable(
                lambda key=key: self._client.delete_item(
                    TableName=self._table,
                    Key=key,
                    ConditionExpression="attribute_not_exists(#run)",
                    ExpressionAttributeNames={"#run": "run"},
                )
            )

    def _change(
        self, number: int, expression: str, condition: str, attributes: dict[str, str], values: Mapping[str, Any]
    ) -> bool:
        return self._refusable(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=names.range_key(self._entity, number),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#run": "run", **attributes},
                ExpressionAttributeValues=values,
            )
        )

    def _copy(self, condition: str) -> dict[str, Any]:
        """A condition on copy's record."""
        return {
            "TableName": self._table,
            "Key": {"entity": {"S": self._entity}, "record": {"S": names.COPY_RECORD}},
            "ConditionExpression": condition,
        }

    def _put(self, run: str, made: CopyRange) -> TransactWriteItemTypeDef:
        texts = {"after": made.after, "until": made.until, "run": run}
        numbers = {"number": made.number, "segment": made.segment, "segments": made.segments}
        item = {
            **names.range_key(self._entity, made.number),
            **{name: {"S": text} for name, text in texts.items()},
            **{name: {"N": str(number)} for name, number in numbers.items()},
        }
        return {"Put": {"TableName": self._table, "Item": item}}

    def _adopted(self, run: str, number: int) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": names.range_key(self._entity, number),
                "UpdateExpression": "SET #run = :run REMOVE #token",
                "ConditionExpression": "attribute_exists(#number)",
                "ExpressionAttributeNames": {"#run": "run", "#token": names.LEASE_TOKEN, "#number": "number"},
                "ExpressionAttributeValues": {":run": {"S": run}},
            }
        }

    def _done(self, actions: Sequence[TransactWriteItemTypeDef]) -> bool:
        return self._refusable(lambda: self._client.transact_write_items(TransactItems=actions))

    def _refusable(self, call: Callable[[], Any]) -> bool:
        """Whether a change was made; tried again while others write the same record."""
        try:
            retry(lambda: called(call), TransientDynamoError, timeout=TIMEOUT_SECONDS)
        except ItemRefusedError:
            return False
        return True


class RangeLease:
    """One worker's hold on one range, without an end: the next worker of the range replaces its token.

    Args:
        client: boto3's `dynamodb`, which must not repeat calls by itself.
        run: the execution that calls the worker.
    """

    def __init__(self, client: DynamoDBClient, table: str, entity: str, number: int, run: str) -> None:
        self._client = client
        self._table = table
        self._key = names.range_key(entity, number)
        self._run = run
        self._token, self._next = drawn(), ""

    def take(self) -> CopyRange | None:
        """The range as it is, taken; None when it is done, or not of this run."""
        try:
            taken = self._update(
                "SET #token = :token",
                "#run = :run AND attribute_not_exists(#done)",
                {"#run": "run", "#done": "done"},
                {":run": {"S": self._run}},
            )
        except ItemRefusedError:
            return None
        return _range(taken["Attributes"])

    def held(self) -> TransactWriteItemTypeDef:
        """What makes a transaction fail unless the range is ours."""
        return has_token(self._table, self._key, self._token)

    def doubt(self) -> None:
        """Replace the token before anything else, since a call may arrive late: then it is refused."""
        self._next = self._next or drawn()  # the same until it is stored, because storing it may be in doubt too

    def keep(self) -> None:
        """Replace the token if a call is in doubt.

        Raises:
            LeaseLostError: another worker has the range, or its run has ended.
        """
        if not self._next:
            return
        try:
            self._update("SET #token = :next", "#token IN (:token, :next)", {}, {":next": {"S": self._next}})
        except ItemRefusedError as error:
            raise self.lost() from error
        self._token, self._next = self._next, ""

    def check(self) -> None:
        """Raise LeaseLostError if a write must not begin; a range is ours until another worker takes it."""
        self.keep()

    def lost(self) -> LeaseLostError:
        """The error for a write that was refused."""
        return LeaseLostError()

    def note(self, position: str, *, done: bool = False, reason: str = "") -> None:
        """Store how far the range is, whether it is done, and why its worker waits.

        Raises:
            LeaseLostError: another worker has it, or its run has ended.
        """
        expression = "SET #position = :position, #note = :note" + (", #done = :done" if done else "")
        values: dict[str, Any] = {":position": {"S": position}, ":note": {"S": reason}}
        try:
            self._update(
                expression,
                "#token = :token",
                {"#position": "position", "#note": "note"} | ({"#done": "done"} if done else {}),
                values | ({":done": {"BOOL": True}} if done else {}),
            )
        except ItemRefusedError as error:
            raise self.lost() from error

    def _update(
        self, expression: str, condition: str, attributes: dict[str, str], values: dict[str, Any]
    ) -> Mapping[str, Any]:
        return called(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#token": names.LEASE_TOKEN, **attributes},
                ExpressionAttributeValues={":token": {"S": self._token}, **values},
                ReturnValues="ALL_NEW",
            )
        )


def _range(item: Mapping[str, Any]) -> CopyRange:
    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", "0"))

    return CopyRange(
        number=number("number"),
        after=text("after"),
        until=text("until"),
        segment=number("segment"),
        segments=number("segments"),
        position=text("position"),
        done="done" in item,
        run=text("run"),
        note=text("note"),
    )
