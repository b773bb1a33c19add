"""What copy reads from the journal (whether it runs, how fast, how far the backfill is) and what it writes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from functions.aws.dynamodb import ItemRefusedError, called, read_batches
from functions.domain import names
from functions.domain.phase import Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

RUNNING = "running"
READ_TIMEOUT_SECONDS = 2.0  # in which DynamoDB must give some of what it left over
BOUND = 20_000  # rows of the queue that the backfill may have waiting, when the record does not say


@dataclass(frozen=True, kw_only=True)
class CopyRecord:
    """One reading of the journal.

    Attributes:
        phase: of the entity.
        urgent: whether the operation under way says that clients are about to wait.
        state: running or stopped; empty before the first start.
        rate: rows a second over all lanes; 0 for no limit.
        threads: of Aurora that may be at work; 0 for no limit.
        bound: rows of the queue that the backfill may have waiting.
        position: the last primary key that the backfill has enqueued.
        backfilled: whether it has come to the end.
        leftovers: whether items of an earlier copy, whose rows may be gone, are still to be looked at.
        last_item: the key of the last one that was; empty for the start.
        started_at: identifies the backfill.
        paused: why copy waits.
        run: the execution that does the backfill by ranges; empty when the lanes do it, or it is done.
        stage: of that run: `plan`, `copy` or `end`.
        workers: how many of its ranges are copied at once.
        range_rows: rows of a range, about.
        ranges: how many are planned.
        planned_to: the primary key up to which they are.
        range_end: the last primary key when planning began; empty before.
        total: rows when copy started, about.
    """

    phase: str
    urgent: bool = False
    state: str = ""
    rate: float = 0
    threads: int = 0
    bound: int = BOUND
    position: str = ""
    backfilled: bool = False
    leftovers: bool = False
    last_item: str = ""
    started_at: str = ""
    paused: str = ""
    run: str = ""
    stage: str = ""
    workers: int = 1
    range_rows: int = 1
    ranges: int = 0
    planned_to: str = ""
    range_end: str = ""
    total: int = 0

    @property
    def runs(self) -> bool:
        """Whether the lanes may write: legacy is the source of truth, the operator wants it, and no ranges are left."""
        return self.state == RUNNING and self.phase in (Phase.LEGACY, Phase.SWITCHING) and not self.run

    def is_of(self, run: str) -> bool:
        """Whether this run may write."""
        return self.state == RUNNING and self.phase == Phase.LEGACY and self.run == run

    @property
    def hurries(self) -> bool:
        """Whether clients wait for the queue to be empty, so that no limit holds."""
        return self.phase == Phase.SWITCHING

    @property
    def attends(self) -> bool:
        """Whether clients wait, or are about to: then nothing is gathered, and an empty queue is looked at often."""
        return self.hurries or self.urgent


class Records:
    """An entity's `state` and `copy` records in the journal."""

    def __init__(self, client: DynamoDBClient, table: str, entity: str) -> None:
        self._client = client
        self._table = table
        self._entity = entity

    def read(self) -> CopyRecord:
        """Both, as the last completed writes left them.

        A command that then sees a lane's row in the queue knows that the phase holds: none ends while a row waits.
        """
        entity, copy = self._get(names.STATE_RECORD, names.COPY_RECORD)
        return CopyRecord(
            phase=_text(entity, "phase"),
            urgent=bool(entity.get("operation", {}).get("M", {}).get("urgent", {}).get("BOOL")),
            state=_text(copy, "state"),
            rate=_number(copy, "rate", 0),
            threads=int(_number(copy, "threads", 0)),
            bound=int(_number(copy, "bound", BOUND)),
            position=_text(copy, "position"),
            backfilled=bool(copy.get("backfilled", {}).get("BOOL")),
            leftovers=bool(copy.get("leftovers", {}).get("BOOL")),
            last_item=_text(copy, "last_item"),
            started_at=_text(copy, "started_at"),
            paused=_text(copy, "paused"),
            run=_text(copy, "run"),
            stage=_text(copy, "stage"),
            workers=int(_number(copy, "workers", 1)),
            range_rows=int(_number(copy, "range_rows", 1)),
            ranges=int(_number(copy, "ranges", 0)),
            planned_to=_text(copy, "planned_to"),
            range_end=_text(copy, "range_end"),
            total=int(_number(copy, "total", 0)),
        )

    def count(self, started_at: str, **counts: int) -> None:
        """Add to counters of the copy record, unless the backfill was begun anew since."""
        some = {name: count for name, count in counts.items() if count}
        if some:
            adds = ", ".join(f"#{name} :{name}" for name in some)
            self._update(f"ADD {adds}", {name: {"N": str(count)} for name, count in some.items()}, started_at)

    def checkpoint(self, seen: CopyRecord, position: str, enqueued: int, held: TransactWriteItemTypeDef) -> None:
        """Note how far the backfill is, "" for the end, if `held` holds and it was not begun anew since `seen`."""
        values: dict[str, Any] = {"enqueued": {"N": str(enqueued)}, "backfilled": {"BOOL": not position}}
        values["position"] = {"S": position or seen.position}
        self._update(
            "SET #position = :position, #backfilled = :backfilled ADD #enqueued :enqueued",
            values,
            seen.started_at,
            held,
        )

    def looked_at(self, seen: CopyRecord, last_item: str, held: TransactWriteItemTypeDef) -> None:
        """Note up to which item leftovers were looked at, "" for the end, under the same conditions."""
        values = {"leftovers": {"BOOL": bool(last_item)}, "last_item": {"S": last_item}}
        self._update("SET #leftovers = :leftovers, #last_item = :last_item", values, seen.started_at, held)

    def pause(self, reason: str, held: TransactWriteItemTypeDef) -> None:
        """Store why copy waits, "" when it continues, if `held` holds."""
        self._update("SET #paused = :paused", {"paused": {"S": reason}}, held=held)

    def _get(self, *records: str) -> list[Mapping[str, Any]]:
        keys = [self._key(record) for record in records]
        read = read_batches(
            self._client, self._table, keys, call=called, timeout=READ_TIMEOUT_SECONDS, ConsistentRead=True
        )
        found = {item["record"]["S"]: item for item in read}
        return [found.get(record, {}) for record in records]

    def _update(
        self,
        expression: str,
        values: Mapping[str, Any],
        started_at: str = "",
        held: TransactWriteItemTypeDef | None = None,
    ) -> None:
        condition, attributes = "attribute_exists(#entity)", {"#entity": "entity"}
        wanted = {f":{name}": value for name, value in values.items()}
        if started_at:
            condition += " AND #started_at = :started_at"
            attributes["#started_at"] = "started_at"
            wanted[":started_at"] = {"S": started_at}
        update: Any = {
            "TableName": self._table,
            "Key": self._key(names.COPY_RECORD),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": attributes | {f"#{name}": name for name in values},
            "ExpressionAttributeValues": wanted,
        }
        actions = cast("Any", [held, {"Update": update}])
        try:
            if held:
                called(lambda: self._client.transact_write_items(TransactItems=actions))
            else:
                called(lambda: self._client.update_item(**update))
        except ItemRefusedError:
            return  # another start's record, or none, or another worker's lane: the next round reads it

    def _key(self, record: str) -> dict[str, Any]:
        return {"entity": {"S": self._entity}, "record": {"S": record}}


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _number(item: Mapping[str, Any], name: str, default: float) -> float:
    return float(item.get(name, {}).get("N", default))
