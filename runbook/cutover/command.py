"""`runbook cutover` and `runbook rollback`: gates, then steps under the lock.

What was left half-done is settled first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from runbook.aws.api_gateway import Routes, Side, reads_side
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, check, plans
from runbook.checks.check import Check
from runbook.cutover.canary import Move
from runbook.cutover.fence import Fence
from runbook.cutover.sequences import ALL, Steps
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError
from runbook.journal.journal import Event, Operation, Phase, State
from runbook.journal.lock import Lease, held
from runbook.journal.operation import Outcome, Runner, Step, finishes
from runbook.stack import Context


class Scope(StrEnum):
    """What is switched."""

    READS = "reads"
    WRITES = "writes"
    BOTH = "both"


ROUTE, ROUTES = "route", "routes"  # of an operation: the phase is right, the stage variables are not
FENCE = "fence"  # likewise: only the fence is up where it should be down


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a command would do now.

    Gates and steps are those after `pending`, a half-done operation, was settled to `pending_result`.
    """

    command: str
    state: State
    routes: Routes
    gates: Sequence[Check]
    steps: Sequence[Step]
    pending: Operation | None = None
    pending_result: str = ""

    @property
    def green(self) -> bool:
        """Whether every gate lets it pass."""
        return check.green(self.gates)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command did; `settled` is the half-done operation that it finished or undid first."""

    command: str
    changed: bool
    state: State
    routes: Routes
    gates: Sequence[Check]
    settled: Outcome | None


@dataclass(frozen=True)
class Switch:
    """One command for one entity: `verb` is cutover or rollback."""

    context: Context
    entity: EntityTarget
    verb: str
    scope: Scope
    choices: Choices = field(default_factory=Choices)

    @property
    def command(self) -> str:
        """The command as the journal tells it."""
        return f"{self.verb} {self.scope}{' --force' if self.choices.force else ''}"

    def plan(self) -> Plan:
        """Look, without the lock.

        Nothing changes, but a probe goes through the bridge and is removed again.
        """
        state = self.context.journal.state(self.entity.name)
        routes = self.context.routing.routes(self.entity)
        result = self._foreseen(state.operation) if state.operation else ""
        later, there = _after(state.operation, result, state, routes) if state.operation else (state, routes)
        needed = self._needed(later, there)
        steps = self._steps(needed, later)
        return Plan(
            command=self.command,
            state=state,
            routes=routes,
            gates=self.gates(later) if steps and needed != FENCE else [],
            steps=steps,
            pending=state.operation,
            pending_result=result,
        )

    def execute(self) -> Done:
        """Settle what is half-done, check every gate, then act. Having nothing to do is no error.

        Raises:
            PreconditionError: a gate is red, or a step failed and everything was put back.
            RefusedError: another operator holds the lock.
            FailedError: half-done past its commit; the next command goes on from there.
        """
        journal, name = self.context.journal, self.entity.name
        with held(journal, name, self.context.clients.operator, self.command) as lease:
            settled = settle(self.context, self.entity, lease)
            state = journal.state(name)
            needed = self._needed(state, self.context.routing.routes(self.entity))
            passed = self._act(state, needed, lease) if needed else []
            return Done(
                command=self.command,
                changed=needed is not None,
                state=journal.state(name),
                routes=self.context.routing.routes(self.entity),
                gates=passed,
                settled=settled,
            )

    def _act(self, state: State, needed: str, lease: Lease) -> list[Check]:
        found = [] if needed == FENCE else self.gates(state)
        try:
            check.demand(found)
        except PreconditionError as error:
            self.context.journal.record(self._refused(lease, error.message))
            raise
        arguments = self._arguments(needed, self._choices(needed), state.reads)
        steps = Steps(self.context, self.entity, lease).of(arguments)
        Runner(self.context.journal, lease, steps, self.context.say).run(self.command, arguments)
        return found

    def _choices(self, needed: str) -> Choices:
        """With the period that legacy begins when writes come back."""
        if self.verb == "cutover" or needed in {Scope.READS, ROUTE, ROUTES, FENCE}:
            return self.choices
        generation = Fence(self.context, self.entity).control().last_epoch
        return replace(self.choices, generation=generation + 1)

    def _arguments(self, needed: str, choices: Choices, reads: int) -> dict[str, str]:
        if needed == Scope.READS:
            return Move(percent=ALL if self.verb == "cutover" else 0, before=reads).written()
        return {"verb": self.verb, "scope": str(needed), **choices.written()}

    def _refused(self, lease: Lease, reason: str) -> Event:
        return Event(
            entity=self.entity.name,
            command=self.command,
            result="refused",
            operator=lease.lock.holder,
            details={"reason": reason},
        )

    def _steps(self, needed: str | None, state: State) -> list[Step]:
        if needed is None:
            return []
        return Steps(self.context, self.entity).of(self._arguments(needed, self.choices, state.reads))

    def gates(self, state: State) -> list[Check]:
        scope = plans.switch_scope(
            state,
            forward=self.verb == "cutover",
            reads_only=self.scope == Scope.READS,
            force=self.choices.force,
        )
        return plans.checks(self.context, self.entity, scope, state, timeout=self.choices.patience)

    def _needed(self, state: State, routes: Routes) -> str | None:
        """The part of the scope that is not already so, by the journal and by the routes both."""
        side, phase, percent = (
            (Side.MODERN, Phase.MODERN, ALL) if self.verb == "cutover" else (Side.LEGACY, Phase.LEGACY, 0)
        )
        reads = self.scope != Scope.WRITES and (state.reads != percent or routes.reads != side)
        writes = self.scope != Scope.READS and state.phase != phase
        if writes:
            return Scope.BOTH if reads else Scope.WRITES
        if self.scope != Scope.READS and routes.writes != side:
            return ROUTES if reads else ROUTE
        if self.verb == "rollback" and self.scope != Scope.READS and self._left_up():
            return FENCE
        return Scope.READS if reads else None

    def _left_up(self) -> bool:
        """Whether the fence is up in phase legacy, by somebody's hand: no legacy writer could write."""
        return bridge.deployed(self.context.target, self.entity) and Fence(self.context, self.entity).is_up()

    def _foreseen(self, pending: Operation) -> str:
        steps = Steps(self.context, self.entity).of(pending.arguments)
        return "finished" if finishes(steps, pending) else "undone"


def _after(pending: Operation, result: str, state: State, routes: Routes) -> tuple[State, Routes]:
    """Where an entity will stand when what is half-done has been finished or undone."""
    if Move.known(pending.arguments):
        move = Move.read(pending.arguments)
        percent = move.percent if result == "finished" else move.before
        return replace(state, reads=percent), replace(routes, reads=reads_side(percent))
    if pending.arguments["scope"] == FENCE:
        return state, routes
    if pending.arguments["verb"] == "complete":
        return replace(state, phase=Phase.COMPLETE if result == "finished" else Phase.MODERN), routes
    side = Side.MODERN if (pending.arguments["verb"] == "cutover") == (result == "finished") else Side.LEGACY
    modern, scope = side == Side.MODERN, pending.arguments["scope"]
    if scope in {Scope.READS, Scope.BOTH, ROUTES} and result == "finished":
        state, routes = replace(state, reads=ALL if modern else 0), replace(routes, reads=side)
    if scope in {ROUTE, ROUTES}:
        routes = replace(routes, writes=side)
    elif scope != Scope.READS:
        phase = Phase.MODERN if modern else Phase.LEGACY
        state, routes = replace(state, phase=phase), replace(routes, writes=side)
    return state, routes


def settle(context: Context, entity: EntityTarget, lease: Lease) -> Outcome | None:
    """Finish or undo what another run left half-done; None when there is nothing."""
    pending = context.journal.state(entity.name).operation
    if pending is None:
        return None
    context.say(f"settling `{pending.command}`, left half-done at {pending.step}")
    steps = Steps(context, entity, lease).of(pending.arguments)
    return Runner(context.journal, lease, steps, context.say).recover(pending)
