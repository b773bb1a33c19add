"""The steps of `rollback`: hold writes, let the bridge apply the last changes, send writes to legacy.

Before clients are held the stream is followed to its end, so that only what came last is left to wait for. Reads return
while writes are held and both sides are equal, so that no acknowledged write is invisible, wherever the command is
killed. The fence coming down commits: from then on legacy may write. With `--force` no step waits for the bridge; what
it applies late never overwrites what legacy has written since.
"""

import time
from dataclasses import dataclass
from functools import cached_property

from functions.domain.phase import Phase
from runbook.aws.api_gateway import Routes, Side
from runbook.checks import bridge, check, stream
from runbook.cutover import canary
from runbook.cutover.drain import StreamDrain
from runbook.cutover.modern_fence import ModernFence
from runbook.cutover.steps import SwitchRun
from runbook.journal.operation import Step

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
            gate = Step(name="gate", says="public writes → gate", do=run.put_gate)
            # Nothing is drained, so nothing else finds that the stream was switched off since the checks.
            followed = Step(
                name="stream",
                says="check again that the stream is the adopted one",
                do=lambda: _demand_followed(run),
                holds=True,
            )
            return [note, gate, run.phase(Phase.RETURNING, undo=Phase.MODERN), followed, *self._last()]
        drain = StreamDrain(run)
        return [
            Step(name="follow", says="wait until the bridge has applied all that the stream has", do=drain.follow),
            run.gate_on(past=Side.MODERN),
            *([self._policy_kept()] if run.choices.fence_modern else []),
            Step(name="catch-up", says="wait until the bridge is right behind modern's writer", do=drain.approach),
            run.phase(Phase.RETURNING, undo=Phase.MODERN),
            run.quiet(Side.MODERN),
            *([self._modern_fence()] if run.choices.fence_modern else []),
            Step(name="drain", says="wait until the bridge has applied the last changes", do=drain.drain, holds=True),
            *self._last(),
        ]

    def _last(self) -> list[Step]:
        run = self.run
        return [
            *([self._reads()] if self.reads else []),
            Step(
                name="fence",
                says=FENCE_DOWN,
                do=lambda: run.fence.lower(run.choices.epoch, drained=not run.choices.force),
                undo=run.fence.undo_lower,
                done=lambda: not run.fence.control().fenced,
                commit=True,
                holds=True,
            ),
            run.phase(Phase.LEGACY),
            *([run.writes_to(Side.GATE)] if run.choices.direct else []),  # an operation of the version before
            Step(name="copy", says="copy runs again", do=run.wake_copy),
            *([run.record_reads(Side.LEGACY)] if self.reads else []),
            *([self._modern_fence_down()] if run.choices.fence_modern else []),
        ]

    @cached_property
    def _modern(self) -> ModernFence:
        return ModernFence(self.run.context, self.run.entity, self.run.lease)

    def _policy_kept(self) -> Step:
        return Step(
            name="table-policy",
            says="keep the modern table's policy in the journal",
            do=self._modern.prepare,
            unsays="forget the table's policy",
            undo=self._modern.forget,
        )

    def _modern_fence(self) -> Step:
        run = self.run
        return Step(
            name="fence-modern",
            says="the modern table's policy refuses every write but copy's and the runbook's; wait until it does",
            do=lambda: self._modern.raise_(run.held_since + run.choices.hold),
            unsays="the modern table's policy as it was",
            undo=self._modern.lower,
            holds=True,
        )

    def _modern_fence_down(self) -> Step:
        return Step(name="fence-modern-down", says="the modern table's policy as it was", do=self._modern.lower)

    def _reads(self) -> Step:
        """Both sides are equal now. What still takes the old route sees what legacy writes as soon as copy has it."""
        run = self.run
        back = run.context.journal.state(run.entity.name).reads
        to = Routes(reads=Side.LEGACY)
        return Step(
            name="reads",
            says="public reads → legacy",
            do=lambda: run.send(to, timeout=max(0.0, run.held_since + run.choices.hold - time.monotonic())),
            unsays=f"{back}% of public reads → modern",
            undo=lambda: canary.send_back(run.context, run.entity, run.lease, back),
            holds=True,
        )


def _demand_followed(run: SwitchRun) -> None:
    """Continue only if each write that modern has acknowledged will reach Aurora, now that none is let in.

    Raises:
        PreconditionError: the stream was switched off, or another one was switched on.
    """
    if bridge.deployed(run.context.target, run.entity):
        check.demand([stream.adopted(run.context, run.entity, run.context.journal.state(run.entity.name))])


def fence_down(run: SwitchRun) -> list[Step]:
    """The steps where only the fence is wrong: up in phase legacy."""
    return [
        Step(name="fence", says=FENCE_DOWN, do=run.fence.undo_raise, done=lambda: not run.fence.is_up(), commit=True)
    ]
