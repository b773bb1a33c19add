"""`runbook verify`: compares all records of both sides, a sample or what changed, and journals the result."""

import threading
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.errors import PreconditionError
from runbook.journal import verified
from runbook.journal.state import Event, now
from runbook.journal.verified import WHOLE
from runbook.stack import Context
from runbook.verify import compare, incremental
from runbook.verify.checkpoint import Checkpoint
from runbook.verify.compare import BothSides, Difference
from runbook.verify.concurrency import RateLimiter
from runbook.verify.full import FullComparison, Report, remaining

SAMPLE_STEPS = 10_000  # of a sample's share
STREAM_TIMEOUT = 60.0  # seconds that the stream may take to show the latest writes


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """How to verify.

    Attributes:
        segments: parts of the table that are read at once.
        rate: records a second over all of them, from either side; 0 for no limit.
        sample: the share of the records that is compared, 0 to 1; always the same ones.
        grace: seconds that a difference may take to vanish before it counts.
        anew: begin anew, even if an interrupted run could be resumed.
        allow_empty: two empty sides are equal, although nothing was compared.
    """

    segments: int = 4
    rate: float = 0
    sample: float = WHOLE
    grace: float = 10.0
    anew: bool = False
    allow_empty: bool = True


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found for one entity.

    Attributes:
        items: how many there are; None when only what changed was compared.
        rows: likewise.
        since: the moment since which records changed that were compared; empty for all records.
        base: when the clean full comparison began that this one continues; empty for none.
        more: very much differs, so it ended early; the numbers are of what was compared until then.
        resumed: it resumed an interrupted run, and `started_at` is when that began.
        streams: how many new streams had been adopted when it began.
        allow_empty: as it was asked for.
    """

    entity: str
    items: int | None
    rows: int | None
    compared: int
    equal: int
    sample: float
    seconds: float
    started_at: str
    differences: Sequence[Difference]
    since: str = ""
    base: str = ""
    more: bool = False
    resumed: bool = False
    streams: int = 0
    allow_empty: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing was compared because both sides are empty, which was not allowed."""
        return self.items == 0 == self.rows and not self.allow_empty

    @property
    def clean(self) -> bool:
        return not self.differences and not self.more and not self.empty


def run(context: Context, entity: EntityTarget, options: VerifyOptions) -> Verification:
    """Compare all records of an entity, or a sample of them.

    Raises:
        PreconditionError: one of the two sides is not deployed, or legacy is no longer kept up to date.
    """
    _comparable(context, entity)
    begun, checkpoint = time.monotonic(), Checkpoint(context, entity, options.segments, options.sample)
    progress = checkpoint.begin(anew=options.anew)
    resumed = progress.resumed
    comparison = FullComparison(
        _sides(context, entity, options),
        progress,
        chosen=lambda key: _in_sample(key, options.sample),
        report=_counter(context, entity, items=progress.items, rows=progress.rows),
        save=checkpoint.save,
    )
    with checkpoint.kept_on_failure(progress):
        found = comparison.run(options.grace)
    result = Verification(
        entity=entity.name,
        **vars(found),
        sample=options.sample,
        seconds=round(time.monotonic() - begun, 3),
        started_at=checkpoint.started_at,
        resumed=resumed,
        streams=checkpoint.streams,
        allow_empty=options.allow_empty,
    )
    return _noted(context, result)


def run_since(context: Context, entity: EntityTarget, options: VerifyOptions, since: datetime | None) -> Verification:
    """Compare the records that changed since a moment, or since the last full comparison began.

    Raises:
        PreconditionError: what changed since is unknown; or as `run`.
    """
    _comparable(context, entity)
    begun, started_at = time.monotonic(), now()
    streams = context.journal.state(entity.name).streams
    record = verified.last(context.journal, entity.name)
    if since is None and record is not None and not verified.of_streams(record, streams):
        raise PreconditionError(
            f"{entity.name} has a new stream since the last full comparison: it does not show all that changed since",
            incremental.FULL,
        )
    if since is None:
        if record is None:
            raise PreconditionError(
                f"{entity.name} had no full comparison yet", "Compare everything: `runbook verify`."
            )
        since = verified.began(record)
    keys = incremental.changed_keys(context, entity, since, STREAM_TIMEOUT)
    context.say(f"comparing {entity.name}: {len(keys):,} records that changed")
    sides, report = _sides(context, entity, options), _counter(context, entity, of=len(keys))
    left = remaining(sides, keys, options.grace, report)
    result = Verification(
        entity=entity.name,
        items=None,
        rows=None,
        compared=left.checked,
        equal=left.checked - len(left.differences),
        sample=WHOLE,
        seconds=round(time.monotonic() - begun, 3),
        started_at=started_at,
        differences=left.differences,
        more=left.more,
        since=since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        base=verified.base(record, since, streams),
        streams=streams,
    )
    return _noted(context, result)


def compare_keys(  # noqa: PLR0913  # the last two only where no client waits
    context: Context,
    entity: EntityTarget,
    keys: Sequence[str],
    grace: float,
    rate: float = 0,
    *,
    timeout: float | None = None,
) -> Sequence[Difference]:
    """Compare just these records; where very much differs, only some of the differences are returned.

    A side may not answer for `timeout` seconds, or `grace` seconds by default.
    """
    sides = _sides(context, entity, VerifyOptions(rate=rate), grace if timeout is None else timeout)
    return remaining(sides, keys, grace).differences


def note(context: Context, found: Verification, differences: int) -> None:
    """Keep in the journal how a comparison ended, for the checks and for the next one."""
    journal = context.journal
    if not found.since:
        verified.note(
            journal,
            found.entity,
            started_at=found.started_at,
            sample=found.sample,
            compared=found.compared,
            differences=differences,
            streams=found.streams,
            empty=found.empty,
        )
    elif found.base:
        verified.go_on(journal, found.entity, base=found.base, started_at=found.started_at, differences=differences)


def _comparable(context: Context, entity: EntityTarget) -> None:
    if not (entity.modern_table and context.target.cluster_arn):
        raise PreconditionError(
            f"{entity.name} has only one side", "Deploy the parts legacy and modern, then run `runbook init`."
        )
    if reason := nothing_to_compare(context, entity):
        raise PreconditionError(reason, "See `runbook status`.")


def nothing_to_compare(context: Context, entity: EntityTarget) -> str:
    """The reason why there is nothing to compare any more; empty while there is."""
    state = context.journal.find(entity.name)
    if state is None or state.phase != Phase.COMPLETE:
        return ""
    return f"{entity.name} is complete: its legacy table is no longer kept up to date, so there is nothing to compare"


def _sides(context: Context, entity: EntityTarget, options: VerifyOptions, timeout: float | None = None) -> BothSides:
    described, clients = context.target.mapping[entity.name], context.clients
    database = context.aurora.database(described.legacy.database)
    stop = threading.Event()
    rate = RateLimiter(options.rate, stop)
    wait = compare.TIMEOUT if timeout is None else timeout
    return BothSides(described, clients.dynamodb, entity.modern_table, database, rate, wait, stop)


def _counter(context: Context, entity: EntityTarget, *, items: int = 0, rows: int = 0, of: int = 0) -> Report:
    """Reports how much was read, over all segments, and of how many: `of`, or DynamoDB's count of some hours ago."""
    table = context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]
    estimate, lock = of or table.get("ItemCount", 0), threading.Lock()
    totals = Counter({"items": items, "keys of rows": rows})

    def report(what: str, count: int) -> None:
        with lock:
            totals[what] += count
            about = f" of {'' if of else 'about '}{estimate:,}" if estimate >= totals[what] else ""
            context.say(f"comparing {entity.name}: {totals[what]:,}{about} {what}")

    return report


def _in_sample(key: str, share: float) -> bool:
    return share >= WHOLE or zlib.crc32(key.encode()) % SAMPLE_STEPS < share * SAMPLE_STEPS


def _noted(context: Context, found: Verification) -> Verification:
    details = {
        "compared": found.compared,
        "equal": found.equal,
        "different": len(found.differences),
        "sample": found.sample,
        "seconds": found.seconds,
    }
    scope: dict[str, Any] = {"since": found.since} if found.since else {"items": found.items, "rows": found.rows}
    scope |= {"more": True} if found.more else {}
    event = Event(
        entity=found.entity,
        command="verify --changed-since" if found.since else "verify",
        result="equal" if found.clean else "different",
        operator=context.clients.operator,
        details={**details, **scope},
    )
    context.journal.record(event)
    note(context, found, len(found.differences))
    return found
