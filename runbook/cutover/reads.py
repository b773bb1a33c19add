"""`runbook cutover reads`: gates, the share of reads that modern answers, a watch, and back to 0 should it fail."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError

from runbook.aws.api_gateway import ALL, Routes
from runbook.aws.outputs import EntityTarget
from runbook.checks import check, heartbeat
from runbook.checks.check import Check
from runbook.cutover import canary
from runbook.cutover.canary import Move
from runbook.cutover.canary_analysis import Options, Verdict, watch_all
from runbook.cutover.command import Plan, Scope, Switch, settle
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError, RefusedError, RunbookError
from runbook.journal.journal import Event, State
from runbook.journal.lock import LEASE, Lease, held
from runbook.journal.operation import Outcome, Runner, Step, finishes
from runbook.stack import Context

RETURN = "watch of reads"  # the operation that takes them back
RETURN_PATIENCE = 2 * LEASE  # seconds that another operator may keep the entity locked meanwhile
AGAIN = 0.5  # seconds


@dataclass(frozen=True, kw_only=True)
class Done:
    """What the command did; `verdict` is the watch's, None when nothing was watched."""

    command: str
    changed: bool
    state: State
    routes: Routes
    percent: int
    shares_with: Sequence[str]
    gates: Sequence[Check]
    settled: Outcome | None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Reads:
    """One command for one entity: let modern answer `percent` of 100 of its public reads."""

    context: Context
    entity: EntityTarget
    percent: int = ALL
    shared: bool = False
    watch: Options = field(default_factory=Options)
    patience: float = heartbeat.TIMEOUT

    @property
    def command(self) -> str:
        """The command as the journal tells it."""
        return f"cutover reads --percent {self.percent}{' --shared' if self.shared else ''}"

    def plan(self) -> Plan:
        """Look, without the lock; nothing changes, but a probe goes through the bridge and is removed again."""
        state, routes = self.context.journal.state(self.entity.name), self._routes()
        if state.operation and not Move.known(state.operation.arguments):
            found = self._switch(state).plan()
            return replace(found, command=self.command, gates=[*found.gates, self._canary()], steps=self._steps(state))
        later, result = self._settled(state)
        steps = [] if self._is_so(later) else self._steps(later)
        return Plan(
            command=self.command,
            state=state,
            routes=routes,
            gates=self._gates(later) if steps else [],
            steps=steps,
            pending=state.operation,
            pending_result=result,
        )

    def execute(self) -> Done:
        """Settle what is half-done, check every gate, act, watch. With nothing to do it still watches.

        Raises:
            PreconditionError: a gate is red; or modern did not pass, and all of its reads are legacy's again.
            RefusedError: another operator holds the lock, or other entities would come along unasked.
            FailedError: half-done past its commit; the next command goes on from there.
        """
        done = self._move()
        if not self.percent or not self.watch.seconds:
            return done
        entities = [self.entity]
        if self.shared and canary.split(self.percent):
            entities += canary.sharing(self.context, self.entity).entities
        return replace(done, verdict=self._watched(entities))

    def _move(self) -> Done:
        journal, name = self.context.journal, self.entity.name
        with held(journal, name, self.context.clients.operator, self.command) as lease:
            settled = self._settle(lease)
            state = journal.state(name)
            needed = not self._is_so(state)
            passed = self._act(state, lease) if needed else []
            return Done(
                command=self.command,
                changed=needed,
                state=journal.state(name),
                routes=self._routes(),
                percent=self.context.routing.reads_percent(self.entity),
                shares_with=[one.name for one in self._sharing()],
                gates=passed,
                settled=settled,
            )

    def _act(self, state: State, lease: Lease) -> list[Check]:
        try:
            canary.refuse_unshared(self.context, self.entity, self.percent, shared=self.shared)
            found = self._gates(state)
            check.demand(found)
        except (PreconditionError, RefusedError) as error:
            self._tell("refused", error.message)
            raise
        self._run(self.entity, lease, self._asked(state), self.command)
        return found

    def _run(self, entity: EntityTarget, lease: Lease, move: Move, command: str) -> None:
        steps = canary.of(self.context, entity, lease, move.written())
        Runner(self.context.journal, lease, steps, self.context.say).run(command, move.written())

    def _settle(self, lease: Lease) -> Outcome | None:
        pending = self.context.journal.state(lease.entity).operation
        if pending is None or not Move.known(pending.arguments):
            return settle(self.context, self.context.target.entity(lease.entity), lease)
        self.context.say(f"settling `{pending.command}`, left half-done at {pending.step}")
        entity = self.context.target.entity(lease.entity)
        steps = canary.of(self.context, entity, lease, pending.arguments)
        return Runner(self.context.journal, lease, steps, self.context.say).recover(pending)

    def _settled(self, state: State) -> tuple[State, str]:
        """The state after a half-done move was settled, and how it will be."""
        pending = state.operation
        if pending is None:
            return state, ""
        steps = canary.of(self.context, self.entity, None, pending.arguments)
        move, finished = Move.read(pending.arguments), finishes(steps, pending)
        later = replace(state, operation=None, reads=move.percent if finished else move.before)
        return later, "finished" if finished else "undone"

    def _is_so(self, state: State) -> bool:
        """By the journal and by the stage both; a half-done move is settled before, which makes the two agree."""
        settling = self.context.journal.state(self.entity.name).operation is not None
        there = settling or self.context.routing.reads_percent(self.entity) == self.percent
        return state.reads == self.percent and there

    def _asked(self, state: State) -> Move:
        others = self._sharing_percent() if self.shared else 0
        return Move(percent=self.percent, before=state.reads, shared=self.shared, others=others)

    def _steps(self, state: State) -> list[Step]:
        return canary.of(self.context, self.entity, None, self._asked(state).written())

    def _gates(self, state: State) -> list[Check]:
        return [*self._switch(state).gates(state), self._canary()]

    def _switch(self, state: State) -> Switch:
        """The switch whose gates are right: more reads need a whole bridge, fewer only legacy's answer."""
        verb = "rollback" if self.percent < state.reads or not self.percent else "cutover"
        return Switch(self.context, self.entity, verb, Scope.READS, Choices(patience=self.patience))

    def _canary(self) -> Check:
        return canary.check(self.context, self.entity, self.percent, shared=self.shared)

    def _sharing(self) -> Sequence[EntityTarget]:
        return canary.sharing(self.context, self.entity).entities if canary.split(self.percent) else ()

    def _sharing_percent(self) -> int:
        return canary.sharing(self.context, self.entity).percent

    def _routes(self) -> Routes:
        return self.context.routing.routes(self.entity)

    def _watched(self, entities: Sequence[EntityTarget]) -> Verdict:
        """Watch without the lock, so that a rollback can always come between."""
        self._tell("watching", f"{self.percent}% of reads stay on modern should the watch be killed")
        try:
            verdict = watch_all(self.context, entities, self.watch)
        except KeyboardInterrupt:
            self._tell("watch interrupted", f"{self.percent}% of reads stay on modern")
            raise
        except Exception as error:  # whatever it was, nobody looks any more
            raise self._back(entities, f"the watch itself failed: {error}") from error
        if not verdict.passed:
            about = f"{verdict.entity}: " if len(entities) > 1 else ""
            raise self._back(entities, about + verdict.reason)
        self._tell("watch passed", f"{verdict.requests.name}: {verdict.requests.modern}")
        return verdict

    def _back(self, entities: Sequence[EntityTarget], reason: str) -> PreconditionError:
        """Take all reads of the entities back, each whatever becomes of the others; what there is to say of it."""
        self._tell("watch failed", reason)
        stay = {each.name: said for each in entities if (said := self._stays(each))}
        if not stay:
            return PreconditionError(
                f"modern did not pass the watch, its share of reads is 0% again: {reason}",
                "See the log of its read function, mend the cause, run it again.",
            )
        commands = ", ".join(f"`runbook rollback reads --entity {name} --execute`" for name in stay)
        return PreconditionError(
            f"modern did not pass the watch ({reason}), and {'; '.join(stay.values())}",
            f"Take them back as soon as that is possible: {commands}.",
        )

    def _stays(self, entity: EntityTarget) -> str:
        """Take its reads back; where that fails, what stays on modern and why, for the history too."""
        try:
            self._return(entity)
        except (RunbookError, BotoCoreError, ClientError) as error:
            why = error.message if isinstance(error, RunbookError) else str(error)
            said = f"{self._share(entity)} of reads of {entity.name} are still on modern: {why}"
            act = f"`runbook rollback reads --entity {entity.name} --execute`"
            self._tell("reads not taken back", f"{said}; {act}", entity)
            return said
        return ""

    def _share(self, entity: EntityTarget) -> str:
        """As the stage has it now, else as it was moved."""
        try:
            percent = self.context.routing.reads_percent(entity)
        except (BotoCoreError, ClientError):
            percent = self.percent
        return f"{percent}%"

    def _return(self, entity: EntityTarget) -> None:
        """All reads of an entity to legacy, as soon as its lock is free, unless somebody has moved them already."""
        deadline = time.monotonic() + RETURN_PATIENCE
        while True:
            try:
                with held(self.context.journal, entity.name, self.context.clients.operator, RETURN) as lease:
                    self._settle(lease)
                    reads = self.context.journal.state(entity.name).reads
                    if reads or self.context.routing.reads_percent(entity):
                        self._run(entity, lease, Move(percent=0, before=reads), RETURN)
                    return
            except RefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN)

    def _tell(self, result: str, reason: str, entity: EntityTarget | None = None) -> None:
        event = Event(
            entity=(entity or self.entity).name,
            command=self.command,
            result=result,
            operator=self.context.clients.operator,
            details={"reason": reason},
        )
        self.context.journal.record(event)
