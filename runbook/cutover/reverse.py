"""The steps of `rollback`: hold writes, let the bridge apply the last changes, send writes to legacy.

Before clients are held the stream is followed to its end, so that only what came last is left to wait for. The fence
coming down commits: from then on legacy may write. With `--force` no step waits for the bridge; what it applies late
never overwrites what legacy has written since.
"""

import time
from dataclasses import dataclass

from functions.aws.retry import poll
from runbook.aws.api_gateway import Routes, Side
from runbook.cutover.drain import StreamDrain
from runbook.cutover.steps import POLL_SECONDS, SwitchRun
from runbook.journal.journal import Phase
from runbook.journal.operation import Step

WRITER_LIMIT_SECONDS = 30.0  # after which a request that was let in has ended, however it ended
FENCE_DOWN = "fence down in Aurora: legacy's writers may write again"


@dataclass(frozen=True)
class Reverse:
    """Writes return to legacy; with `reads` they return too."""

    run: SwitchRun
    reads: bool = False

    def steps(self) -> list[Step]:
        run = self.run
        if run.choices.force:
            note = Step(
                name="undrained",
                says="record that the next cutover has to wait for the bridge",
                do=lambda: run.write({"undrained": True}),
            )
            return [note, run.phase(Phase.RETURNING, undo=Phase.MODERN), *self._last()]
        stream = StreamDrain(run)
        return [
            Step(name="follow", says="wait until the bridge has applied all that the stream has", do=stream.follow),
            run.gate_on(Side.MODERN, run.context.target.legacy_write_function),
            Step(name="catch-up", says="wait until the bridge is right behind modern's writer", do=stream.approach),
            run.phase(Phase.RETURNING, undo=Phase.MODERN),
            Step(name="quiet", says="wait until no request is inside modern's writer", do=self._wait_for_requests),
            Step(name="drain", says="wait until the bridge has applied the last changes", do=stream.drain),
            *self._last(),
        ]

    def _last(self) -> list[Step]:
        run = self.run
        return [
            Step(
                name="fence",
                says=FENCE_DOWN,
                do=lambda: run.fence.lower(run.choices.epoch),
                undo=run.fence.undo_lower,
                done=lambda: not run.fence.control().fenced,
                commit=True,
            ),
            run.phase(Phase.LEGACY),
            run.route(Routes(reads=Side.LEGACY if self.reads else None, writes=Side.LEGACY)),
            *([run.record_reads(Side.LEGACY)] if self.reads else []),
            Step(name="copy", says="copy runs again", do=run.wake_copy),
        ]

    def _wait_for_requests(self) -> None:
        """Requests inside end by themselves; one whose gate died was never counted out, so the wait has an end."""
        run = self.run
        journal, name = run.context.journal, run.entity.name
        poll(
            lambda: journal.inflight(name) <= 0, timeout=WRITER_LIMIT_SECONDS, first=POLL_SECONDS, longest=POLL_SECONDS
        )
        run.held_since = time.monotonic()  # the limit of the hold is for what comes now


def fence_down(run: SwitchRun) -> list[Step]:
    """The steps where only the fence is wrong: up in phase legacy."""
    return [
        Step(name="fence", says=FENCE_DOWN, do=run.fence.undo_raise, done=lambda: not run.fence.is_up(), commit=True)
    ]
