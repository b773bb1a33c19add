"""Which records changed since a moment: those that the stream shows, and those that copy has not written yet."""

from datetime import UTC, datetime, timedelta

from functions.domain import names
from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream_shards import Shards
from runbook.errors import PreconditionError
from runbook.stack import Context

KEPT = timedelta(hours=24)  # by a stream
FULL = "Compare everything: `runbook verify`."


def changed_keys(context: Context, entity: EntityTarget, since: datetime, timeout: float) -> list[str]:
    """The keys of the records that changed since a moment, on either side.

    Args:
        since: the moment.
        timeout: seconds that the stream may take to show the latest writes, once what is past is read.

    Raises:
        PreconditionError: what changed since is unknown.
    """
    _within(since)
    _stream_began_before(context, entity, since)
    _captured(context, entity)
    # Before the stream is followed: a key leaves the queue only after the stream has its item.
    queued = list(context.aurora.queue(context.target.mapping[entity.name]).keys())
    follower = context.follower(entity, since)
    follower.reach(timeout)
    _within(since)
    return list(dict.fromkeys([*queued, *follower.take()]))


def _within(since: datetime) -> None:
    age = datetime.now(UTC) - since
    if age >= KEPT:
        hours = age / timedelta(hours=1)
        raise PreconditionError(
            f"a stream keeps {KEPT / timedelta(hours=1):.0f} h, and that is {hours:,.1f} h ago: what changed since "
            "is unknown",
            FULL,
        )
    if age < timedelta(0):
        raise PreconditionError("that moment is in the future", "Give one that is past.")


def _stream_began_before(context: Context, entity: EntityTarget, since: datetime) -> None:
    shards = Shards(context.clients.streams, entity.stream_arn)
    shards.list()
    if shards.created and shards.created > since:
        raise PreconditionError(
            f"the stream of {entity.name} began at {shards.created.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: it does not "
            "show all that changed since",
            FULL,
        )


def _captured(context: Context, entity: EntityTarget) -> None:
    """In phase legacy, what changes in Aurora comes to the stream by copy."""
    if context.journal.state(entity.name).phase != Phase.LEGACY:
        return
    copy = context.journal.find_record(entity.name, names.COPY_RECORD) or {}
    if not copy.get("backfilled") or not context.aurora.control(context.target.mapping[entity.name]).epoch:
        raise PreconditionError(
            f"copy has not read every row of {entity.name} yet: what has changed in Aurora is unknown", FULL
        )
