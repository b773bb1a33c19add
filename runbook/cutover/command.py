"""`runbook cutover`, `rollback` and `complete`: plan or execute one, and resume an interrupted operation first."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from functions.domain.phase import Phase
from runbook.aws.api_gateway import ALL, Routes, Side, reads_side
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, check, plans
from runbook.checks.check import Check
from runbook.checks.plans import CheckScope
from runbook.checks.routes import expected_writes
from runbook.cutover import canary, complete, reverse
from runbook.cutover.canary import Move
from runbook.cutover.complete import Complete
from runbook.cutover.fence import Fence
from runbook.cutover.forward import Forward
from runbook.cutover.modern_fence import ModernFence
from runbook.cutover.reverse import Reverse
from runbook.cutover.steps import Choices, OperationKind, Part, SwitchArguments, SwitchRun
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.lock import Lease
from runbook.journal.operation import Outcome, Runner, Step, StepTime, finishes
from runbook.journal.state import Event, Operation, State
from runbook.stack import Context

Arguments = SwitchArguments | Move  # of an operation, as the journal keeps them


class Scope(StrEnum):
    READS = "reads"
    WRITES = "writes"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command would do now.

    Checks and steps are those after `pending`, an interrupted operation, was resumed with `pending_result`: finished or
    undone.
    """

    command: str
    state: State
    routes: Routes
    checks: Sequence[Check]
    steps: Sequence[Step]
    pending: Operation | None = None
    pending_result: str = ""

    @property
    def green(self) -> bool:
        return check.green(self.checks)


@dataclass(frozen=True, kw_only=True)
class SwitchResult:
    """What a command did.

    Attributes:
        resumed: the interrupted operation that it finished or undid first.
        times: of its checks and steps; none where there was nothing to do.
    """

    command: str
    changed: bool
    state: State
    routes: Routes
    checks: Sequence[Check]
    resumed: Outcome | None
    times: Sequence[StepTime]


@dataclass(frozen=True)
class EntityCommand(ABC):
    context: Context
    entity: EntityTarget

    @property
    @abstractmethod
    def command(self) -> str:
        """The command as the journal records it."""

    @abstractmethod
    def checks(self, state: State) -> list[Check]:
        """What must hold before, in this state."""

    @abstractmethod
    def _needed(self, state: State, routes: Routes) -> Part | None:
        """The part that has yet to be changed, by the journal and by the routes both."""

    @abstractmethod
    def _arguments(self, part: Part, state: State, *, acting: bool) -> Arguments:
        """Of the operation that changes it; for a plan, not `acting`, some may be left at their defaults."""

    def _refuse(self) -> None:  # noqa: B027  # only reads by percentage have something to refuse
        """Raise RefusedError where the command may not act although every check holds."""

    @property
    def _moves_writes(self) -> bool:
        """Whether it decides by the fence."""
        return True

    @property
    def _block_writers(self) -> bool:
        """Whether it may change the legacy table while MySQL blocks its writers."""
        return False

    def plan(self) -> Plan:
        """Look, without the lock. Nothing changes; a heartbeat goes through the bridge and is removed again."""
        state = self.context.journal.state(self.entity.name)
        routes = self.context.routing.routes(self.entity)
        later, there, result = state, routes, ""
        if state.operation:
            arguments = read_arguments(state.operation)
            steps = steps_of(self.context, self.entity, None, arguments)
            result = "finished" if finishes(steps, state.operation) else "undone"
            later, there = _after(arguments, state, routes, finished=result == "finished")
        part = self._needed(later, there)
        steps = steps_of(self.context, self.entity, None, self._arguments(part, later, acting=False)) if part else []
        return Plan(
            command=self.command,
            state=state,
            routes=routes,
            checks=self.checks(later) if part and part != Part.FENCE else [],
            steps=steps,
            pending=state.operation,
            pending_result=result,
        )

    def execute(self) -> SwitchResult:
        """Resume an interrupted operation, make every check, then act. Having nothing to do is no error.

        Raises:
            PreconditionError: a check does not hold, or a step failed and everything was rolled back.
            RefusedError: another operator holds the lock.
            LockLostError: another operator took the lock over; what this command did is not the end of it.
            FailedError: interrupted past its commit; the next command resumes it.
        """
        journal, name = self.context.journal, self.entity.name
        with self.context.held(self.entity, self.command) as lease:
            if self._moves_writes:
                claim(self.context, self.entity, lease)
            resumed = resume(self.context, self.entity, lease, block_writers=self._block_writers)
            if self._moves_writes:
                clear_policy(self.context, self.entity, lease)
            state = journal.state(name)
            part = self._needed(state, self.context.routing.routes(self.entity))
            passed, times = self._act(state, part, lease) if part else ([], [])
            return SwitchResult(
                command=self.command,
                changed=part is not None,
                state=journal.state(name),
                routes=self.context.routing.routes(self.entity),
                checks=passed,
                resumed=resumed,
                times=times,
            )

    def _act(self, state: State, part: Part, lease: Lease) -> tuple[list[Check], list[StepTime]]:
        begun = time.monotonic()
        try:
            self._refuse()
            found = [] if part == Part.FENCE else self.checks(state)
            check.demand(found)
        except (PreconditionError, RefusedError) as error:
            record_event(self.context, self.entity, self.command, "refused", reason=error.message)
            raise
        checked = StepTime(step="checks", seconds=time.monotonic() - begun)
        arguments = self._arguments(part, state, acting=True)
        outcome = run_operation(self.context, self.entity, lease, self.command, arguments)
        return found, [checked, *outcome.times]


@dataclass(frozen=True)
class Switch(EntityCommand):
    kind: OperationKind
    scope: Scope
    choices: Choices = field(default_factory=Choices)

    @property
    def command(self) -> str:
        given = [name for name in ("direct", "force", "fence_modern") if getattr(self.choices, name)]
        options = [f" --{name.replace('_', '-')}" for name in given]
        return f"{self.kind} {self.scope}{''.join(options)}"

    @property
    def _moves_writes(self) -> bool:
        return self.scope != Scope.READS

    def checks(self, state: State) -> list[Check]:
        scope = plans.switch_scope(
            state,
            forward=self.kind == OperationKind.CUTOVER,
            reads_only=self.scope == Scope.READS,
            force=self.choices.force,
        )
        return plans.checks(
            self.context,
            self.entity,
            scope,
            state,
            timeout=self.choices.timeout,
            reads_wanted=self._reads_wanted(state),
            reads_stay=self.choices.reads_stay,
        )

    def _reads_wanted(self, state: State) -> int | None:
        """Modern's percentage of reads beside which writes alone may move; None where they stay, or reads move too."""
        forward = self.kind == OperationKind.CUTOVER
        if self.scope != Scope.WRITES or state.phase != (Phase.LEGACY if forward else Phase.MODERN):
            return None
        return ALL if forward else 0

    def _arguments(self, part: Part, state: State, *, acting: bool) -> Arguments:
        if part == Part.READS:
            return Move(percent=ALL if self.kind == OperationKind.CUTOVER else 0, before=state.reads)
        choices = self.choices
        if acting and self.kind == OperationKind.ROLLBACK and part in {Part.WRITES, Part.BOTH}:
            # the epoch that legacy begins when writes return
            choices = replace(choices, epoch=Fence(self.context, self.entity).control().last_epoch + 1)
        return SwitchArguments(kind=self.kind, part=part, choices=choices)

    def _needed(self, state: State, routes: Routes) -> Part | None:
        side, phase, percent = (
            (Side.MODERN, Phase.MODERN, ALL) if self.kind == OperationKind.CUTOVER else (Side.LEGACY, Phase.LEGACY, 0)
        )
        writes = wanted_writes(self.kind, self.choices, state)
        reads = self.scope != Scope.WRITES and (state.reads != percent or routes.reads != side)
        if self.scope == Scope.READS:
            return Part.READS if reads else None
        if state.phase != phase:
            return Part.BOTH if reads else Part.WRITES
        if not writes == routes.writes == expected_writes(state):
            return Part.ROUTES if reads else Part.ROUTE
        if self.kind == OperationKind.ROLLBACK and self._left_up():
            return Part.FENCE
        return Part.READS if reads else None

    def _left_up(self) -> bool:
        """Whether the fence is up in phase legacy, raised by hand: no legacy writer could write."""
        return bridge.deployed(self.context.target, self.entity) and Fence(self.context, self.entity).is_up()


@dataclass(frozen=True)
class Completion(EntityCommand):
    choices: Choices = field(default_factory=Choices)
    leave_read_only: bool | None = None  # None: on in production, and as it is once the entity is complete

    @property
    def command(self) -> str:
        return OperationKind.COMPLETE.value

    @property
    def _block_writers(self) -> bool:
        return self.choices.block_writers

    def checks(self, state: State) -> list[Check]:
        if state.phase == Phase.COMPLETE:
            return []
        return plans.checks(self.context, self.entity, CheckScope.COMPLETE, state, timeout=self.choices.timeout)

    def _arguments(self, part: Part, state: State, *, acting: bool) -> Arguments:
        del acting
        choices = replace(self.choices, read_only=self.read_only(state))
        return SwitchArguments(kind=OperationKind.COMPLETE, part=part, choices=choices)

    def read_only(self, state: State) -> bool:
        """Whether the command leaves the legacy table read-only."""
        if self.leave_read_only is not None:
            return self.leave_read_only
        if state.phase == Phase.COMPLETE:
            return bool(complete.read_only(self.context, self.entity))
        return self.context.target.production

    def _needed(self, state: State, routes: Routes) -> Part | None:
        del routes
        if state.phase != Phase.COMPLETE:
            return Part.COMPLETE
        if complete.left_over(self.context, self.entity):
            return Part.LEFTOVERS
        return Part.READ_ONLY if self._access_differs() else None

    def _access_differs(self) -> bool:
        """Whether the triggers that refuse writes are not as the option asks."""
        if self.leave_read_only is None or not self.context.target.cluster_arn:
            return False
        if self.leave_read_only:
            return bool(complete.not_read_only(self.context, self.entity))
        return bool(complete.read_only(self.context, self.entity))


def run_operation(context: Context, entity: EntityTarget, lease: Lease, command: str, arguments: Arguments) -> Outcome:
    """Do the steps of an operation; the journal keeps the arguments until it has ended."""
    steps = steps_of(context, entity, lease, arguments)
    return Runner(context.journal, lease, steps, context.say).run(command, arguments.written())


def claim(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Bar in Aurora what earlier operators may still send. It comes before any look at the fence or the triggers."""
    if bridge.deployed(context.target, entity) and context.journal.state(entity.name).phase != Phase.COMPLETE:
        Fence(context, entity, lease).claim()


def clear_policy(context: Context, entity: EntityTarget, lease: Lease) -> None:
    """Remove the fence of the modern table that no operation has under way: a call of an earlier one came late."""
    if bridge.deployed(context.target, entity) and ModernFence(context, entity, lease).clear():
        context.say("the modern table's policy still refused writes; it is as it was before the rollback")


def resume(context: Context, entity: EntityTarget, lease: Lease, *, block_writers: bool = False) -> Outcome | None:
    """Finish or undo the operation that another run began and did not end; None when there is none.

    Args:
        block_writers: allow what the other run was refused.
    """
    pending = context.journal.state(entity.name).operation
    if pending is None:
        return None
    if not Move.known(pending.arguments):
        claim(context, entity, lease)
    context.say(f"resuming `{pending.command}`, interrupted at {pending.step}")
    arguments = read_arguments(pending)
    if block_writers and isinstance(arguments, SwitchArguments):
        arguments = replace(arguments, choices=replace(arguments.choices, block_writers=True))
    steps = steps_of(context, entity, lease, arguments)
    return Runner(context.journal, lease, steps, context.say).recover(pending)


def read_arguments(operation: Operation) -> Arguments:
    if Move.known(operation.arguments):
        return Move.read(operation.arguments)
    return SwitchArguments.read(operation.arguments)


def steps_of(context: Context, entity: EntityTarget, lease: Lease | None, arguments: Arguments) -> list[Step]:
    """The steps of an operation; without a lease they can be shown, not done."""
    if isinstance(arguments, Move):
        return canary.steps(context, entity, lease, arguments)
    run, part = SwitchRun(context, entity, lease, arguments.choices), arguments.part
    side = Side.MODERN if arguments.kind == OperationKind.CUTOVER else Side.LEGACY
    if part in {Part.WRITES, Part.BOTH}:
        return Forward(run).steps() if side == Side.MODERN else Reverse(run, reads=part == Part.BOTH).steps()
    if part in {Part.COMPLETE, Part.LEFTOVERS}:
        return Complete(run).steps() if part == Part.COMPLETE else Complete(run).leftovers()
    if part == Part.READ_ONLY:
        return [Complete(run).access(commit=True)]
    if part == Part.FENCE:
        return reverse.fence_down(run)
    writes = wanted_writes(arguments.kind, arguments.choices, context.journal.state(entity.name))
    reads = [run.reads_to(side), run.record_reads(side)] if part == Part.ROUTES else []
    return [run.writes_to(writes, commit=True), *reads]


def wanted_writes(kind: OperationKind, choices: Choices, state: State) -> Side:
    """Where public writes go when a command has moved them, or finds that the phase is right already."""
    if kind == OperationKind.CUTOVER:
        return Side.MODERN if choices.direct else Side.GATE
    return Side.GATE if state.gated else Side.LEGACY


def record_event(context: Context, entity: EntityTarget, command: str, result: str, **details: Any) -> None:
    """Add a line to the history that belongs to no change of the state; empty details are left out."""
    kept = {name: value for name, value in details.items() if value != ""}
    operator = context.clients.operator
    context.journal.record(Event(entity=entity.name, command=command, result=result, operator=operator, details=kept))


def _after(arguments: Arguments, state: State, routes: Routes, *, finished: bool) -> tuple[State, Routes]:
    """Where an entity will stand when an interrupted operation has been finished or undone."""
    if isinstance(arguments, Move):
        percent = arguments.percent if finished else arguments.before
        return replace(state, reads=percent), replace(routes, reads=reads_side(percent))
    part = arguments.part
    if part in {Part.COMPLETE, Part.LEFTOVERS}:
        return _after_complete(state, routes, finished=finished)
    if part in {Part.FENCE, Part.READ_ONLY}:
        return state, routes
    side = Side.MODERN if (arguments.kind == OperationKind.CUTOVER) == finished else Side.LEGACY
    modern = side == Side.MODERN
    if part in {Part.BOTH, Part.ROUTES} and finished:
        state, routes = replace(state, reads=ALL if modern else 0), replace(routes, reads=side)
    if part not in {Part.ROUTE, Part.ROUTES}:
        state = replace(state, phase=Phase.MODERN if modern else Phase.LEGACY)
    if not finished:
        return state, routes
    moved_back = arguments.kind == OperationKind.ROLLBACK and part in {Part.WRITES, Part.BOTH}
    writes = Side.GATE if moved_back else wanted_writes(arguments.kind, arguments.choices, state)
    return replace(state, gated=writes == Side.GATE), replace(routes, writes=writes)


def _after_complete(state: State, routes: Routes, *, finished: bool) -> tuple[State, Routes]:
    if not finished:
        return replace(state, phase=Phase.MODERN), routes
    return replace(state, phase=Phase.COMPLETE, gated=False), replace(routes, writes=Side.MODERN)
