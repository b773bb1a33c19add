"""`runbook cutover reads`: checks, the share of reads that modern answers, a watch, and back to 0 if it fails."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from runbook.aws.api_gateway import ALL, Routes
from runbook.aws.outputs import EntityTarget
from runbook.checks import heartbeat, plans
from runbook.checks.check import Check
from runbook.cutover import canary
from runbook.cutover.canary import Move
from runbook.cutover.canary_analysis import CanaryOptions, CanaryVerdict, watch_all
from runbook.cutover.command import EntityCommand, SwitchResult, record_event, resume, run_operation
from runbook.cutover.steps import Part
from runbook.errors import PreconditionError, RunbookError
from runbook.journal.lock import LEASE, held_when_free
from runbook.journal.state import State

TAKE_BACK = "watch of reads"  # the operation that takes reads back
TAKE_BACK_TIMEOUT_SECONDS = 2 * LEASE  # that another operator may keep the entity locked meanwhile


@dataclass(frozen=True, kw_only=True)
class ReadsResult(SwitchResult):
    """What the command did; `verdict` is the watch's, None without a watch."""

    percent: int
    shares_with: Sequence[str]
    verdict: CanaryVerdict | None = None


@dataclass(frozen=True)
class Reads(EntityCommand):
    """Let modern answer `percent` of 100 of the entity's public reads."""

    percent: int = ALL
    shared: bool = False
    watch: CanaryOptions = field(default_factory=CanaryOptions)
    heartbeat_timeout: float = heartbeat.TIMEOUT

    @property
    def command(self) -> str:
        return f"cutover reads --percent {self.percent}{' --shared' if self.shared else ''}"

    def execute(self) -> ReadsResult:
        """As any command; then watch, also with nothing to do.

        Raises:
            PreconditionError: a check does not hold; or modern did not pass, and legacy answers all reads again.
            RefusedError: another operator holds the lock, or other entities would come along unasked.
            FailedError: interrupted past its commit; the next command resumes it.
        """
        done, others = super().execute(), ()
        if canary.split(self.percent):
            others = canary.sharing(self.context, self.entity).entities
        return ReadsResult(
            **vars(done),
            percent=self.context.routing.reads_percent(self.entity),
            shares_with=[one.name for one in others],
            verdict=self._watched([self.entity, *(others if self.shared else ())]) if self._watches else None,
        )

    @property
    def _moves_writes(self) -> bool:
        return False

    def checks(self, state: State) -> list[Check]:
        """More reads need a healthy bridge, fewer only legacy's answer."""
        less = self.percent < state.reads or not self.percent
        scope = plans.switch_scope(state, forward=not less, reads_only=True, force=False)
        found = plans.checks(self.context, self.entity, scope, state, timeout=self.heartbeat_timeout)
        return [*found, canary.check(self.context, self.entity, self.percent, shared=self.shared)]

    def _needed(self, state: State, routes: Routes) -> Part | None:
        """The stage is not asked while an operation is pending: resuming it makes journal and stage agree."""
        del routes
        there = state.operation is not None or self.context.routing.reads_percent(self.entity) == self.percent
        return None if state.reads == self.percent and there else Part.READS

    def _arguments(self, part: Part, state: State, *, acting: bool) -> Move:
        del part, acting
        others = canary.sharing(self.context, self.entity).percent if self.shared else 0
        return Move(percent=self.percent, before=state.reads, shared=self.shared, others=others)

    def _refuse(self) -> None:
        canary.refuse_unshared(self.context, self.entity, self.percent, shared=self.shared)

    @property
    def _watches(self) -> bool:
        return bool(self.percent and self.watch.seconds)

    def _watched(self, entities: Sequence[EntityTarget]) -> CanaryVerdict:
        """Watch without the lock, so that a rollback can always run meanwhile."""
        self._record("watching", f"{self.percent}% of reads stay on modern should the watch be killed")
        try:
            verdict = watch_all(self.context, entities, self.watch)
        except KeyboardInterrupt:
            self._record("watch interrupted", f"{self.percent}% of reads stay on modern")
            raise
        except Exception as error:  # whatever it was, the watch has ended
            raise self._take_back_all(entities, f"the watch itself failed: {error}") from error
        if not verdict.passed:
            about = f"{verdict.entity}: " if len(entities) > 1 else ""
            raise self._take_back_all(entities, about + verdict.reason)
        self._record("watch passed", f"{verdict.requests.name}: {verdict.requests.modern}")
        return verdict

    def _take_back_all(self, entities: Sequence[EntityTarget], reason: str) -> PreconditionError:
        """Take back the reads of each entity, also when that fails for another; the error that says how it went."""
        self._record("watch failed", reason)
        problems = {each.name: problem for each in entities if (problem := self._try_to_take_back(each))}
        if not problems:
            return PreconditionError(
                f"modern did not pass the watch, its share of reads is 0% again: {reason}",
                "See the log of its read function, fix the cause, run the command again.",
            )
        commands = ", ".join(f"`runbook rollback reads --entity {name} --execute`" for name in problems)
        return PreconditionError(
            f"modern did not pass the watch ({reason}), and {'; '.join(problems.values())}",
            f"Take them back as soon as that is possible: {commands}.",
        )

    def _try_to_take_back(self, entity: EntityTarget) -> str:
        """Take an entity's reads back; where that fails, what stays on modern and why, for the history too."""
        try:
            self._take_back(entity)
        except (RunbookError, BotoCoreError, ClientError) as error:
            why = error.message if isinstance(error, RunbookError) else str(error)
            problem = f"{self._share(entity)}% of reads of {entity.name} are still on modern: {why}"
            act = f"`runbook rollback reads --entity {entity.name} --execute`"
            self._record("reads not taken back", f"{problem}; {act}", entity)
            return problem
        return ""

    def _share(self, entity: EntityTarget) -> int:
        try:
            return self.context.routing.reads_percent(entity)
        except (BotoCoreError, ClientError):
            return self.percent

    def _take_back(self, entity: EntityTarget) -> None:
        """All reads of an entity to legacy, as soon as its lock is free, unless a command has moved them already."""
        context, journal = self.context, self.context.journal
        operator = context.clients.operator
        with held_when_free(journal, entity.name, operator, TAKE_BACK, TAKE_BACK_TIMEOUT_SECONDS) as lease:
            resume(context, entity, lease)
            reads = journal.state(entity.name).reads
            if reads or context.routing.reads_percent(entity):
                run_operation(context, entity, lease, TAKE_BACK, Move(percent=0, before=reads))

    def _record(self, result: str, reason: str, entity: EntityTarget | None = None) -> None:
        record_event(self.context, entity or self.entity, self.command, result, reason=reason)
