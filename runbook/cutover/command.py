"""`runbook cutover`, `rollback` and `complete`: plan or execute one, and resume an interrupted operation first."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from runbook.aws.api_gateway import ALL, Routes, Side, reads_side
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, check, plans
from runbook.checks.check import Check
from runbook.checks.plans import CheckScope
from runbook.cutover import canary, complete, reverse
from runbook.cutover.canary import Move
from runbook.cutover.complete import Complete
from runbook.cutover.fence import Fence
from runbook.cutover.forward import Forward
from runbook.cutover.reverse import Reverse
from runbook.cutover.steps import Choices, OperationKind, Part, SwitchArguments, SwitchRun
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.journal import Event, Operation, Phase, State
from runbook.journal.lock import Lease, held
from runbook.journal.operation import Outcome, Runner, Step, finishes
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
    """What a command did; `resumed` is the interrupted operation that it finished or undid first."""

    command: str
    changed: bool
    state: State
    routes: Routes
    checks: Sequence[Check]
    resumed: Outcome | None


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
            PreconditionError: a check does not hold, or a step failed and everything was put back.
            RefusedError: another operator holds the lock.
            FailedError: interrupted past its commit; the next command resumes it.
        """
        journal, name = self.context.journal, self.entity.name
        with held(journal, name, self.context.clients.operator, self.command) as lease:
            resumed = resume(self.context, self.entity, lease)
            state = journal.state(name)
            part = self._needed(state, self.context.routing.routes(self.entity))
            passed = self._act(state, part, lease) if part else []
            return SwitchResult(
                command=self.command,
                changed=part is not None,
                state=journal.state(name),
                routes=self.context.routing.routes(self.entity),
                checks=passed,
                resumed=resumed,
            )

    def _act(self, state: State, part: Part, lease: Lease) -> list[Check]:
        try:
            self._refuse()
            found = [] if part == Part.FENCE else self.checks(state)
            check.demand(found)
        except (PreconditionError, RefusedError) as error:
            record_event(self.context, self.entity, self.command, "refused", reason=error.message)
            raise
        arguments = self._arguments(part, state, acting=True)
        run_operation(self.context, self.entity, lease, self.command, arguments)
        return found


@dataclass(frozen=True)
class Switch(EntityCommand):
    kind: OperationKind
    scope: Scope
    choices: Choices = field(default_factory=Choices)

    @property
    def command(self) -> str:
        return f"{self.kind} {self.scope}{' --force' if self.choices.force else ''}"

    def checks(self, state: State) -> list[Check]:
        scope = plans.switch_scope(
            state,
            forward=self.kind == OperationKind.CUTOVER,
            reads_only=self.scope == Scope.READS,
            force=self.choices.force,
        )
        return plans.checks(self.context, self.entity, scope, state, timeout=self.choices.timeout)

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
        reads = self.scope != Scope.WRITES and (state.reads != percent or routes.reads != side)
        if self.scope == Scope.READS:
            return Part.READS if reads else None
        if state.phase != phase:
            return Part.BOTH if reads else Part.WRITES
        if routes.writes != side:
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

    @property
    def command(self) -> str:
        return OperationKind.COMPLETE.value

    def checks(self, state: State) -> list[Check]:
        if state.phase == Phase.COMPLETE:
            return []
        return plans.checks(self.context, self.entity, CheckScope.COMPLETE, state, timeout=self.choices.timeout)

    def _arguments(self, part: Part, state: State, *, acting: bool) -> Arguments:
        del state, acting
        return SwitchArguments(kind=OperationKind.COMPLETE, part=part, choices=self.choices)

    def _needed(self, state: State, routes: Routes) -> Part | None:
        del routes
        if state.phase != Phase.COMPLETE:
            return Part.COMPLETE
        return Part.LEFTOVERS if complete.left_over(self.context, self.entity) else None


def run_operation(context: Context, entity: EntityTarget, lease: Lease, command: str, arguments: Arguments) -> Outcome:
    """Do the steps of an operation; the journal keeps the arguments until it has ended."""
    steps = steps_of(context, entity, lease, arguments)
    return Runner(context.journal, lease, steps, context.say).run(command, arguments.written())


def resume(context: Context, entity: EntityTarget, lease: Lease) -> Outcome | None:
    """Finish or undo the operation that another run began and did not end; None when there is none."""
    pending = context.journal.state(entity.name).operation
    if pending is None:
        return None
    context.say(f"resuming `{pending.command}`, interrupted at {pending.step}")
    steps = steps_of(context, entity, lease, read_arguments(pending))
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
    if part == Part.FENCE:
        return reverse.fence_down(run)
    reads = part == Part.ROUTES
    route = run.route(Routes(reads=side if reads else None, writes=side), commit=True)
    return [route, *([run.record_reads(side)] if reads else [])]


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
        return replace(state, phase=Phase.COMPLETE if finished else Phase.MODERN), routes
    if part == Part.FENCE:
        return state, routes
    side = Side.MODERN if (arguments.kind == OperationKind.CUTOVER) == finished else Side.LEGACY
    modern = side == Side.MODERN
    if part in {Part.BOTH, Part.ROUTES} and finished:
        state, routes = replace(state, reads=ALL if modern else 0), replace(routes, reads=side)
    if part not in {Part.ROUTE, Part.ROUTES}:
        state = replace(state, phase=Phase.MODERN if modern else Phase.LEGACY)
    return state, replace(routes, writes=side)
