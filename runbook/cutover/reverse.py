"""Writes come back: hold them for a moment, let the bridge apply the last changes, and let them go to legacy.

Before anybody is held the stream is followed to its end, so that only its tail is left to wait for. The fence coming
down commits: from then on legacy may write. With force nothing is waited for; what the bridge applies late never
overwrites what legacy has written since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain import names
from runbook.aws import lanes
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.stream import Follower, Seen
from runbook.cutover import drain
from runbook.cutover.steps import Parts
from runbook.errors import PreconditionError, RunbookError
from runbook.journal.journal import Phase
from runbook.journal.operation import Step
from runbook.quarantine.store import EntryStore

WRITER_LIMIT = 30.0  # seconds after which a request that was let in has ended, however it ended
LOOK, POLL = 0.1, 0.02  # seconds between two looks while nobody waits, and while clients do
CLOCKS = timedelta(minutes=10)  # by which this machine's clock and DynamoDB's may differ
APPROACHES = 2  # catches up with what came while it caught up
SHOWN = 3  # keys in a message


def steps(parts: Parts, *, reads: bool) -> list[Step]:
    """The sequence; with `reads` they come back too."""
    to = Routes(reads=Side.LEGACY if reads else None, writes=Side.LEGACY)
    last = [
        _fence(parts),
        parts.phase(Phase.LEGACY),
        parts.route(to),
        *([parts.record_reads(Side.LEGACY)] if reads else []),
        Step(name="copy", says="copy goes on", do=lambda: _wake(parts)),
    ]
    if parts.choices.force:
        return [_undrained(parts), parts.phase(Phase.RETURNING, undo=Phase.MODERN), *last]
    tail = Tail(parts)
    return [
        Step(name="follow", says="wait until the bridge has applied all that the stream has", do=tail.follow),
        parts.gate_on(Side.MODERN, parts.context.target.legacy_write_function),
        Step(name="catch-up", says="wait until the bridge is right behind modern's writer", do=tail.approach),
        parts.phase(Phase.RETURNING, undo=Phase.MODERN),
        Step(name="quiet", says="wait until no request is inside modern's writer", do=lambda: _quiet(parts)),
        Step(name="drain", says="wait until the bridge has applied the last changes", do=tail.drain),
        *last,
    ]


def _undrained(parts: Parts) -> Step:
    return Step(
        name="undrained",
        says="note that the next cutover has to wait for the bridge",
        do=lambda: parts.write({"undrained": True}),
    )


def fence_down(parts: Parts) -> list[Step]:
    """The sequence where only the fence is wrong: up in phase legacy."""
    return [
        Step(
            name="fence",
            says="fence down in Aurora: legacy's writers may write again",
            do=parts.fence.undo_raise,
            done=lambda: not parts.fence.is_up(),
            commit=True,
        )
    ]


def _fence(parts: Parts) -> Step:
    return Step(
        name="fence",
        says="fence down in Aurora: legacy's writers may write again",
        do=lambda: parts.fence.lower(parts.choices.generation),
        undo=parts.fence.undo_lower,
        done=lambda: not parts.fence.control().fenced,
        commit=True,
    )


def _wake(parts: Parts) -> None:
    """Call the lanes at once; should that fail, their schedules do it within a minute."""
    try:
        lanes.wake(parts.context, parts.entity)
    except (RunbookError, BotoCoreError, ClientError) as error:
        parts.context.say(f"copy's lanes could not be called, their schedules do it within a minute: {error}")


def _quiet(parts: Parts) -> None:
    """Requests inside end by themselves; one whose gate died was never counted out, so the wait has an end."""
    deadline = time.monotonic() + WRITER_LIMIT
    while time.monotonic() < deadline and parts.context.journal.inflight(parts.entity.name) > 0:
        time.sleep(POLL)
    parts.held_since = time.monotonic()  # the limit of the hold is for what comes now


class Tail:
    """What the stream has shown and Aurora does not have yet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._followers: list[Follower] = []
        self._left: dict[str, Seen] = {}

    def follow(self) -> None:
        """Follow the stream until all of it is applied, from where that was last so, or from its beginning.

        Not from the moment of the cutover: the probe that passed then says nothing of any other shard, in which
        a batch from before may be tried still.
        """
        parts, began = self._parts, datetime.now(UTC)
        self._followers = [parts.follower(self._drained(), copied=False)]
        self._followers[0].reach(parts.choices.patience)
        self._until_applied(time.monotonic() + parts.choices.patience, LOOK)
        drained = {"at": (began - CLOCKS).isoformat(), "stream": parts.entity.stream_arn}
        parts.context.journal.put_record(parts.entity.name, names.DRAINED_RECORD, drained)

    def _drained(self) -> datetime | None:
        """The moment before which Aurora has everything of this stream, as far as the journal knows."""
        parts = self._parts
        record = parts.context.journal.find_record(parts.entity.name, names.DRAINED_RECORD)
        if record is None or record["stream"] != parts.entity.stream_arn:
            return None
        return datetime.fromisoformat(record["at"])

    def approach(self) -> None:
        """Come as near to the stream's end as one can before anybody is held."""
        parts, follower = self._parts, self._followers[0]
        for _ in range(APPROACHES):
            follower.reach(parts.choices.patience)
            self._until_applied(time.monotonic() + parts.choices.patience, LOOK)
        follower.keeps = True
        follower.reach(parts.choices.patience)
        self._left = drain.unapplied(parts.context, parts.entity, follower.take())

    def drain(self) -> None:
        """Follow what came since, to the last write that was let in, and apply what the bridge is still gathering.

        Raises:
            PreconditionError: some of it is not in Aurora in time, or can never be.
        """
        parts, follower = self._parts, self._followers[0]
        deadline = parts.held_since + parts.choices.hold
        follower.reach(parts.choices.hold)
        self._until_applied(deadline, POLL, self._apply)
        parked = EntryStore(parts.context, parts.entity).entries()
        if parked:
            raise PreconditionError(
                f"Aurora cannot take {len(parked)} of the last changes: {parked[0].key}",
                "See `runbook quarantine list`.",
            )

    def _apply(self) -> None:
        """Apply what is left here and now; where the bridge is at the same rows and one of both gives way, again."""
        parts, follower = self._parts, self._followers[0]
        records = [record for key in self._left if (record := follower.record(key))]
        if records:
            drain.apply(parts.context, parts.entity, records)

    def _until_applied(self, deadline: float, look: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        parts, follower = self._parts, self._followers[0]
        while True:
            self._left = drain.unapplied(parts.context, parts.entity, {**self._left, **follower.take()})
            if not self._left:
                return
            if time.monotonic() > deadline:
                shown = ", ".join(list(self._left)[:SHOWN])
                raise PreconditionError(
                    f"the bridge has not applied {len(self._left)} changes in time: {shown}",
                    "See `runbook status` and `runbook quarantine list`.",
                )
            self._parts.context.say(f"{len(self._left):,} changes on their way to Aurora")
            meanwhile()
            time.sleep(look)  # and take no more: under load there is always something on its way
