"""The stage's canary: the steps that move an entity's share of reads, and which other entities are in it.

API Gateway has one canary percentage for the whole stage, so the entities in it share theirs. A change of it is made
under a lock of its own besides the entity's, so that two operators who move two entities at once see each other.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from runbook.aws.api_gateway import ALL
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.cutover.steps import OperationKind, Part
from runbook.errors import PreconditionError, RefusedError
from runbook.journal.lock import LEASE, Lease, held, held_canary
from runbook.journal.operation import Step, first
from runbook.journal.state import Event, Lock, State
from runbook.stack import Context

CHECK = "canary"
LOCK_TIMEOUT_SECONDS = 1.2 * LEASE  # a change takes 2 s at most; a lock whose process died is free then


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who besides an entity is in the canary.

    Attributes:
        percent: of the canary; 0 without others.
        entities: those of this stack.
        foreign: overridden variables that are no entity's reads, or the canary itself when it overrides none.
    """

    percent: int
    entities: Sequence[EntityTarget]
    foreign: Sequence[str]

    @property
    def names(self) -> str:
        return ", ".join(each.name for each in self.entities)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of an entity's share; kept with its operation in the journal.

    Attributes:
        percent: of the entity's reads that modern shall answer.
        before: what it was.
        shared: whether the other entities in the canary shall come along.
        others: the percentage that those had.
    """

    percent: int
    before: int
    shared: bool = False
    others: int = 0

    def written(self) -> dict[str, str]:
        values = {key: json.dumps(one) for key, one in vars(self).items()}
        return {"verb": OperationKind.CUTOVER.value, "scope": Part.READS.value, **values}

    @staticmethod
    def known(arguments: Mapping[str, str]) -> bool:
        """Whether an operation's arguments are those of a move."""
        return "percent" in arguments

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> Move:
        names = ("percent", "before", "shared", "others")
        return cls(**{name: json.loads(arguments[name]) for name in names})


def split(percent: int) -> bool:
    """Whether both systems answer."""
    return 0 < percent < ALL


def sharing(context: Context, entity: EntityTarget) -> Sharing:
    canary = context.routing.stage().canary
    if canary is None:
        return Sharing(percent=0, entities=(), foreign=())
    overridden = set(canary.overrides) - {entity.reads_variable}
    entities = [one for one in context.target.entities.values() if one.reads_variable in overridden]
    foreign = sorted(overridden - {one.reads_variable for one in entities})
    if not canary.overrides:
        foreign = ["a canary without overrides"]
    return Sharing(percent=round(canary.percent) if overridden else 0, entities=entities, foreign=foreign)


def check(context: Context, entity: EntityTarget, percent: int, *, shared: bool) -> Check:
    """Whether no other entity's percentage would be changed unasked."""
    found = sharing(context, entity)
    value = f"{found.names} at {found.percent}%" if found.entities else "no other entity"
    if found.foreign and split(percent):
        return Check(
            name=CHECK,
            ok=False,
            value=", ".join(found.foreign),
            limit="the runbook's own",
            remedy="Something else uses the stage's canary: see `aws apigateway get-stage`, remove it there.",
        )
    alone = not split(percent) or not found.entities or found.percent == percent
    return Check(
        name=CHECK,
        ok=alone or shared,
        value=value,
        limit=f"no other entity, or at {percent}%" if not shared else "all entities in it together",
        remedy=f"The API has one percentage: {percent}% would be that of {found.names} too. "
        "With --shared it is changed for all of them.",
    )


def refuse_unshared(context: Context, entity: EntityTarget, percent: int, *, shared: bool) -> None:
    """Stop before other entities would come along unasked.

    Raises:
        RefusedError: naming them and what to do.
    """
    found = check(context, entity, percent, shared=shared)
    if not found.ok:
        raise RefusedError(f"the API's canary has {found.value}; nothing was changed", found.remedy)


def steps(context: Context, entity: EntityTarget, lease: Lease | None, move: Move) -> list[Step]:
    """The stage's percentage, then the journal's. Without a lease they can be shown, not done."""
    moving = _Moving(context, entity, lease, move)
    with_others = ", and of every other entity in the canary" if move.shared else ""
    return [
        Step(
            name="share",
            says=f"{move.percent}% of public reads → modern{with_others}",
            do=moving.send,
            unsays=f"{move.before}% of public reads → modern",
            undo=moving.send_back,
            done=lambda: context.routing.reads_percent(entity) == move.percent,
            commit=True,
        ),
        Step(name="record-share", says=f"{move.percent}% of reads on modern, in the journal", do=moving.record),
    ]


def send_back(context: Context, entity: EntityTarget, lease: Lease | None, percent: int) -> None:
    """Give modern back the share of reads that the journal still has; nothing when it is there."""
    _Moving(context, entity, lease, Move(percent=0, before=percent)).send_back()


@dataclass(frozen=True)
class _Moving:
    context: Context
    entity: EntityTarget
    lease: Lease | None
    move: Move

    def send(self) -> None:
        move = self.move
        with self._canary_locked():
            refuse_unshared(self.context, self.entity, move.percent, shared=move.shared)
            with self._others_locked(move.percent):
                self.context.routing.send_reads(self.entity, move.percent)

    def send_back(self) -> None:
        move = self.move
        if self._untouched():
            return  # it never began, so no lock is needed
        with self._canary_locked(), self._others_locked(move.others):
            others = move.others if move.shared and split(move.others) else None
            self.context.routing.send_reads(self.entity, move.before, others)

    def record(self) -> None:
        self.context.journal.write(self._lock, self.entity.name, {"reads": self.move.percent})

    def _untouched(self) -> bool:
        found = sharing(self.context, self.entity)
        if self.context.routing.reads_percent(self.entity) != self.move.before:
            return False
        if not self.move.shared or not found.entities:
            return True
        recorded = {self.context.journal.state(one.name).reads for one in found.entities}
        return {found.percent, *recorded} == {self.move.others}

    @contextmanager
    def _canary_locked(self) -> Generator[None]:
        with held_canary(self.context.journal, self._lock, LOCK_TIMEOUT_SECONDS):
            yield

    @contextmanager
    def _others_locked(self, percent: int) -> Generator[None]:
        """Hold the locks of the entities that come along; after the block their journals have their percentage."""
        journal, lock = self.context.journal, self._lock
        come = self.move.shared and split(percent)
        found = sharing(self.context, self.entity).entities if come else ()
        with ExitStack() as stack:
            leases = [stack.enter_context(held(journal, one.name, lock.holder, lock.command)) for one in found]
            for one in found:
                _demand_no_operation(journal.state(one.name))
            yield
            for lease in leases:
                self._record_other(lease, percent)

    def _record_other(self, lease: Lease, percent: int) -> None:
        if self.context.journal.state(lease.entity).reads == percent:
            return
        event = Event(
            entity=lease.entity,
            command="cutover reads --shared",
            result="done",
            operator=lease.lock.holder,
            details={"reason": f"{percent}% of reads on modern, together with {self.entity.name}"},
        )
        self.context.journal.write(lease.lock, lease.entity, {"reads": percent}, event)

    @property
    def _lock(self) -> Lock:
        assert self.lease is not None, "steps without a lease are for plans"
        return self.lease.lock


def _demand_no_operation(state: State) -> None:
    if state.operation is not None:
        raise PreconditionError(f"`{state.operation.command}` of {state.entity} was interrupted", first(state))
