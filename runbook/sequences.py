"""The steps of every switch, in order: what is done, and what undoes it until the step that commits.

The road back is the road there with the sides exchanged. Steps that hold, drain and compare belong between
the first and the last step of the two sequences for writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbook import probe
from runbook.errors import PreconditionError
from runbook.journal import Phase, now
from runbook.routing import Routes, Side
from runbook.steps import Step

if TYPE_CHECKING:
    from runbook.context import Context
    from runbook.lock import Lease
    from runbook.target import EntityTarget

ALL = 100  # percent of reads


@dataclass(frozen=True)
class Steps:
    """The steps of one entity's switches. Without a lease they can be shown, not done."""

    context: Context
    entity: EntityTarget
    lease: Lease | None = None
    patience: float = probe.PATIENCE

    def of(self, command: str, scope: str) -> list[Step]:
        """The steps of `cutover` or `rollback` of `reads`, `writes` or `both`."""
        side = Side.MODERN if command == "cutover" else Side.LEGACY
        if scope == "reads":
            return self._reads(side)
        if side == Side.MODERN:
            return self._cutover_writes()
        return self._rollback(Routes(reads=side if scope == "both" else None, writes=side))

    def _reads(self, side: Side) -> list[Step]:
        return [
            self._route(Routes(reads=side), Routes(reads=other(side))),
            self._record_reads(side),
        ]

    def _cutover_writes(self) -> list[Step]:
        return [
            self._phase(Phase.SWITCHING, undo=Phase.LEGACY),
            self._route(Routes(writes=Side.MODERN), Routes(writes=Side.LEGACY)),
            self._phase(Phase.MODERN),
        ]

    def _rollback(self, to: Routes) -> list[Step]:
        back = Routes(reads=Side.MODERN if to.reads else None, writes=Side.MODERN)
        return [
            self._phase(Phase.RETURNING, undo=Phase.MODERN),
            self._route(to, back),
            *([self._record_reads(Side.LEGACY)] if to.reads else []),
            self._drain(),
            self._phase(Phase.LEGACY),
        ]

    def _phase(self, phase: Phase, undo: Phase | None = None) -> Step:
        return Step(
            name=f"phase-{phase}",
            says=f"phase {phase}",
            do=lambda: self._enter(phase),
            unsays=f"phase {undo}" if undo else "",
            undo=(lambda: self._enter(undo)) if undo else lambda: None,
            done=lambda: self.context.journal.state(self.entity.name).phase == phase,
        )

    def _route(self, to: Routes, back: Routes) -> Step:
        return Step(
            name="route",
            says=_says(to),
            do=lambda: self._send(to),
            unsays=_says(back),
            undo=lambda: self._send(back),
            done=lambda: self._goes(to),
            commit=True,
        )

    def _record_reads(self, side: Side) -> Step:
        percent = ALL if side == Side.MODERN else 0
        return Step(
            name="record-reads",
            says=f"{percent}% of reads on modern, in the journal",
            do=lambda: self._write({"reads": percent}),
        )

    def _drain(self) -> Step:
        return Step(
            name="drain",
            says="wait until a probe sent after the last write has come through the bridge",
            do=self._probe,
        )

    def _probe(self) -> None:
        arrival = probe.send(self.context, self.entity, self.patience)
        if not arrival.arrived:
            raise PreconditionError(f"the probe did not come through the bridge in {arrival.seconds:.0f} s")

    def _enter(self, phase: Phase) -> None:
        if self.context.journal.state(self.entity.name).phase != phase:
            self._write({"phase": phase.value, "phase_since": now()})

    def _send(self, routes: Routes) -> None:
        self.context.routing.route(self.entity, routes)

    def _goes(self, to: Routes) -> bool:
        routes = self.context.routing.routes(self.entity)
        return to.reads in {None, routes.reads} and to.writes in {None, routes.writes}

    def _write(self, changes: dict[str, object]) -> None:
        assert self.lease is not None, "steps without a lease are for plans"
        self.context.journal.write(self.lease.lock, self.entity.name, changes)


def other(side: Side) -> Side:
    """The side across."""
    return Side.LEGACY if side == Side.MODERN else Side.MODERN


def _says(to: Routes) -> str:
    parts = [f"{what} → {side}" for what, side in (("reads", to.reads), ("writes", to.writes)) if side]
    return "public " + ", ".join(parts)
