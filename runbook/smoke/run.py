"""One run of the smoke test: its steps in order, each with its result, and the records that it has to remove."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from functions.domain.entities import Entity
from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError
from runbook.stack import Context

BRIDGE_TIMEOUT_SECONDS = 60.0  # until a change must have come through the bridge
PlannedStep = tuple[str, str, Callable[[], str]]  # its name, the part that it needs, and what returns its detail


@dataclass(frozen=True, kw_only=True)
class SmokeStep:
    """One step: `ok` is None when it was skipped."""

    step: int
    name: str
    ok: bool | None
    detail: str = ""
    seconds: float = 0.0


class SkippedError(Exception):
    """A step that cannot be made; the text says why."""


@dataclass
class SmokeRun(ABC):
    """One run for one entity; `created` collects its records, as (system, id)."""

    context: Context
    entity: EntityTarget
    created: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def run(self) -> list[SmokeStep]:
        """Every step in order; after a failed one the rest is skipped. What was created is removed in any case."""
        try:
            results = self._steps()
        finally:
            self._clean_up()
        return results

    @abstractmethod
    def _plan(self) -> list[PlannedStep]:
        """The steps."""

    @abstractmethod
    def _clean_up(self) -> None:
        """Remove the records of this run: the item first, so that the bridge cannot bring its row back."""

    def _steps(self) -> list[SmokeStep]:
        results: list[SmokeStep] = []
        for number, (name, part, step) in enumerate(self._plan(), start=1):
            self.context.say(f"{number}. {name}")
            results.append(self._one(number, name, part, step, failed=any(r.ok is False for r in results)))
        return results

    def _one(self, number: int, name: str, part: str, step: Callable[[], str], *, failed: bool) -> SmokeStep:
        if failed:
            return SmokeStep(step=number, name=name, ok=None, detail="skipped: an earlier step failed")
        if part not in self.context.target.parts:
            return SmokeStep(step=number, name=name, ok=None, detail=f"skipped: {part} is not deployed")
        begun = time.monotonic()
        try:
            detail, ok = step(), True
        except SkippedError as skipped:
            detail, ok = f"skipped: {skipped}", None
        except FailedError as error:
            detail, ok = error.message, False
        return SmokeStep(step=number, name=name, ok=ok, detail=detail, seconds=time.monotonic() - begun)

    @cached_property
    def _phase(self) -> Phase:
        state = self.context.journal.find(self.entity.name)
        return state.phase if state else Phase.LEGACY

    @property
    def _described(self) -> Entity:
        return self.context.target.mapping[self.entity.name]

    @property
    def _fenced(self) -> bool:
        return self._phase == Phase.MODERN

    def _demand_connected(self) -> None:
        name = self.entity.name
        if not self.context.aurora.control(self._described).connected:
            raise FailedError(
                f"the bridge of {name} is disconnected, since `copy stop --remove-triggers` removed its triggers; run "
                f"`runbook copy start --entity {name}` or `runbook init` to connect it"
            )
