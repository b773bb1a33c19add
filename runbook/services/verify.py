"""`runbook verify`: are both sides the same? Found by looking at every record, and noted in the journal."""

from __future__ import annotations

import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.aws.data_api import DataApi
from functions.domain import names
from runbook.comparing import Comparison, Difference, Sides, compare, settled
from runbook.errors import PreconditionError
from runbook.journal import Event, Phase, now
from runbook.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runbook.context import Context
    from runbook.target import EntityTarget

WHOLE = 1.0
GRAINS = 10_000  # steps of a sample's share


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to verify.

    Attributes:
        segments: parts of the table that are read at once.
        rate: items a second over all of them; 0 for as fast as it goes.
        sample: the share of the records that is compared, 0 to 1; always the same ones.
        settle: seconds that a difference may take to vanish before it counts.
    """

    segments: int = 4
    rate: float = 0
    sample: float = WHOLE
    settle: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found for one entity."""

    entity: str
    items: int
    rows: int
    compared: int
    equal: int
    sample: float
    seconds: float
    differences: Sequence[Difference]

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def run(context: Context, entity: EntityTarget, options: Options) -> Verification:
    """Compare both sides of an entity.

    Raises:
        PreconditionError: one of the two sides is not deployed, or legacy is no longer kept true.
    """
    if not (entity.modern_table and context.target.cluster_arn):
        raise PreconditionError(
            f"{entity.name} has only one side", "Deploy the parts legacy and modern, then run `runbook init`."
        )
    state = context.journal.find(entity.name)
    if state and state.phase == Phase.COMPLETE:
        raise PreconditionError(
            f"{entity.name} is complete: its legacy table is no longer kept true, so there is nothing to compare",
            "See `runbook status`.",
        )
    begun, started_at = time.monotonic(), now()
    found = compare(
        _sides(context, entity, options),
        segments=options.segments,
        chosen=lambda key: _in_sample(key, options.sample),
        settle=options.settle,
        said=_counter(context, entity),
    )
    result = _result(entity, found, options, time.monotonic() - begun)
    context.journal.record(_event(context, result))
    context.journal.put_record(entity.name, names.VERIFIED_RECORD, _verified(result, started_at))
    return result


def _verified(found: Verification, started_at: str) -> dict[str, Any]:
    """What the gates ask of the last verify."""
    return {
        "started_at": started_at,
        "ended_at": now(),
        "clean": found.clean,
        "sample": found.sample,
        "compared": found.compared,
        "differences": len(found.differences),
    }


def changed(
    context: Context, entity: EntityTarget, keys: Sequence[str], settle: float
) -> Sequence[Difference]:
    """Compare just these records; what differs may take `settle` seconds to be the same."""
    return settled(_sides(context, entity, Options()), keys, settle)


def _sides(context: Context, entity: EntityTarget, options: Options) -> Sides:
    described, clients, target = context.target.mapping[entity.name], context.clients, context.target
    database = DataApi(
        clients.rds_data, target.cluster_arn, target.master_secret_arn, described.legacy.database
    )
    return Sides(described, clients.dynamodb, entity.modern_table, database, Pace(options.rate))


def _counter(context: Context, entity: EntityTarget) -> Callable[[int], None]:
    """Tells how many items have been read, over all segments."""
    lock, total = threading.Lock(), [0]

    def said(count: int) -> None:
        with lock:
            total[0] += count
            context.say(f"comparing {entity.name}: {total[0]:,} items")

    return said


def _in_sample(key: str, share: float) -> bool:
    return share >= WHOLE or zlib.crc32(key.encode()) % GRAINS < share * GRAINS


def _result(entity: EntityTarget, found: Comparison, options: Options, seconds: float) -> Verification:
    return Verification(
        entity=entity.name,
        items=found.items,
        rows=found.rows,
        compared=found.compared,
        equal=found.equal,
        sample=options.sample,
        seconds=round(seconds, 3),
        differences=found.differences,
    )


def _event(context: Context, found: Verification) -> Event:
    details = {
        "items": found.items,
        "rows": found.rows,
        "equal": found.equal,
        "different": len(found.differences),
    }
    return Event(
        entity=found.entity,
        command="verify",
        result="equal" if found.clean else "different",
        operator=context.clients.operator,
        details={**details, "sample": found.sample, "seconds": found.seconds},
    )
