"""The steps of every switch, in order: what is done, and what undoes it until the step that commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook.aws.api_gateway import Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.cutover import canary, complete_steps, forward, reverse
from runbook.cutover.canary import Move
from runbook.cutover.steps import Choices, Parts
from runbook.journal.lock import Lease
from runbook.journal.operation import Step
from runbook.stack import Context

ALL = 100  # percent of reads


@dataclass(frozen=True)
class Steps:
    """The steps of one entity's switches. Without a lease they can be shown, not done."""

    context: Context
    entity: EntityTarget
    lease: Lease | None = None

    def of(self, arguments: Mapping[str, str]) -> list[Step]:
        """The steps of an operation by its arguments in the journal.

        Args:
            arguments: `verb` (cutover, rollback or complete), `scope` (reads, writes or both; route, routes or
                fence where only stage variables or only the fence is wrong), and those of `Choices`.
        """
        if Move.known(arguments):
            return canary.of(self.context, self.entity, self.lease, arguments)
        parts = Parts(self.context, self.entity, self.lease, Choices.read(arguments))
        if arguments["verb"] == "complete":
            left = arguments["scope"] == complete_steps.LEFTOVERS
            return complete_steps.leftovers(parts) if left else complete_steps.steps(parts)
        side = Side.MODERN if arguments["verb"] == "cutover" else Side.LEGACY
        return self._of_scope(parts, arguments["scope"], side)

    @staticmethod
    def _of_scope(parts: Parts, scope: str, side: Side) -> list[Step]:
        if scope == "fence":
            return reverse.fence_down(parts)
        if scope == "route":
            return [parts.route(Routes(writes=side), commit=True)]
        if scope == "routes":
            return [parts.route(Routes(reads=side, writes=side), commit=True), parts.record_reads(side)]
        if side == Side.MODERN:
            return forward.steps(parts)
        return reverse.steps(parts, reads=scope == "both")
