"""`runbook cutover reads`: checks, the share of reads that modern answers, a watch, and back to 0 if it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError

from runbook.aws.api_gateway import ALL, Routes
from runbook.aws.outputs import EntityTarget
from runbook.checks import check, heartbeat
from runbook.checks.check import Check
from runbook.cutover import canary
from runbook.cutover.canary import Move, held_when_free
from runbook.cutover.canary_analysis import CanaryOptions, CanaryVerdict, watch_all
from runbook.cutover.command import Plan, Scope, Switch, record_event, resume, run_operation
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError, RefusedError, RunbookError
from runbook.journal.journal import State
from runbook.journal.lock import LEASE, Lease, held
from runbook.journal.operation import Outcome, Step, finishes
from runbook.stack import Context

TAKE_BACK = "watch of reads"  # the operation that takes reads back
TAKE_BACK_TIMEOUT_SECONDS = 2 * LEASE  # that another operator may keep the entity locked meanwhile


@dataclass(frozen=True, kw_only=True)
class ReadsResult:
    """What the command did; `resumed` as in `SwitchResult`, `verdict` is the watch's, None without a watch."""

    command: str
    changed: bool
    state: State
    routes: Routes
    percent: int
    shares_with: Sequence[str]
    checks: Sequence[Check]
    resumed: Outcome | None
    verdict: CanaryVerdict | None = None


@dataclass(frozen=True)
class Reads:
    """One command for one entity: let modern answer `percent` of 100 of its public reads."""

    context: Context
    entity: EntityTarget
    percent: int = ALL
    shared: bool = False
    watch: CanaryOptions = field(default_factory=CanaryOptions)
    heartbeat_timeout: float = heartbeat.TIMEOUT

    @property
    def command(self) -> str:
        """The command as the journal records it."""
        return f"cutover reads --percent {self.percent}{' --shared' if self.shared else ''}"

    def plan(self) -> Plan:
        """Look, without the lock. Nothing changes; a heartbeat goes through the bridge and is removed again."""
        state, routes = self.context.journal.state(self.entity.name), self.context.routing.routes(self.entity)
        if state.operation and not Move.known(state.operation.arguments):
            found = self._switch(state).plan()
            return replace(
                found, command=self.command, checks=[*found.checks, self._canary()], steps=self._steps(state)
            )
        later, result = self._after(state)
        steps = [] if self._is_so(later) else self._steps(later)
        return Plan(
            command=self.command,
            state=state,
            routes=routes,
            checks=self._checks(later) if steps else [],
            steps=steps,
            pending=state.operation,
            pending_result=result,
        )

    def execute(self) -> ReadsResult:
        """Resume an interrupted operation, make every check, act, watch. With nothing to do it still watches.

        Raises:
            PreconditionError: a check does not hold; or modern did not pass, and legacy answers all reads again.
            RefusedError: another operator holds the lock, or other entities would come along unasked.
            FailedError: interrupted past its commit; the next command resumes it.
        """
        result = self._move()
        if not self.percent or not self.watch.seconds:
            return result
        entities = [self.entity]
        if self.shared and canary.split(self.percent):
            entities += canary.sharing(self.context, self.entity).entities
        return replace(result, verdict=self._watched(entities))

    def _move(self) -> ReadsResult:
        journal, name = self.context.journal, self.entity.name
        with held(journal, name, self.context.clients.operator, self.command) as lease:
            resumed = resume(self.context, self.entity, lease)
            state = journal.state(name)
            needed = not self._is_so(state)
            passed = self._act(state, lease) if needed else []
            together = canary.sharing(self.context, self.entity).entities if canary.split(self.percent) else ()
            return ReadsResult(
                command=self.command,
                changed=needed,
                state=journal.state(name),
                routes=self.context.routing.routes(self.entity),
                percent=self.context.routing.reads_percent(self.entity),
                shares_with=[one.name for one in together],
                checks=passed,
                resumed=resumed,
            )

    def _act(self, state: State, lease: Lease) -> list[Check]:
        try:
            canary.refuse_unshared(self.context, self.entity, self.percent, shared=self.shared)
            found = self._checks(state)
            check.demand(found)
        except (PreconditionError, RefusedError) as error:
            self._record("refused", error.message)
            raise
        run_operation(self.context, self.entity, lease, self.command, self._asked(state))
        return found

    def _after(self, state: State) -> tuple[State, str]:
        """The state after an interrupted move was resumed, and how that will end."""
        pending = state.operation
        if pending is None:
            return state, ""
        move = Move.read(pending.arguments)
        finished = finishes(canary.steps(self.context, self.entity, None, move), pending)
        later = replace(state, operation=None, reads=move.percent if finished else move.before)
        return later, "finished" if finished else "undone"

    def _is_so(self, state: State) -> bool:
        """By the journal and by the stage both; an interrupted move is resumed before, so that the two agree."""
        pending = self.context.journal.state(self.entity.name).operation is not None
        there = pending or self.context.routing.reads_percent(self.entity) == self.percent
        return state.reads == self.percent and there

    def _asked(self, state: State) -> Move:
        others = canary.sharing(self.context, self.entity).percent if self.shared else 0
        return Move(percent=self.percent, before=state.reads, shared=self.shared, others=others)

    def _steps(self, state: State) -> list[Step]:
        return canary.steps(self.context, self.entity, None, self._asked(state))

    def _checks(self, state: State) -> list[Check]:
        return [*self._switch(state).checks(state), self._canary()]

    def _switch(self, state: State) -> Switch:
        """The switch whose checks are right: more reads need a healthy bridge, fewer only legacy's answer."""
        verb = "rollback" if self.percent < state.reads or not self.percent else "cutover"
        return Switch(self.context, self.entity, verb, Scope.READS, Choices(timeout=self.heartbeat_timeout))

    def _canary(self) -> Check:
        return canary.check(self.context, self.entity, self.percent, shared=self.shared)

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
        """As the stage has it now, else as it was moved."""
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
