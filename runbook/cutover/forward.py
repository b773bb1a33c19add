"""The steps of `cutover writes`: hold writes, let copy write the last rows, compare them, send writes to modern.

Until the phase is `modern` a failure rolls everything back: the fence comes down, and the gate passes what it held to
legacy. The gate stays in the path of writes.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field

from functions.domain import names
from functions.domain.phase import Phase
from runbook.aws.api_gateway import Side
from runbook.aws.stream import Follower
from runbook.cutover.drain import StreamDrain
from runbook.cutover.steps import SwitchRun
from runbook.errors import PreconditionError
from runbook.journal.operation import Step
from runbook.quarantine.store import EntryStore
from runbook.verify import run as verification

GRACE_SECONDS = 30.0  # that a difference may take to vanish while no client waits
NUDGE_SECONDS = 1.0  # of a queue that does not get empty, after which copy's lanes are called
KEYS_SHOWN = 3  # in a message


@dataclass
class Forward:
    """Writes go to modern."""

    run: SwitchRun
    _started_follower: Follower | None = field(default=None, init=False)

    def steps(self) -> list[Step]:
        run = self.run
        return [
            Step(name="compare", says="compare the records that changed since the last verify", do=self._compare),
            run.gate_on(past=Side.LEGACY),
            Step(
                name="catch-up", says="wait until copy is right behind legacy's writers", do=self._catch_up, urgent=True
            ),
            run.phase(Phase.SWITCHING, undo=Phase.LEGACY),
            run.quiet(Side.LEGACY),
            Step(
                name="fence",
                says="fence up in Aurora: stops every writer that comes past the gate; those inside finish first",
                do=run.fence.raise_,
                unsays="fence down",
                undo=run.fence.undo_raise,
                done=run.fence.is_up,
                holds=True,
            ),
            Step(name="drain", says="wait until copy's queue is empty", do=self._drain, holds=True),
            Step(
                name="compare-last",
                says="compare the records that changed meanwhile",
                do=self._compare_last,
                holds=True,
            ),
            run.phase(Phase.MODERN, commit=True),
            *([run.writes_to(Side.MODERN)] if run.choices.direct else []),
            Step(name="copy-ended", says="note in Aurora that copy has written its last", do=run.fence.note_modern),
        ]

    @property
    def _follower(self) -> Follower:
        assert self._started_follower is not None, "the first comparison starts it"
        return self._started_follower

    def _compare(self) -> None:
        run, journal, name = self.run, self.run.context.journal, self.run.entity.name
        if journal.state(name).undrained:
            # A forced rollback left changes to the bridge. While legacy has its epoch they cannot overwrite what it
            # wrote since; in phase modern there is none.
            StreamDrain(run).follow()
            run.write({"undrained": None})
        record = journal.find_record(name, names.VERIFIED_RECORD)
        self._started_follower = run.follower(dt.datetime.fromisoformat(record["started_at"]) if record else None)
        self._compare_changed(run.choices.timeout, GRACE_SECONDS)

    def _catch_up(self) -> None:
        run = self.run
        run.until("copy to be right behind", run.queue_short, run.choices.timeout)
        self._compare_changed(run.choices.timeout, GRACE_SECONDS)
        run.until("copy to be right behind", run.queue_short, run.choices.timeout)

    def _drain(self) -> None:
        run = self.run
        try:
            run.until("copying the last rows", run.queue_empty, min(NUDGE_SECONDS, run.choices.hold))
        except PreconditionError:
            run.context.wake_lanes(run.entity)
            run.until("copying the last rows", run.queue_empty)
        quarantined = EntryStore(run.context, run.entity).entries()
        if quarantined:  # copy takes what no item can be out of its queue: modern would not have it
            raise PreconditionError(
                f"DynamoDB cannot take {len(quarantined)} of the last rows: {quarantined[0].key}",
                "See `runbook quarantine list`.",
            )

    def _compare_last(self) -> None:
        self._compare_changed(self.run.choices.hold, 0)

    def _compare_changed(self, timeout: float, grace: float) -> None:
        """Compare what the stream has shown since the last time, once it has shown everything there is now."""
        self._follower.reach(timeout)
        demand_equal(self.run, self._follower.take(), grace)


def demand_equal(run: SwitchRun, keys: Collection[str], grace: float) -> None:
    """Continue only if these records are the same on both sides.

    Raises:
        PreconditionError: naming some that differ, when `grace` seconds are over.
    """
    found = verification.compare_keys(run.context, run.entity, list(keys), grace)
    if found:
        shown = ", ".join(each.key for each in found[:KEYS_SHOWN])
        raise PreconditionError(
            f"{len(found)} of the {len(keys)} records that changed differ: {shown}",
            "Run `runbook verify`; it shows each difference.",
        )
